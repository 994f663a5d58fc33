"""The journal in memory, ahead of the disk: what is there, what is not written yet, in which order.

Everything changes in memory first and carries a `version`. `take` cuts a job of what is not on
disk yet, `write` commits it (in whatever thread may block), `done` makes its version durable.
Whoever depends on a change waits until `durable_version` has reached it.
"""

import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from protocol.errors import CorruptLog
from rlog.dump import Dumping, Outline
from rlog.messages import Entry
from rlog.rows import CHUNK_BYTES, Position, Snapshot, Standing, check_content, chunk_key

COMPACT_MAX = 4096  # entries deleted per job, so that no fsync waits long for it
CHUNKS_MAX = 8  # snapshot rows per job: 2 MiB, for the same reason
CHUNKS_BESIDE_MAX = 1  # when somebody waits for what else is in the job
READ_BYTES = 4 << 20
ENTRY_BYTES = 64  # what an entry costs beside its command, on disk and on the wire
TAIL_MAX = 4096  # entries kept in memory; followers that keep up are served from there
TAIL_BYTES = 32 << 20  # the same for big ones


@dataclass(frozen=True, slots=True)
class Job:
    """One write transaction."""

    version: int
    position: Position
    last: int
    cut_from: int | None  # entries from here on were taken back
    entries: tuple[Entry, ...]
    chunks: tuple[tuple[bytes, bytes], ...]
    snapshot: Snapshot | None  # becomes the current one with this job
    checksums: tuple[int, ...]  # of its chunks
    live: frozenset[int]  # indexes of the snapshots whose chunks are still needed
    is_install: bool  # the snapshot is a leader's
    size: int
    standing: Standing = field(default_factory=Standing)


