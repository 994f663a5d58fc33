"""What a leader knows of one follower's log, and how much it may send ahead."""

from collections import deque
from dataclasses import dataclass

from rlog.snapshot import SnapshotSending

IN_FLIGHT_MAX = 256  # messages sent ahead of their answers: covers a round trip of full batches
IN_FLIGHT_BYTES = 4 << 20  # the same for big entries; a link is dropped at four times that


@dataclass(slots=True)
class Heard:
    """What counts of a follower's answers: those it gave while it remembered all its promises."""

    answered_s: float
    sequence: int = 0  # of the heartbeat round
    match: int = 0  # what it holds for certain


class Progress:
    """One follower: what it holds for certain, and what was sent on the assumption it will.

    Probing: its log is not known, so one message at a time, repeated at each heartbeat.
    Receiving a snapshot: nothing else until it holds that.
    Streaming: everything new is sent at once, ahead of the answers.
    """

    def __init__(self, last: int, now_s: float) -> None:
        self.match = 0
        self.trusted = Heard(now_s)
        self.next = last + 1
        self.is_probing = True
        self.is_probe_due = True
        self.is_amnesiac = False
        self.sending: SnapshotSending | None = None
        self._in_flight: deque[tuple[int, int]] = deque()
        self._in_flight_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether the follower must answer before it gets more entries."""
        return len(self._in_flight) >= IN_FLIGHT_MAX or self._in_flight_bytes >= IN_FLIGHT_BYTES

    def sent(self, last: int, size: int) -> None:
        """Note entries sent, up to `last`."""
        if self.is_probing:
            self.is_probe_due = False
            return
        self.next = last + 1
        self._in_flight.append((last, size))
        self._in_flight_bytes += size

    def answered(self, sequence: int, now_s: float, *, is_amnesiac: bool) -> None:
        """Note a sign of life in our term."""
        self.is_amnesiac = is_amnesiac
        if not is_amnesiac:
            self.trusted.answered_s = now_s
            self.trusted.sequence = max(self.trusted.sequence, sequence)

    def matched(self, index: int, *, is_amnesiac: bool) -> None:
        """Note that the follower holds our log up to `index`, on its disk."""
        self.match = max(self.match, index)
        if not is_amnesiac:
            self.trusted.match = max(self.trusted.match, index)
        self.next = max(self.next, self.match + 1)
        self.is_probing = False
        while self._in_flight and self._in_flight[0][0] <= self.match:
            self._in_flight_bytes -= self._in_flight.popleft()[1]
        if self.sending is not None and self.match >= self.sending.snapshot.index:
            self.sending = None

    def rejected(self, previous: int, hint: int) -> None:
        """Note that the follower does not hold our entry `previous`; `hint` may be its next.

        Of a pipeline sent ahead every message is rejected, but only the first one says something
        new: the answers to the others must not move the next probe.
        """
        is_stale = previous != self.next - 1 if self.is_probing else previous <= self.match
        if not is_stale:
            self.probe(max(self.match + 1, min(hint, previous)))

    def forget(self) -> None:
        """Take back what the follower said that it holds: its disk was lost since."""
        self.match = self.trusted.match = 0

    def probe(self, next_index: int) -> None:
        """Find out from `next_index` on what the follower holds; what is in flight may be lost."""
        self.next = next_index
        self.is_probing = self.is_probe_due = True
        self._in_flight.clear()
        self._in_flight_bytes = 0
