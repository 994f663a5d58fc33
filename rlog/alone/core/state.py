"""The whole of what a log by itself knows: spaces, and the leader's timers beside them."""

from dataclasses import dataclass, field, replace
from enum import IntEnum

import msgspec

from rlog.alone.core import versions
from rlog.spaces.alarms import Alarms
from rlog.spaces.digest import digest_of
from rlog.spaces.records import Spaces
from rlog.versions import FIRST, VERSION_MAX, check_version

MARK = b"\xa7"  # begins each payload and each snapshot, as none of the masters' does


class AlarmKind(IntEnum):
    """What is looked at when an alarm rings."""

    LEASE_ENDS = 1


@dataclass(slots=True)
class Soft:
    """Known to the leader alone, never logged, gone with its leadership."""

    alarms: Alarms[AlarmKind] = field(default_factory=Alarms)


@dataclass(slots=True)
class State:
    """Everything but `soft` is a fold of the log."""

    now_ns: int = 0  # wall time of the newest events, set by the loop
    version: int = FIRST  # of the log: the highest of its entries
    origin: str = ""
    term: int = 0
    leader: str = ""
    spaces: Spaces = field(default_factory=Spaces)
    soft: Soft = field(default_factory=Soft)


_decoder = msgspec.msgpack.Decoder(State)


def is_ours(content: bytes) -> bool:
    """Whether a payload or a snapshot is that of a log by itself."""
    return content.startswith(MARK)


def dump(state: State) -> bytes:
    """Return the durable part of the state, after its log's version.

    An older program drops fields that it lacks: they have their defaults, or the version is newer.
    """
    return MARK + bytes((state.version,)) + msgspec.msgpack.encode(replace(state, soft=Soft()))


def load(content: bytes) -> State:
    """Return the state that `dump` wrote.

    Raises: NewerLog; ValueError for what is no snapshot.
    """
    if not is_ours(content) or not 0 < int.from_bytes(content[1:2]) <= VERSION_MAX:
        raise ValueError(f"it begins with {content[:2].hex() or 'nothing'}")
    check_version(content[1], versions.VERSION, "a snapshot")
    return _decoder.decode(memoryview(content)[len(MARK) + 1 :])


def digest(state: State) -> str:
    """Return a name that two states share if and only if their durable parts are equal."""
    return digest_of(replace(state, soft=Soft()))
