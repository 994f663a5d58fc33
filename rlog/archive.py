"""A member's directory as it lies on disk: read, checked, never changed, whoever else uses it."""

import contextlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from protocol.errors import CorruptLog, DamagedLog
from rlog.log import Committed
from rlog.membership import CONFIGURATION, PAYLOAD, is_known, kind_of, members_of
from rlog.messages import Entry
from rlog.rows import INDEX, Identity, Position, Snapshot, Standing, check_content, unpack_entry
from rlog.store import Tables, look_into

FINDINGS_MAX = 100  # of one archive; who has more needs no longer list


@dataclass(frozen=True, slots=True)
class Outline:
    """What an archive holds, by its outside. Entries are those from `first` to `last`."""

    identity: Identity
    founded: tuple[str, ...]
    position: Position
    snapshot: Snapshot
    standing: Standing
    last: int
    used_bytes: int

    @property
    def is_replicated(self) -> bool:
        """Whether it is a member's of several; else it is a log of one process for itself."""
        return bool(self.founded or self.standing.cluster_id)

    @property
    def first(self) -> int:
        """Index of the first entry held."""
        return self.position.base_index + 1

    @property
    def entries(self) -> int:
        """How many entries are held."""
        return self.last - self.position.base_index


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with an archive."""

    text: str
    is_damage: bool = True  # or whole, but not for this version

    def __str__(self) -> str:
        return self.text


class Archive:
    """One moment of a log; what others write meanwhile is not seen."""

    def __init__(self, tables: Tables, txn: Any) -> None:
        """Raises: CorruptLog when its outline cannot be read."""
        self._tables, self._txn = tables, txn
        self.modified_ns = tables.modified_ns
        tables.check_keys(txn)
        identity = tables.identity(txn)
        if identity is None:
            raise CorruptLog("the log was never started: it has no owner")
        position = tables.position(txn)
        last = tables.last(txn)
        self.outline = Outline(
            identity=identity,
            founded=tables.founded(txn),
            position=position,
            snapshot=tables.snapshot(txn),
            standing=tables.standing(txn),
            last=position.base_index if last is None else last,
            used_bytes=tables.used_bytes,
        )

    @cached_property
    def committed(self) -> int:
        """Index up to which all is surely committed: of a sole voter, everything on its disk.

        Of several they may have committed more than this one was told. Raises: CorruptLog.
        """
        outline = self.outline
        voters = outline.snapshot.voters if outline.snapshot.index else outline.founded
        for entry in self.entries(outline.snapshot.index + 1, outline.last):
            if kind_of(entry.command) == CONFIGURATION:
                voters, _ = members_of(entry.command)
        is_sole = voters == (outline.identity.name,)
        return outline.last if is_sole else outline.position.committed

    def entries(self, first: int, last: int) -> Iterator[Entry]:
        """Yield the entries of these indexes, both included. Raises: CorruptLog."""
        expected = first
        for key, row in self._tables.rows(self._txn, first):
            if expected > last:
                return
            yield unpack_entry(expected, row if key == INDEX.pack(expected) else None)
            expected += 1
        if expected <= last:
            raise DamagedLog(f"entry {expected} is missing")

    def payloads(self, last: int) -> Iterator[Committed]:
        """Yield the payloads after the snapshot, up to the entry `last`. Raises: CorruptLog."""
        for entry in self.entries(self.outline.snapshot.index + 1, last):
            if kind_of(entry.command) == PAYLOAD:
                yield Committed(entry.index, entry.term, entry.command[1:])

    def snapshot_chunks(self) -> Iterator[bytes]:
        """Yield the content of the snapshot, not checked."""
        return self._tables.chunks(self._txn, self.outline.snapshot)

    def snapshot_content(self) -> bytes | None:
        """Return the content of the snapshot; None: there is none yet. Raises: CorruptLog."""
        snapshot = self.outline.snapshot
        if not snapshot.index:
            return None
        content = b"".join(self.snapshot_chunks())
        if not check_content(snapshot, content):
            raise DamagedLog(f"the snapshot of entry {snapshot.index} fails its checksum")
        return content

    def check(self, on_entry: Callable[[int], None] = lambda index: None) -> Iterator[Finding]:
        """Read everything and yield what is wrong with it; `on_entry` hears of the progress."""
        yield from self._check_outline()
        yield from self._check_snapshot()
        expected, term = self.outline.first, self.outline.position.base_term
        for key, row in self._tables.rows(self._txn, 0):
            found = INDEX.unpack(key)[0] if len(key) == INDEX.size else None
            if found is None or found < expected:
                yield Finding(f"a row under the key {key.hex()} is no entry of this log")
                continue
            if found > expected:
                yield _missing(expected, found - 1)
            try:
                entry = unpack_entry(found, row)
            except CorruptLog as error:
                yield Finding(str(error))
            else:
                yield from self._check_entry(entry, term)
                term = entry.term
            expected = found + 1
            on_entry(found)

    def _check_outline(self) -> Iterator[Finding]:
        outline, position = self.outline, self.outline.position
        if outline.last < position.committed:
            yield _missing(outline.last + 1, position.committed)
        if not position.base_index <= outline.snapshot.index <= position.committed:
            yield Finding(
                f"the snapshot of entry {outline.snapshot.index} does not join the entries "
                f"{outline.first} to {position.committed}"
            )

    def _check_snapshot(self) -> Iterator[Finding]:
        snapshot, size, crc = self.outline.snapshot, 0, 0
        for chunk in self.snapshot_chunks() if snapshot.index else ():
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
        if (size, crc) != (snapshot.size, snapshot.crc):
            yield Finding(f"the snapshot of entry {snapshot.index} fails its checksum")

    def _check_entry(self, entry: Entry, previous_term: int) -> Iterator[Finding]:
        if not previous_term <= entry.term <= self.outline.position.term:
            yield Finding(
                f"entry {entry.index} is of term {entry.term}, out of order after "
                f"term {previous_term} in term {self.outline.position.term}"
            )
        if not is_known(entry.command):
            text = f"entry {entry.index} is of a kind this version does not know"
            yield Finding(text, is_damage=False)


@contextlib.contextmanager
def open_archive(directory: str) -> Iterator[Archive]:
    """Give the log that lies in a directory. Raises: Broken, CorruptLog."""
    with look_into(directory) as (tables, txn):
        try:
            archive = Archive(tables, txn)
        except CorruptLog as error:
            raise type(error)(f"{directory}: {error}") from error
        yield archive


def _missing(first: int, last: int) -> Finding:
    if first == last:
        return Finding(f"entry {first} is missing")
    return Finding(f"entries {first} to {last} are missing")
