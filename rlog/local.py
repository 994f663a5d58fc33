"""A log of one member: committed once it is on this machine's disk, and always led here."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import structlog

from protocol.errors import Broken, NotLeader, Overloaded, StorageLost, TooLarge
from rlog.dump import InlineDumper
from rlog.garbage import uncollected
from rlog.journal import Job
from rlog.log import Committed, LogReader
from rlog.membership import PAYLOAD, Configuration, kind_of, payload_command
from rlog.messages import Entry
from rlog.probes import LogProbe, SilentLogProbe
from rlog.store import Store
from rlog.taking import SnapshotTaking

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LocalLogConfig:
    """Where the log lives and how much of it."""

    directory: str
    name: str = "local"
    window_max: int = 64  # appends in flight: enough to hide an fsync
    payload_bytes_max: int = 8 << 20
    snapshot_entries: int = 20_000  # entries before the next snapshot is taken
    snapshot_bytes: int = 16 << 20  # the same by size


class LocalLog:
    """Owns a store; gathers appends while the disk is busy and writes them with one fsync.

    Each start is a new term.
    """

    def __init__(self, config: LocalLogConfig, probe: LogProbe | None = None) -> None:
        self._config = config
        self._probe = probe or SilentLogProbe()
        self._store: Store | None = None
        self._taking: SnapshotTaking | None = None
        self._reader: LogReader | None = None
        self._writing: asyncio.Future[None] | None = None
        self._is_leader = False
        self._is_flush_due = False
        self._applied = 0
        self._bytes_since_snapshot = 0

    @property
    def name(self) -> str:
        """This member's name."""
        return self._config.name

    @property
    def term(self) -> int:
        """The number of this start."""
        return 0 if self._store is None else self._store.term

    @property
    def is_leader(self) -> bool:
        """Whether the log is open."""
        return self._is_leader

    @property
    def leader(self) -> str:
        """This member while the log is open."""
        return self.name if self._is_leader else ""

    @property
    def committed(self) -> int:
        """Highest index on disk."""
        return self._applied

    @property
    def applied(self) -> int:
        """Highest index the reader has seen."""
        return self._applied

    @property
    def window_free(self) -> int:
        """How many more appends are welcome now."""
        if self._store is None or not self._is_leader:
            return 0
        return max(0, self._config.window_max - (self._store.last - self._applied))

    def append(self, payload: bytes) -> int:
        """Return the index of the payload; it is committed after the next fsync."""
        store = self._store
        if store is None or not self._is_leader:
            raise NotLeader
        if self.window_free == 0:
            raise Overloaded(f"{self._config.window_max} appends are in flight")
        if len(payload) > self._config.payload_bytes_max:
            raise TooLarge(f"{len(payload)} bytes are too much for one entry")
        store.add(Entry(store.last + 1, store.term, payload_command(payload)))
        self._schedule_flush()
        return store.last

    def read_barrier(self, then: Callable[[bool], None]) -> None:
        """There is nobody else who could lead."""
        asyncio.get_running_loop().call_soon(then, self._is_leader)

    def replay(self) -> tuple[bytes | None, int, Iterable[Committed]]:
        """Return the newest snapshot, its index, and the entries after it."""
        assert self._store is not None
        first = self._store.snapshot.index + 1
        entries = (entry for batch in self._batches(first, self._applied) for entry in batch)
        return self._store.load_snapshot(), self._store.snapshot.index, entries

    async def start(self, reader: LogReader) -> None:
        """Open the store, fold what it holds, and begin a new term.

        Raises: Broken when the store cannot be opened or read.
        """
        store = self._store = Store(self._config.directory, self._config.name)
        self._reader = reader
        clock_s = asyncio.get_running_loop().time
        self._taking = SnapshotTaking(store, InlineDumper(), self._schedule_flush, clock_s)
        with uncollected(store.snapshot.size):
            reader.restore(store.load_snapshot(), store.snapshot.index)
        for batch in self._batches(store.snapshot.index + 1, store.last):
            reader.committed(batch)
        self._applied = store.last
        store.set_committed(store.last)
        store.set_term(store.term + 1, self.name)
        self._flush()
        while self._writing is not None:
            await asyncio.wait([self._writing])
        if store.durable_version < store.version:
            raise StorageLost(f"{self._config.directory} cannot be written")
        self._is_leader = True
        reader.lead(store.term)

    async def stop(self) -> None:
        """Write what is pending and close."""
        if self._store is None:
            return
        was_leading, self._is_leader = self._is_leader, False
        if was_leading:
            self._flush()
        while self._writing is not None:
            await asyncio.wait([self._writing])
        if was_leading and self._reader is not None:
            self._reader.follow("")
        self._store.close()
        self._store = None

    def _batches(self, first: int, last: int) -> Iterator[list[Committed]]:
        assert self._store is not None
        while first <= last:
            entries = self._store.range(first, last + 1)
            first += len(entries)
            yield [
                Committed(entry.index, entry.term, entry.command[1:])
                for entry in entries
                if kind_of(entry.command) == PAYLOAD
            ]

    def _schedule_flush(self) -> None:
        if not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Write everything appended so far, unless the disk is busy: then its end comes here."""
        self._is_flush_due = False
        store = self._store
        if store is None or self._writing is not None or not store.is_dirty:
            return
        try:
            job = store.take()
        except Broken as error:
            self._break(error)
            return
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(None, store.write, job)
        self._writing.add_done_callback(partial(self._flushed, job, loop.time()))

    def _flushed(self, job: Job, began_s: float, written: asyncio.Future[None]) -> None:
        self._writing = None
        store, reader = self._store, self._reader
        assert store is not None and reader is not None
        error = written.exception()
        if error is not None:
            self._break(error if isinstance(error, Broken) else StorageLost(repr(error)))
            return
        self._probe.fsynced(asyncio.get_running_loop().time() - began_s, len(job.entries))
        snapshot = store.done(job)
        if snapshot is not None:
            store.compact(snapshot.index)
            self._probe.snapshot_taken(snapshot.index, snapshot.size)
            log.info("snapshot is on disk", index=snapshot.index, size_bytes=snapshot.size)
        try:
            for batch in self._batches(self._applied + 1, store.durable):
                self._applied += len(batch)
                store.set_committed(self._applied)
                self._bytes_since_snapshot += sum(len(entry.payload) for entry in batch)
                reader.committed(batch)
            self._take_snapshot()
        except Exception:
            self._is_leader = False
            raise
        self._flush()

    def _take_snapshot(self) -> None:
        store, reader, taking = self._store, self._reader, self._taking
        assert store is not None and reader is not None and taking is not None
        is_due = (
            self._applied - store.snapshot.index >= self._config.snapshot_entries
            or self._bytes_since_snapshot >= self._config.snapshot_bytes
        )
        if is_due and taking.is_welcome:
            capture = reader.snapshot()
            if capture is not None and taking.begin(
                capture, self._applied, self._bytes_since_snapshot
            ):
                self._bytes_since_snapshot = 0
        taking.advance(self._applied, _nobody_else)

    def _break(self, error: Broken) -> None:
        assert self._reader is not None
        self._is_leader = False
        self._reader.broken(error)


def _nobody_else(index: int) -> Configuration:
    """Return who votes: there is no vote."""
    return Configuration(0, ())
