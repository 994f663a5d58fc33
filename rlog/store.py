"""One member's journal in LMDB: position, entries, latest snapshot; one fsync per job."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from typing import Any

import lmdb

from protocol.errors import Broken, CorruptLog, DamagedLog, StorageLost
from rlog.directory import LogDirectory
from rlog.journal import TAIL_MAX, Job, Journal, size_of
from rlog.messages import Entry
from rlog.rows import (
    INDEX,
    SCHEMA,
    SCHEMA_UNSEALED,
    Identity,
    Position,
    Snapshot,
    Standing,
    chunk_key,
    index_of_chunk,
    is_chunk_of,
    pack_checksums,
    pack_entry,
    pack_position,
    pack_snapshot,
    pack_standing,
    pack_words,
    pack_written,
    unpack_checksums,
    unpack_entry,
    unpack_position,
    unpack_snapshot,
    unpack_standing,
    unpack_words,
)

# Of the rows beside entries.
KEYS = {b"identity", b"voters", b"position", b"snapshot", b"standing", b"checksums", b"written"}
MAP_BYTES = 64 << 20  # at first; grows by itself; small, because each simulated member maps one
MAP_SPARE_BYTES = 4 << 20
SWEEP_MAX = 64  # chunks of former snapshots deleted per job, so that no fsync waits long for it
# What LMDB finds wrong with a file; with its other errors the file may be whole.
DAMAGES = (lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.PanicError)
READERS_MAX = 8  # of the environment, in all processes that look at it


class Tables:
    """The environment of one member and how its rows are read.

    A read-only one looks on while another process writes; it sees one moment per transaction.
    """

    def __init__(self, path: str, map_bytes: int = 0, *, is_read_only: bool = False) -> None:
        """Raises: lmdb.Error."""
        how: dict[str, Any] = {"readonly": True} if is_read_only else {"map_size": map_bytes}
        self.env: Any = lmdb.open(
            path, max_dbs=3, max_readers=READERS_MAX, mode=0o600, create=not is_read_only, **how
        )
        self.meta: Any = self.env.open_db(b"meta", create=not is_read_only)
        self.entries: Any = self.env.open_db(b"entries", create=not is_read_only)
        self.snapshots: Any = self.env.open_db(b"snapshots", create=not is_read_only)
        self._page_bytes: int = self.env.stat()["psize"]

    @property
    def used_bytes(self) -> int:
        """How much of the file is in use, or was before and is free for reuse."""
        return int((self.env.info()["last_pgno"] + 1) * self._page_bytes)

    @property
    def modified_ns(self) -> int:
        """Wall time of the newest write."""
        return os.stat(os.path.join(self.env.path(), "data.mdb")).st_mtime_ns

    def copy_to(self, path: str) -> None:
        """Write all that is in use to a directory, without what is free. Raises: StorageLost."""
        try:
            self.env.copy(path, compact=True)
        except lmdb.Error as error:
            raise StorageLost(f"{path}: {error}") from error

    def check_keys(self, txn: Any) -> None:
        """See that no row hides under a key that was damaged. Raises: CorruptLog."""
        for key in txn.cursor(self.meta).iternext(values=False):
            if key not in KEYS:
                raise DamagedLog(f"a row has the unknown key {key!r}")

    def identity(self, txn: Any) -> Identity | None:
        """Return whose it is; None: nobody's yet. Raises: CorruptLog."""
        row = txn.get(b"identity", db=self.meta)
        if row is None:
            return None
        if row.startswith(f"schema {SCHEMA_UNSEALED}\n".encode()):
            words = tuple(row.decode(errors="replace").split("\n"))
        else:
            words = unpack_words(row, "the name of its owner")
        if len(words) != 3:
            raise DamagedLog("the name of its owner cannot be read")
        return Identity(*words)

    def founded(self, txn: Any) -> tuple[str, ...]:
        """Return who voted before the log said otherwise; none: it never started.

        Raises: CorruptLog.
        """
        row = txn.get(b"voters", db=self.meta)
        if row is None:
            return ()
        identity = self.identity(txn)
        if identity is not None and identity.is_unsealed:
            return tuple(row.decode(errors="replace").split(","))
        return unpack_words(row, "the list of its founders")

    def position(self, txn: Any) -> Position:
        """Raises: CorruptLog."""
        row = txn.get(b"position", db=self.meta)
        return Position() if row is None else unpack_position(row)

    def standing(self, txn: Any) -> Standing:
        """Raises: CorruptLog."""
        row = txn.get(b"standing", db=self.meta)
        return Standing() if row is None else unpack_standing(row)

    def snapshot(self, txn: Any) -> Snapshot:
        """Raises: CorruptLog."""
        row = txn.get(b"snapshot", db=self.meta)
        return Snapshot() if row is None else unpack_snapshot(row)

    def checksums(self, txn: Any, snapshot: Snapshot) -> tuple[int, ...]:
        """Return those of the snapshot's chunks; none when it has none. Raises: CorruptLog."""
        row = txn.get(b"checksums", db=self.meta)
        return () if row is None else unpack_checksums(row, snapshot)

    def last(self, txn: Any) -> int | None:
        """Return the index of the last entry, None when there is none."""
        cursor = txn.cursor(self.entries)
        return INDEX.unpack(cursor.key())[0] if cursor.last() else None

    def rows(self, txn: Any, first: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of entries from an index on, as they are."""
        cursor = txn.cursor(self.entries)
        if cursor.set_range(INDEX.pack(first)):
            yield from cursor.iternext()

    def chunks(self, txn: Any, snapshot: Snapshot) -> Iterator[bytes]:
        """Yield the content of a snapshot piece by piece, whole or not."""
        cursor = txn.cursor(self.snapshots)
        if cursor.set_range(chunk_key(snapshot.index, 0)):
            found = itertools.takewhile(lambda row: is_chunk_of(row[0], snapshot), cursor)
            yield from (value for _, value in found)


def require_log(path: str) -> None:
    """Raises: Broken when nobody ever kept a log in this directory."""
    if not os.path.isfile(os.path.join(path, "data.mdb")):
        raise Broken(f"{path} holds no log: there is no data.mdb in it")


@contextlib.contextmanager
def look_into(path: str) -> Iterator[tuple[Tables, Any]]:
    """Give the tables of a directory and one moment of them, whoever else uses it.

    Raises: Broken, CorruptLog.
    """
    require_log(path)
    try:
        tables = Tables(path, is_read_only=True)
        try:
            with tables.env.begin(buffers=False) as txn:
                yield tables, txn
        finally:
            tables.env.close()
    except DAMAGES as error:
        raise DamagedLog(f"{path}: {error}") from error
    except lmdb.Error as error:
        raise CorruptLog(f"{path}: {error}") from error


class Store(Journal):
    """Term, vote, commit index, entries and snapshot of one member."""

    def __init__(
        self,
        directory: str,
        name: str,
        cluster: str = "",
        *,
        map_bytes: int = MAP_BYTES,
        tail_max: int = TAIL_MAX,
    ) -> None:
        """Open or create. Raises: Broken (in use, another member's), CorruptLog, StorageLost."""
        self._directory = LogDirectory(directory)
        try:
            self._open(map_bytes)
            try:
                self._check_identity(name, cluster)
                super().__init__(*self._load(), tail_max)
                with self._env.begin() as txn:
                    self.standing = self._written_standing = self._tables.standing(txn)
            except Exception:
                self._env.close()
                raise
        except lmdb.Error as error:
            self._directory.release()
            raise CorruptLog(f"{directory}: {error}") from error
        except Exception:
            self._directory.release()
            raise

    def found(self, voters: tuple[str, ...]) -> tuple[str, ...]:
        """Remember who votes before the log says otherwise; return what was said the first time.

        Members restarted one by one with other lists would elect by majorities that do not meet.
        """
        with self._env.begin() as txn:
            said = self._tables.founded(txn)
        if said or not voters:
            return said
        with self._env.begin(write=True, db=self._tables.meta) as txn:
            txn.put(b"voters", pack_words(voters))
            txn.put(b"written", pack_written(txn.id()))
        return voters

    def write(self, job: Job) -> None:
        """Commit a job with one fsync; touches nothing but the disk. Raises: StorageLost."""
        try:
            with self._env.begin(write=True) as txn:
                self._write_entries(txn, job)
                txn.cursor(self._tables.snapshots).putmulti(job.chunks)
                if job.snapshot is not None:
                    row = pack_checksums(job.snapshot.index, job.checksums)
                    txn.put(b"checksums", row, db=self._tables.meta)
                    txn.put(b"snapshot", pack_snapshot(job.snapshot), db=self._tables.meta)
                self._sweep(txn, job.live)
                txn.put(b"position", pack_position(job.position), db=self._tables.meta)
                txn.put(b"written", pack_written(txn.id()), db=self._tables.meta)
                if job.standing != self._written_standing:
                    txn.put(b"standing", pack_standing(job.standing), db=self._tables.meta)
            self._written_standing = job.standing
        except (lmdb.Error, OSError) as error:
            raise self._directory.lose(error, _code_of(error)) from error

    def write_all(self) -> None:
        """Write until nothing is left to be written. Raises: StorageLost, DiskFull."""
        while self.is_dirty:
            self.prove_room()

    def prove_room(self) -> None:
        """Write something and have it on disk, with all that earlier processes left unfinished.

        Raises: StorageLost, DiskFull.
        """
        job = self.take()
        self.write(job)
        self.done(job)

    @property
    def used_bytes(self) -> int:
        """How much of its file is in use, or was before and is free for reuse."""
        return self._tables.used_bytes

    @property
    def free_bytes(self) -> int:
        """How much more its disk takes; 0 when it does not say."""
        try:
            return self._directory.free_bytes
        except OSError:
            return 0

    def close(self) -> None:
        """Let go of the files; what was not written is lost."""
        self._env.close()
        self._directory.release()

    # Leaves

    def _open(self, map_bytes: int) -> None:
        self._tables = Tables(self._directory.path, map_bytes)
        self._env: Any = self._tables.env

    def _check_identity(self, name: str, cluster: str) -> None:
        identity = Identity(f"schema {SCHEMA}", name, cluster)
        with self._env.begin() as txn:
            self._tables.check_keys(txn)
            found, voters = self._tables.identity(txn), self._tables.founded(txn)
        if found is None:
            self._put_identity(identity, ())
            self._directory.make_names_durable()
        elif found.is_older and (found.name, found.cluster) == (name, cluster):
            self._put_identity(identity, voters)
        elif found.schema != identity.schema:
            raise Broken(
                f"{self._directory.path} is of {found.schema}; this version writes "
                f"{identity.schema}: start a newer one"
            )
        elif found != identity:
            raise Broken(
                f"{self._directory.path} belongs to {found.name} of cluster {found.cluster!r} "
                f"({found.schema}), not to {name} of cluster {cluster!r}"
            )

    def _put_identity(self, identity: Identity, voters: tuple[str, ...]) -> None:
        with self._env.begin(write=True, db=self._tables.meta) as txn:
            txn.put(b"identity", pack_words((identity.schema, identity.name, identity.cluster)))
            if voters:
                txn.put(b"voters", pack_words(voters))
            txn.put(b"written", pack_written(txn.id()))

    def _load(self) -> tuple[Position, Snapshot, int]:
        with self._env.begin() as txn:
            position = self._tables.position(txn)
            last = self._tables.last(txn)
            snapshot = self._tables.snapshot(txn)
            self.checksums = self._tables.checksums(txn, snapshot)
        return position, snapshot, position.base_index if last is None else last

    def _read(self, first: int, end: int, bytes_max: int | None = None) -> list[Entry]:
        found: list[Entry] = []
        size = 0
        with self._env.begin() as txn:
            rows = self._tables.rows(txn, first)
            for index in range(first, end):
                key, row = next(rows, (None, None))
                entry = unpack_entry(index, row if key == INDEX.pack(index) else None)
                size += size_of(entry)
                if bytes_max is not None and size > bytes_max and found:
                    break
                found.append(entry)
        return found

    def _read_content(self) -> bytes:
        with self._env.begin() as txn:
            return b"".join(self._tables.chunks(txn, self.snapshot))

    def _read_chunk(self, index: int, number: int) -> bytes | None:
        with self._env.begin(db=self._tables.snapshots) as txn:
            found: bytes | None = txn.get(chunk_key(index, number))
        return found

    def _make_room(self, size: int) -> None:
        """Grow the map while no transaction is open anywhere in this process."""
        used = self._tables.used_bytes
        room = 3 * size + MAP_SPARE_BYTES  # a transaction copies pages before it frees any
        map_bytes = self._env.info()["map_size"]
        if used + room > map_bytes:
            try:
                self._env.set_mapsize(max(2 * map_bytes, used + 2 * room))
            except (lmdb.Error, MemoryError) as error:
                raise StorageLost(self._directory.describe_loss(error)) from error

    def _write_entries(self, txn: Any, job: Job) -> None:
        if job.cut_from == 0:
            txn.drop(self._tables.entries, delete=False)
        cursor = txn.cursor(self._tables.entries)
        if job.cut_from and cursor.set_range(INDEX.pack(job.cut_from)):
            while cursor.delete():
                pass
        last_dropped = INDEX.pack(job.position.base_index)
        while cursor.first() and cursor.key() <= last_dropped:
            cursor.delete()
        cursor.putmulti([pack_entry(entry) for entry in job.entries], append=True)

    def _sweep(self, txn: Any, live: frozenset[int]) -> None:
        """Delete some of the chunks that no snapshot needs any more."""
        cursor = txn.cursor(self._tables.snapshots)
        is_found, deleted = cursor.first(), 0
        while is_found and deleted < SWEEP_MAX:
            index = index_of_chunk(cursor.key())
            if index in live:
                is_found = cursor.set_range(chunk_key(index + 1, 0))
            else:
                is_found = cursor.delete() and cursor.key() != b""  # of the next one, if any
                deleted += 1


def _code_of(error: lmdb.Error | OSError) -> int | None:
    """Return the number by which the system calls an error, if it is one of the system."""
    return error.errno if isinstance(error, OSError) else getattr(error, "code", None)
