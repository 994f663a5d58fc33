"""Faults of the shells, grouped by what the caller may do about them."""


class Fault(Exception):  # noqa: N818 - the house word; its kinds say what to do
    """Something outside the domain went wrong."""


class Unavailable(Fault):
    """Not now: try again, perhaps elsewhere."""


class NotLeader(Unavailable):
    """Another master leads; `leader` is its address, empty when none is known."""

    def __init__(self, leader: str = "") -> None:
        super().__init__(f"not the leader; the leader is {leader or 'not known'}")
        self.leader = leader


class Disconnected(Unavailable):
    """The link is gone; whether the other side acted on the last message is unknown."""


class TimedOut(Unavailable):
    """No answer came before the deadline."""


class Overloaded(Unavailable):
    """Too much is waiting already."""


class Malformed(Fault):
    """What a peer sent, or a file holds, is not a message: drop the peer."""


class BadFrame(Malformed):
    """The bytes break the encoding."""


class TooLarge(Malformed):
    """More bytes or segments than the limit of the moment."""


class UnknownMessage(Malformed):
    """A well-formed message of a kind that this version does not know."""


class Denied(Fault):
    """The other side knows us now and says no; trying again does not help."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(f"{code}: {text}" if text else code)
        self.code = code
        self.text = text


class Broken(Fault):
    """This process must not go on."""


class CorruptLog(Broken):
    """The log holds bytes that were never written to it, or that this version cannot read."""


class DamagedLog(CorruptLog):
    """The file of the log holds bytes that were never written to it."""


class NewerLog(Broken):
    """The log was written by a newer version of this program; nothing is wrong with it."""


class StorageLost(Broken):
    """The disk refuses or is full: nothing can be promised any more."""


class DiskFull(StorageLost):
    """Nothing more fits; what was written before is whole, and there may be room again."""


class Diverged(Broken):
    """Two replicas hold different states for the same log index."""
