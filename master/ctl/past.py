"""Where a log can be read from: a directory, a backup, a running cluster."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from master.ctl.asking import connect, run
from master.ctl.entries import Compacted, EntryReader
from master.ctl.kinds import Kind, kind_of_archive, kind_of_contents
from master.ctl.progress import progress
from master.ctl.target import CommandError, Target
from protocol.errors import Malformed
from rlog.archive import Archive
from rlog.backup import Header, check_backup, read_backup
from rlog.log import Committed
from rlog.membership import PAYLOAD, kind_of
from rlog.messages import Entry

TRIES_MAX = 5  # a snapshot that is replaced while it is read makes us begin again
TRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Past:
    """A snapshot and the entries after it."""

    kind: Kind
    content: bytes | None  # of the snapshot; None: the log has none, and all entries
    index: int  # of the snapshot
    committed: int
    last: int  # entries after `committed` may come to nothing
    payloads: Callable[[int], Iterable[Committed]]  # those after the snapshot, up to an index


def past_of_archive(archive: Archive) -> Past:
    """Return what a data directory holds. Raises: CorruptLog."""
    outline = archive.outline
    return Past(
        kind_of_archive(archive),
        archive.snapshot_content(),
        outline.snapshot.index,
        archive.committed,
        outline.last,
        archive.payloads,
    )


def past_of_backup(path: str) -> Past:
    """Return what a backup holds. Raises: CommandError, OSError."""
    chunks: list[bytes] = []
    entries: list[Entry] = []
    try:
        with open(path, "rb") as file:
            header = check_backup(read_backup(file))
            file.seek(0)
            for block in read_backup(file):
                if isinstance(block, bytes):
                    chunks.append(block)
                elif isinstance(block, list):
                    entries += block
    except Malformed as error:
        raise CommandError(f"{path}: {error}") from None
    return _past_of(header, b"".join(chunks), entries)


def past_of_cluster(target: Target) -> Past:
    """Return what the masters keep. Raises: CommandError."""
    return run(_read_cluster(target))


async def _read_cluster(target: Target) -> Past:
    client = await connect(target)
    try:
        for _ in range(TRIES_MAX):
            try:
                return await _read(EntryReader(client))
            except Compacted:
                await asyncio.sleep(TRY_S)
    finally:
        await client.close()
    raise CommandError(
        f"the log was compacted {TRIES_MAX} times while it was read; try again when there is "
        "less to do, or on a master's machine with --data-dir"
    )


async def _read(reader: EntryReader) -> Past:
    content, index = await read_snapshot(reader)
    committed = max(index, (await reader.bounds()).committed)
    entries: list[Entry] = []
    with progress("entries", index + 1, committed) as advance:
        async for entry in reader.read(index + 1, committed):
            entries.append(entry)
            advance(entry.index)
    return _past(content if index else None, index, committed, entries)


async def read_snapshot(reader: EntryReader) -> tuple[bytes, int]:
    """Return the newest snapshot's content and index; nothing and 0 when there is none.

    Raises: Compacted, CommandError.
    """
    parts: list[bytes] = []
    index = 0
    async for part in reader.snapshot():
        index = part.index
        parts.append(part.content)
    return b"".join(parts), index


def _past_of(header: Header, content: bytes, entries: Sequence[Entry]) -> Past:
    index = header.snapshot.index
    return _past(content if index else None, index, header.committed, entries)


def _past(content: bytes | None, index: int, committed: int, entries: Sequence[Entry]) -> Past:
    def payloads(last: int) -> Iterator[Committed]:
        for entry in entries:
            if entry.index <= last and kind_of(entry.command) == PAYLOAD:
                yield Committed(entry.index, entry.term, entry.command[1:])

    first = [content] if content is not None else (e.payload for e in payloads(committed))
    return Past(kind_of_contents(first), content, index, committed, committed, payloads)
