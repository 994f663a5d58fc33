"""A log brought back from a backup: a new directory of a member that then starts as usual."""

import os
import shutil
import zlib
from collections.abc import Callable

from protocol.errors import Broken, Malformed
from rlog.backup import Header, check_backup, read_backup
from rlog.dump import WholeDump
from rlog.journal import CHUNKS_MAX
from rlog.membership import CONFIGURATION, FOUNDING, kind_of, noop_command, payload_command
from rlog.messages import Entry
from rlog.rows import Snapshot
from rlog.store import Store

# Agents and frameworks remember the highest term they heard of, and follow no smaller one; the log
# that was lost may have been many elections ahead of its backup.
TERMS_SKIPPED = 1_000_000


def restore(
    path: str,
    directory: str,
    name: str,
    voters: tuple[str, ...],
    closing: Callable[[Header], bytes],
    on_entry: Callable[[int], None] = lambda index: None,
) -> Header:
    """Make the directory of one member of a restored log; nothing is there before it is whole.

    All voters must be restored from the same backup, since none of them knows anything else. What
    `closing` returns becomes the last payload, and must be the same for all of them.
    Raises: Malformed for a backup that cannot be used; Broken when the directory is in use.
    """
    with open(path, "rb") as file:
        header = check_backup(read_backup(file))
    if os.path.isdir(directory) and os.listdir(directory):
        raise Broken(f"{directory} is not empty; move away what is in it")
    unfinished = f"{os.path.abspath(directory)}.restoring"
    shutil.rmtree(unfinished, ignore_errors=True)
    store = Store(unfinished, name, header.cluster)
    try:
        _fill(store, path, voters, on_entry)
        _close(store, closing(header))
    except BaseException:
        store.close()
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    store.close()
    os.makedirs(os.path.dirname(os.path.abspath(directory)), exist_ok=True)
    os.rename(unfinished, directory)
    handle = os.open(os.path.dirname(os.path.abspath(directory)), os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return header


def _fill(
    store: Store, path: str, voters: tuple[str, ...], on_entry: Callable[[int], None]
) -> None:
    voters = store.found(tuple(sorted(voters)))
    content = bytearray()
    header: Header | None = None
    with open(path, "rb") as file:
        for block in read_backup(file):
            if isinstance(block, Header):
                header = block
                store.set_term(header.term + TERMS_SKIPPED, "")
            elif isinstance(block, bytes):
                content += block
            elif isinstance(block, list):
                assert header is not None
                _install(store, header.snapshot, content, voters)
                _add(store, block)
                on_entry(store.last)
    assert header is not None
    _install(store, header.snapshot, content, voters)


def _close(store: Store, payload: bytes) -> None:
    term = store.term_at(store.last)
    assert term is not None
    store.add(Entry(store.last + 1, term, payload_command(payload)))
    store.set_committed(store.last)
    store.write_all()


def _install(store: Store, snapshot: Snapshot, content: bytearray, voters: tuple[str, ...]) -> None:
    """Begin at the snapshot, once; the voters are those of the restored log."""
    if not snapshot.index or store.snapshot.index:
        return
    if zlib.crc32(content) != snapshot.crc:
        raise Malformed("the backup changed while it was read")
    restored = Snapshot(snapshot.index, snapshot.term, 0, voters, snapshot.size, snapshot.crc)
    whole, number = WholeDump(bytes(content)), 0
    while chunks := whole.take(CHUNKS_MAX):
        for chunk in chunks:
            store.spool(snapshot.index, number, chunk)
            number += 1
        store.write_all()
    store.install(restored, whole.outline.checksums)
    store.write_all()


def _add(store: Store, entries: list[Entry]) -> None:
    for entry in entries:
        # The restored log is a cluster of its own, which its first leader gives an id.
        is_of_old = kind_of(entry.command) in (CONFIGURATION, FOUNDING)
        command = noop_command() if is_of_old else entry.command
        store.add(Entry(entry.index, entry.term, command))
    store.set_committed(store.last)
    store.write_all()
