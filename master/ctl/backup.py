"""`quorate log backup|restore`: a cluster's log into a file, a file into data directories."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from functools import partial

from master.ctl.asking import ask_every_master, identify, run
from master.ctl.entries import Compacted, EntryReader
from master.ctl.kinds import Kind, kind_of_backup
from master.ctl.plain import format_time
from master.ctl.progress import progress
from master.ctl.replay import open_masters_log
from master.ctl.target import CommandError, MisuseError, Target
from protocol.client import OperatorClient
from protocol.errors import Malformed
from protocol.links import parse_address
from protocol.messages.operator import MasterView, SnapshotPart
from rlog.archive import Archive
from rlog.backup import BackupWriter, Header, check_backup, read_backup
from rlog.messages import Entry
from rlog.restore import restore as restore_log
from rlog.rows import Snapshot

TRIES_MAX = 5  # a snapshot that is replaced while it is copied makes us begin again
TRY_S = 1.0
ANSWER_S_MAX = 10.0
ENTRIES_PER_BLOCK = 1000


def back_up(target: Target, path: str) -> None:
    """Copy the log of a running cluster. Raises: CommandError, OSError."""
    header = run(_back_up(target, path))
    _report(path, header)


def back_up_directory(directory: str, path: str) -> None:
    """Copy the log in a master's data directory. Raises: CommandError, Fault, OSError."""
    with open_masters_log(directory) as archive:
        header = _header_of(archive)
        writer = BackupWriter(path, header)
        try:
            _copy(archive, header, writer)
        except BaseException:
            writer.abandon()
            raise
        writer.close()
    _report(path, header)


def restore(path: str, directory: str, name: str, voters: str) -> None:
    """Make the data directory of one master from a backup.

    Raises: CommandError, OSError.
    """
    addresses = tuple(part.strip() for part in voters.split(",")) if voters else (name,)
    for address in (name, *addresses):
        try:
            parse_address(address)
        except ValueError as error:
            raise MisuseError(str(error)) from None
    if name not in addresses:
        raise MisuseError(f"--peers: {voters} does not name this master, {name}")
    try:
        with open(path, "rb") as file:
            header = check_backup(read_backup(file))
            file.seek(0)
            kind = kind_of_backup(read_backup(file))
        with progress("entries", header.snapshot.index + 1, header.committed) as advance:
            restore_log(path, directory, name, addresses, partial(close_log, kind), advance)
    except Malformed as error:
        raise CommandError(f"{path}: {error}") from None
    sys.stdout.write(
        f"{directory}: {header.cluster!r} as of {format_time(header.stamp_ns)}, "
        f"entry {header.committed}\n"
    )
    others = [address for address in addresses if address != name]
    if others:
        sys.stderr.write(
            f"quorate: restore the same backup for {', '.join(others)} before you start any of "
            "them, and let none of the old data directories run again\n"
        )


def close_log(kind: Kind, header: Header) -> bytes:
    """Return the last payload of a restored log."""
    content: bytes = kind.machine.encode(header.stamp_ns, (kind.restored,))
    return content


def _report(path: str, header: Header) -> None:
    sys.stdout.write(
        f"{path}: {os.path.getsize(path)} bytes; {header.cluster!r} as of "
        f"{format_time(header.stamp_ns)}, entry {header.committed}, from {header.source}\n"
    )


# From a directory


def _header_of(archive: Archive) -> Header:
    outline = archive.outline
    return Header(
        cluster=outline.identity.cluster,
        source=outline.identity.name,
        term=outline.position.term,
        committed=archive.committed,
        stamp_ns=archive.modified_ns,
        snapshot=outline.snapshot,
    )


def _copy(archive: Archive, header: Header, writer: BackupWriter) -> None:
    for chunk in archive.snapshot_chunks() if header.snapshot.index else ():
        writer.add_chunk(chunk)
    batch: list[Entry] = []
    first = header.snapshot.index + 1
    with progress("entries", first, header.committed) as advance:
        for entry in archive.entries(first, header.committed):
            batch.append(entry)
            if len(batch) >= ENTRIES_PER_BLOCK:
                writer.add_entries(batch)
                batch = []
            advance(entry.index)
    writer.add_entries(batch)


# From a running cluster


async def _back_up(target: Target, path: str) -> Header:
    for _ in range(TRIES_MAX):
        source = _choose(await ask_every_master(target))
        client = await OperatorClient.connect_agent(source.address, identify(target), ANSWER_S_MAX)
        try:
            return await _copy_over(client, source, path)
        except Compacted:
            await asyncio.sleep(TRY_S)
        finally:
            await client.close()
    raise CommandError(
        f"the log was compacted {TRIES_MAX} times while it was copied; try again when there is "
        "less to do, or on a master's machine with --data-dir"
    )


def _choose(views: list[MasterView]) -> MasterView:
    """Return a follower that has all that is committed, or the leader.

    Raises: CommandError when no master leads.
    """
    leader = next((view for view in views if view.role == "leader"), None)
    if leader is None:
        raise CommandError("no master leads, so nobody knows what is committed; use --data-dir")
    followers = [view for view in views if view.is_reachable and view.role == "follower"]
    complete = [view for view in followers if view.committed >= leader.committed]
    return next(iter(complete), leader)


async def _copy_over(client: OperatorClient, source: MasterView, path: str) -> Header:
    reader = EntryReader(client)
    parts = reader.snapshot()
    first = await anext(parts)
    snapshot = Snapshot(
        first.index,
        first.term,
        first.configuration_index,
        first.voters if first.index else (),
        first.size_bytes,
        first.crc,
    )
    committed = max(first.committed, source.committed)
    header = Header(
        first.cluster, source.address, first.log_term, committed, first.stamp_ns, snapshot
    )
    writer = BackupWriter(path, header)
    try:
        await _copy_content(first, parts, writer)
        await _copy_entries(reader, header, writer)
    except BaseException:
        writer.abandon()
        raise
    writer.close()
    return header


async def _copy_content(
    first: SnapshotPart, rest: AsyncIterator[SnapshotPart], writer: BackupWriter
) -> None:
    copied = 0
    with progress("bytes", 1, first.size_bytes) as advance:
        part: SnapshotPart | None = first
        while part is not None:
            if part.content:
                writer.add_chunk(part.content)
            copied += len(part.content)
            advance(copied)
            part = await anext(rest, None)


async def _copy_entries(reader: EntryReader, header: Header, writer: BackupWriter) -> None:
    first, batch = header.snapshot.index + 1, list[Entry]()
    with progress("entries", first, header.committed) as advance:
        async for entry in reader.read(first, header.committed):
            batch.append(entry)
            if len(batch) >= ENTRIES_PER_BLOCK or entry.index == header.committed:
                writer.add_entries(batch)
                batch = []
            advance(entry.index)
