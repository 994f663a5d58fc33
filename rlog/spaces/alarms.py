"""When time alone gives a leader something to do: one deadline per kind and key."""

import heapq
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Generic, TypeAlias, TypeVar

K = TypeVar("K", bound=IntEnum)  # what is looked at; the smaller goes first of those of one time
Subject: TypeAlias = tuple[K, tuple[str, ...]]
Entry: TypeAlias = tuple[int, K, tuple[str, ...]]

STALE_MAX = 64  # beyond twice the live ones; rebuilding costs less than carrying them


@dataclass(frozen=True, slots=True)
class AlarmsTaken:
    """Soft: so many entries were seen to."""

    count: int
    now_ns: int


@dataclass(slots=True)
class Alarms(Generic[K]):
    """The newest setting of an alarm counts; the heap may hold older entries besides.

    An entry that comes up before its alarm's newest time is put back at that time, so moving an
    alarm to later costs nothing now.
    """

    wanted: dict[Subject[K], int] = field(default_factory=dict)
    scheduled: dict[Subject[K], int] = field(default_factory=dict)  # earliest entry in the heap
    heap: list[Entry[K]] = field(default_factory=list)

    def set(self, kind: K, key: tuple[str, ...], at_ns: int) -> None:
        """Ring at this time instead of any earlier setting."""
        subject = (kind, key)
        self.wanted[subject] = at_ns
        scheduled_ns = self.scheduled.get(subject)
        if scheduled_ns is None or at_ns < scheduled_ns:
            self._push(subject, at_ns)

    def cancel(self, kind: K, key: tuple[str, ...]) -> None:
        self.wanted.pop((kind, key), None)

    @property
    def next_ns(self) -> int | None:
        """The earliest time at which anything may ring."""
        return self.heap[0][0] if self.heap else None

    def upcoming(self, now_ns: int, entries_max: int) -> list[Subject[K] | None]:
        """Return the entries that have come up, in order: what is due, None for what was moved.

        Whoever has seen to the first of them takes as many.
        """
        found: list[Subject[K] | None] = []
        seen: dict[Subject[K], None] = {}
        for at_ns, kind, key in self._first_due(now_ns, entries_max):
            subject = (kind, key)
            is_live = self.scheduled.get(subject) == at_ns and subject not in seen
            if is_live:
                seen[subject] = None
            is_due = is_live and self.wanted.get(subject, now_ns + 1) <= now_ns
            found.append(subject if is_due else None)
        return found

    def take(self, count: int, now_ns: int) -> None:
        """Take the first entries; alarms that were moved to later are put back."""
        moved: list[Subject[K]] = []
        for _ in range(count):
            at_ns, kind, key = heapq.heappop(self.heap)
            subject = (kind, key)
            if self.scheduled.get(subject) != at_ns:
                continue  # an earlier entry stood for the same alarm
            del self.scheduled[subject]
            if self.wanted.get(subject, 0) > now_ns:
                moved.append(subject)
            else:
                self.wanted.pop(subject, None)
        for subject in moved:
            self._push(subject, self.wanted[subject])

    def _first_due(self, now_ns: int, count_max: int) -> list[Entry[K]]:
        """Return the earliest entries in order: as many may be due as there are tasks."""
        found: list[Entry[K]] = []
        fringe = [(self.heap[0], 0)] if self.heap else []  # each entry before those below it
        while fringe and len(found) < count_max:
            entry, position = heapq.heappop(fringe)
            if entry[0] > now_ns:
                break
            found.append(entry)
            for below in (2 * position + 1, 2 * position + 2):
                if below < len(self.heap):
                    heapq.heappush(fringe, (self.heap[below], below))
        return found

    def _push(self, subject: Subject[K], at_ns: int) -> None:
        self.scheduled[subject] = at_ns
        heapq.heappush(self.heap, (at_ns, *subject))
        if len(self.heap) > 2 * len(self.wanted) + STALE_MAX:
            self.scheduled = dict(self.wanted)
            self.heap = [(when_ns, *key) for key, when_ns in self.wanted.items()]
            heapq.heapify(self.heap)
