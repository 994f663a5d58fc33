"""A state folded from a log, ahead of what is committed by the payloads in flight."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic

from protocol.errors import Diverged
from rlog.garbage import uncollected
from rlog.log import Committed, Log
from rlog.machine import E, Machine, S


@dataclass(frozen=True, slots=True)
class Flight:
    """A payload of ours that was appended and is not known to be committed."""

    index: int
    payload: bytes
    appended_s: float


class Fold(Generic[S, E]):
    """Owns the state: on a follower what is committed, on a leader the head."""

    def __init__(self, machine: Machine[S, Any, E, Any, Any]) -> None:
        self._machine = machine
        self._flights: deque[Flight] = deque()
        self.state: S = machine.empty()
        self.committed = 0
        self.head = 0

    @property
    def is_at_rest(self) -> bool:
        """Whether the state is exactly what is committed."""
        return not self._flights

    def restore(self, snapshot: bytes | None, index: int) -> None:
        """Forget everything and begin at a snapshot."""
        self._flights.clear()
        self.state = self._machine.empty() if snapshot is None else self._machine.load(snapshot)
        self.committed = self.head = index

    def extend(self, flight: Flight) -> None:
        """Note a payload whose events are in the state already."""
        assert flight.index > self.head
        self._flights.append(flight)
        self.head = flight.index

    def advance(self, entries: Sequence[Committed]) -> list[Flight]:
        """Take committed entries; return our own among them, which were folded before.

        Raises: Diverged when the log holds something else than what we appended.
        """
        landed = []
        for entry in entries:
            if self._flights:
                flight = self._flights[0]
                if entry.index != flight.index or entry.payload != flight.payload:
                    raise Diverged(f"entry {entry.index} is not the payload appended there")
                landed.append(self._flights.popleft())
            else:
                if entry.index <= self.committed:
                    raise Diverged(f"entry {entry.index} was committed twice")
                self._apply(entry.payload)
                self.head = entry.index
            self.committed = entry.index
        return landed

    def rewind(self, log: Log, *, is_keeping_flights: bool) -> None:
        """Fold again from the log's own snapshot and entries, then what is still in flight."""
        snapshot, index, entries = log.replay()
        committed, flights = self.committed, tuple(self._flights)
        with uncollected(len(snapshot or b"")):
            self.restore(snapshot, index)
        for entry in entries:
            if index < entry.index <= committed:
                self._apply(entry.payload)
        self.committed = self.head = max(index, committed)
        for flight in flights if is_keeping_flights else ():
            self._apply(flight.payload)
            self.extend(flight)

    def _apply(self, payload: bytes) -> None:
        stamp_ns, events = self._machine.decode(payload)
        self.state.now_ns = stamp_ns
        for event in events:
            self._machine.apply(self.state, event)