@dataclass(slots=True)
class _Writing:
    """A snapshot of our own on its way to the disk."""

    snapshot: Snapshot
    outline: Outline
    dumping: Dumping
    taken: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether all of it was handed to the disk."""
        return self.taken == len(self.outline.checksums)


def size_of(entry: Entry) -> int:
    """Return about what an entry takes."""
    return len(entry.command) + ENTRY_BYTES


class Journal(ABC):
    """Term, vote, commit index, entries and snapshot of one member."""

    pinned: frozenset[int] = frozenset()  # snapshots that followers are being sent
    checksums: tuple[int, ...] = ()  # of the chunks of `snapshot`; none of one that has none

    def __init__(self, position: Position, snapshot: Snapshot, last: int, tail_max: int) -> None:
        """Begin with what the disk holds. Raises: CorruptLog."""
        self.term, self.vote = position.term, position.vote
        self.standing = Standing()
        self.base_index, self.base_term = position.base_index, position.base_term
        self.committed = max(position.committed, snapshot.index)
        self.last, self.snapshot = last, snapshot
        if not self.base_index <= snapshot.index <= self.committed <= last:
            raise CorruptLog(f"entries up to {self.committed} are missing, the last is {last}")
        self._tail_max = tail_max
        self._tail_first = max(self.first, last + 1 - tail_max)
        self._tail = self._read(self._tail_first, last + 1)
        self._tail_bytes = sum(size_of(entry) for entry in self._tail)
        self.version = self.taken_version = self.durable_version = self.term_version = 0
        self.durable = self._handed = self._cap = last
        self._dirty_from: int | None = None
        self._cut_from: int | None = None
        self._compact_to = self.base_index
        self._writing: _Writing | None = None
        self._spooled: list[tuple[bytes, bytes]] = []
        self._spooling: int | None = None
        self._is_installing = False
        self.is_flushing = False

    @abstractmethod
    def _read(self, first: int, end: int, bytes_max: int | None = None) -> list[Entry]:
        """Return entries from the disk. Raises: CorruptLog."""

    @abstractmethod
    def _read_content(self) -> bytes:
        """Return the bytes of `snapshot` from the disk, whole or not."""

    @abstractmethod
    def _read_chunk(self, index: int, number: int) -> bytes | None:
        """Return a chunk of the snapshot of `index` from the disk."""

    @abstractmethod
    def _make_room(self, size: int) -> None:
        """See that a job of this size will fit. Raises: StorageLost."""

    # What is there

    @property
    def first(self) -> int:
        """Index of the first entry held, or of the next one when none is."""
        return self.base_index + 1

    @property
    def is_dirty(self) -> bool:
        """Whether a job would write anything that somebody waits for."""
        is_moving = self._compact_to > self.base_index or self._is_chunk_due
        return self.version > self.taken_version or is_moving

    @property
    def _is_chunk_due(self) -> bool:
        writing = self._writing
        return writing is not None and (writing.is_whole or writing.dumping.is_ready)

    @property
    def is_snapshotting(self) -> bool:
        """Whether a snapshot of our own is on its way to the disk."""
        return self._writing is not None

    def term_at(self, index: int) -> int | None:
        """Return the term of an entry or of the base; None: not held."""
        if index == self.base_index:
            return self.base_term
        return self.entry(index).term if self.first <= index <= self.last else None

    def entry(self, index: int) -> Entry:
        """Return one entry. Raises: CorruptLog."""
        assert self.first <= index <= self.last, f"entry {index} is not held"
        if index >= self._tail_first:
            return self._tail[index - self._tail_first]
        return self._read(index, index + 1)[0]

    def range(self, first: int, end: int, bytes_max: int = READ_BYTES) -> list[Entry]:
        """Return entries from `first` up to before `end`: one, and more while under `bytes_max`."""
        assert first > self.base_index
        end = min(end, self.last + 1)
        found: list[Entry] = []
        if first < self._tail_first:
            found = self._read(first, min(end, self._tail_first), bytes_max)
            if first + len(found) < self._tail_first:
                return found
        size = sum(size_of(entry) for entry in found)
        for index in range(first + len(found), end):
            entry = self._tail[index - self._tail_first]
            size += size_of(entry)
            if size > bytes_max and found:
                break
            found.append(entry)
        return found

    def load_snapshot(self) -> bytes | None:
        """Return the content of `snapshot`; None: there is none yet. Raises: CorruptLog."""
        if not self.snapshot.index:
            return None
        content = self._read_content()
        if not check_content(self.snapshot, content):
            raise CorruptLog(f"the snapshot of entry {self.snapshot.index} fails its checksum")
        return content

    def load_part(self, offset: int) -> bytes:
        """Return the content of `snapshot` from a multiple of CHUNK_BYTES on, one chunk long.

        Empty past its end. Raises: CorruptLog.
        """
        if offset >= self.snapshot.size:
            return b""
        return self.chunk(self.snapshot.index, self.checksums, offset // CHUNK_BYTES)

    def chunk(self, index: int, checksums: tuple[int, ...], number: int) -> bytes:
        """Return one chunk of a snapshot that is pinned or current. Raises: CorruptLog."""
        content = self._read_chunk(index, number)
        if content is None or (checksums and zlib.crc32(content) != checksums[number]):
            what = "is missing" if content is None else "fails its checksum"
            raise CorruptLog(f"chunk {number} of the snapshot of entry {index} {what}")
        return content

    # What changes

    def set_term(self, term: int, vote: str) -> None:
        """Remember a term and whom this member voted for in it."""
        assert term > self.term or (term == self.term and not self.vote)
        self.term, self.vote = term, vote
        self.version += 1
        self.term_version = self.version

    def set_standing(self, standing: Standing) -> None:
        """Remember which cluster this is and what is missing; whatever is said waits for it."""
        self.standing = standing
        self.version += 1
        self.term_version = self.version

    def set_committed(self, index: int) -> None:
        """Remember what is committed; it goes to disk with the next job, and need not."""
        assert self.committed <= index <= self.last
        self.committed = index

    def add(self, entry: Entry) -> None:
        """Append an entry."""
        assert entry.index == self.last + 1
        self._tail.append(entry)
        self._tail_bytes += size_of(entry)
        self.last = entry.index
        if self._dirty_from is None:
            self._dirty_from = entry.index
        self.version += 1

    def truncate(self, index: int) -> None:
        """Take back the entries from `index` on."""
        assert self.committed < index <= self.last, f"entry {index} is committed or not held"
        if index < self._tail_first:
            lowest = max(self.first, index - self._tail_max)
            self._tail, self._tail_first = self._read(lowest, index), lowest
        else:
            del self._tail[index - self._tail_first :]
        self._tail_bytes = sum(size_of(entry) for entry in self._tail)
        self.last = index - 1
        self.durable, self._cap = min(self.durable, self.last), min(self._cap, self.last)
        if self._dirty_from is not None and index <= self._dirty_from:
            self._dirty_from = None
        if index <= self._handed:
            self._cut_from = index if self._cut_from is None else min(self._cut_from, index)
        self.version += 1

    def put_snapshot(self, snapshot: Snapshot, outline: Outline, dumping: Dumping) -> None:
        """Write a snapshot of our own beside everything else; it counts once it is on disk."""
        assert self._writing is None
        assert self.snapshot.index < snapshot.index <= self.committed
        self._writing = _Writing(snapshot, outline, dumping)

    def drop_snapshot(self) -> None:
        """Write no more of a snapshot of our own; what is on disk of it is swept away."""
        if self._writing is not None:
            self._writing.dumping.close()
            self._writing = None

    def spool(self, index: int, number: int, chunk: bytes) -> None:
        """Put a chunk of a leader's snapshot beside everything else."""
        self._spooling = index
        self._spooled.append((chunk_key(index, number), chunk))
        self.version += 1

    def forget_spooled(self) -> None:
        """Need no more of a leader's snapshot; what is on disk of it is swept away."""
        self._spooled, self._spooling = [], None

    def install(self, snapshot: Snapshot, checksums: tuple[int, ...]) -> None:
        """Begin at a snapshot whose chunks are on disk; keep only entries that go on from it."""
        assert snapshot.index > self.committed
        assert not self._spooled
        is_continued = self.term_at(snapshot.index) == snapshot.term
        self.drop_snapshot()
        self._spooling, self._is_installing = None, True
        self.snapshot, self.checksums = snapshot, checksums
        if not is_continued:
            self.durable = self._cap = min(self.durable, self.committed)
            self._tail, self._tail_first, self._tail_bytes = [], snapshot.index + 1, 0
            self.last = snapshot.index
            self._dirty_from, self._cut_from = None, 0
            self.base_index, self.base_term = snapshot.index, snapshot.term
            self._compact_to = snapshot.index
        self.committed = snapshot.index
        self.version += 1

    def compact(self, index: int) -> None:
        """Drop entries up to `index`, bit by bit."""
        assert index <= self.snapshot.index
        self._compact_to = max(self._compact_to, index)

    # How it reaches the disk

    def take(self) -> Job:
        """Cut the next job; one at a time. Raises: StorageLost when the map cannot grow."""
        assert not self.is_flushing
        self._advance_base()
        switched, checksums = (self.snapshot, self.checksums) if self._is_installing else (None, ())
        is_install, self._is_installing = self._is_installing, False
        chunks, self._spooled = self._spooled, []
        if self._writing is not None:
            chunks += self._take_chunks(self._writing)
            if self._writing.is_whole and not is_install:
                switched, checksums = self._writing.snapshot, self._writing.outline.checksums
        entries: tuple[Entry, ...] = ()
        if self._dirty_from is not None:
            entries = tuple(self._tail[self._dirty_from - self._tail_first :])
        committed = min(self.committed, self.last)
        job = Job(
            version=self.version,
            position=Position(self.term, self.vote, committed, self.base_index, self.base_term),
            last=self.last,
            cut_from=self._cut_from,
            entries=entries,
            chunks=tuple(chunks),
            snapshot=switched,
            checksums=checksums,
            live=self._live(switched),
            is_install=is_install,
            size=sum(size_of(entry) for entry in entries) + len(chunks) * CHUNK_BYTES,
            standing=self.standing,
        )
        self._make_room(job.size)
        self.is_flushing = True
        self._dirty_from = self._cut_from = None
        self._handed = self._cap = self.last
        self.taken_version = self.version
        return job

    def done(self, job: Job) -> Snapshot | None:
        """Make a written job's version durable; return the snapshot that came to rest with it."""
        self.is_flushing = False
        self.durable_version = job.version
        self.durable = max(self.durable, min(job.last, self._cap))
        self._shorten_tail()
        if job.snapshot is None or job.snapshot.index < self.snapshot.index:
            return None  # a leader's is installed meanwhile
        self.snapshot, self.checksums = job.snapshot, job.checksums
        if self._writing is not None and self._writing.snapshot is job.snapshot:
            self._writing = None
        return job.snapshot

    def _live(self, switched: Snapshot | None) -> frozenset[int]:
        """Return the snapshots of which chunks must stay on disk."""
        live = {self.snapshot.index, *self.pinned}
        if switched is not None:
            live.add(switched.index)
        if self._writing is not None:
            live.add(self._writing.snapshot.index)
        if self._spooling is not None:
            live.add(self._spooling)
        return frozenset(live)

    def _advance_base(self) -> None:
        index = min(self._compact_to, self.base_index + COMPACT_MAX)
        if index <= self.base_index:
            return
        term = self.term_at(index)
        assert term is not None
        self.base_index, self.base_term = index, term
        if self._tail_first <= index:
            self._trim_tail(index)

    def _shorten_tail(self) -> None:
        """Forget what is on disk, halves at a time so that the copying is paid rarely."""
        written = self.last if self._dirty_from is None else self._dirty_from - 1
        if len(self._tail) > 2 * self._tail_max:
            self._trim_tail(min(self.last - self._tail_max, written))
        while self._tail_bytes > TAIL_BYTES and self._tail_first <= written:
            self._trim_tail(min((self._tail_first + self.last) // 2, written))

    def _trim_tail(self, index: int) -> None:
        end = index + 1 - self._tail_first
        self._tail_bytes -= sum(size_of(entry) for entry in self._tail[:end])
        del self._tail[:end]
        self._tail_first = index + 1

    def _take_chunks(self, writing: _Writing) -> list[tuple[bytes, bytes]]:
        is_awaited = self.version > self.taken_version
        chunks = writing.dumping.take(CHUNKS_BESIDE_MAX if is_awaited else CHUNKS_MAX)
        first, writing.taken = writing.taken, writing.taken + len(chunks)
        index = writing.snapshot.index
        return [(chunk_key(index, number), each) for number, each in enumerate(chunks, first)]
