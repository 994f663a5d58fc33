"""A log in memory whose commits and leadership the test decides."""

from collections.abc import Callable, Iterable

from protocol.errors import NotLeader
from rlog.log import Committed, LogReader


class MemoryLog:
    """Twin of a replicated log: what is not committed may vanish with the leadership."""

    name = "m1:7000"

    def __init__(self) -> None:
        self.term = 0
        self.is_leader = False
        self.leader = ""
        self.committed = 0
        self.entries: list[Committed] = []
        self.snapshot: tuple[bytes | None, int] = (None, 0)
        self._captured: tuple[bytes, int, int] | None = None
        self.window = 4
        self.append_error: Exception | None = None
        self.barriers: list[Callable[[bool], None]] = []
        self.reader: LogReader | None = None

    @property
    def applied(self) -> int:
        return self.committed

    @property
    def head(self) -> int:
        return self.entries[-1].index if self.entries else self.snapshot[1]

    @property
    def window_free(self) -> int:
        return self.window - (self.head - self.committed) if self.is_leader else 0

    def append(self, payload: bytes) -> int:
        if not self.is_leader:
            raise NotLeader(self.leader)
        if self.append_error is not None:
            raise self.append_error
        assert self.window_free > 0
        return self._add(payload)

    def read_barrier(self, then: Callable[[bool], None]) -> None:
        if self.is_leader:
            self.barriers.append(then)
        else:
            then(False)

    def replay(self) -> tuple[bytes | None, int, Iterable[Committed]]:
        content, index = self.snapshot
        return (
            content,
            index,
            [e for e in self.entries if e.payload and index < e.index <= self.committed],
        )

    async def start(self, reader: LogReader) -> None:
        self.attach(reader)

    async def stop(self) -> None:
        if self.is_leader:
            self.lose("")

    # What the test does.

    def attach(self, reader: LogReader) -> None:
        self.reader = reader
        content, index, entries = self.replay()
        reader.restore(content, index)
        reader.committed(list(entries))

    def gain(self) -> None:
        assert self.reader is not None
        self.commit()
        self.term += 1
        self._add(b"")  # an entry of the log's own, as Raft begins every term
        self.committed = self.head
        self._keep_captured()
        self.is_leader, self.leader = True, self.name
        self.reader.lead(self.term)

    def commit(self, count: int | None = None) -> None:
        """Commit so many more entries, or all."""
        assert self.reader is not None
        waiting = [e for e in self.entries if e.index > self.committed][:count]
        if waiting:
            self.committed = waiting[-1].index
            self.reader.committed([e for e in waiting if e.payload])
            self._keep_captured()

    def lose(self, leader: str, surviving: int = 0) -> None:
        """Another leads; so many of the entries that are not committed are in its log too."""
        assert self.reader is not None
        self.is_leader, self.leader = False, leader
        self.term += 1
        keep = self.committed + surviving
        self.entries = [e for e in self.entries if e.index <= keep]
        self.prove(False)
        self.reader.follow(leader)

    def add_foreign(self, payload: bytes) -> None:
        assert not self.is_leader
        self._add(payload)

    def prove(self, is_leading: bool = True) -> None:
        barriers, self.barriers = self.barriers, []
        for then in barriers:
            then(is_leading)

    def take_snapshot(self) -> bool:
        """Have the state written down; it counts once the entries behind it are committed."""
        assert self.reader is not None
        self._captured = None
        capture = self.reader.snapshot()
        if capture is None:
            return False
        index = max(capture.index, self.committed)
        self._captured = (capture.dump(), index, self._term_at(index))
        self._keep_captured()
        return True

    def _keep_captured(self) -> None:
        if self._captured is not None and self._captured[1] <= self.committed:
            content, index, term = self._captured
            self._captured = None
            if self._term_at(index) == term:
                self.snapshot = content, index

    def _term_at(self, index: int) -> int:
        return next((entry.term for entry in self.entries if entry.index == index), 0)

    def _add(self, payload: bytes) -> int:
        index = self.head + 1
        self.entries.append(Committed(index, self.term, payload))
        return index
