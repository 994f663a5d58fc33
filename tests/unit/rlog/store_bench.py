"""Stores for tests, and what tests do with them."""

import zlib
from pathlib import Path

from rlog.dump import Outline, WholeDump
from rlog.journal import Job
from rlog.messages import Entry
from rlog.rows import Snapshot
from rlog.store import Store


def open_store(path: Path, **options: int) -> Store:
    return Store(str(path / "log"), "a:1", "red", **options)


def fill(store: Store, first: int, end: int, term: int = 1, size: int = 10) -> None:
    for index in range(first, end):
        store.add(Entry(index, term, bytes(size)))


def write(store: Store) -> list[Job]:
    jobs = []
    while store.is_dirty:
        jobs.append(store.take())
        store.write(jobs[-1])
        store.done(jobs[-1])
    return jobs


def snapshot_of(index: int, content: bytes, term: int = 1) -> Snapshot:
    return Snapshot(index, term, 0, ("a:1", "b:1"), len(content), zlib.crc32(content))


def put(store: Store, index: int, content: bytes) -> None:
    """Have a snapshot of our own written."""
    dumping = WholeDump(content)
    store.put_snapshot(snapshot_of(index, content), dumping.outline, dumping)


def spool(store: Store, index: int, content: bytes) -> Outline:
    """Put a leader's snapshot on disk."""
    dumping, taken = WholeDump(content), 0
    while chunks := dumping.take(4):
        for number, chunk in enumerate(chunks, taken):
            store.spool(index, number, chunk)
        taken += len(chunks)
        write(store)
    return dumping.outline


def install(store: Store, index: int, content: bytes, term: int = 1) -> None:
    """Have a leader's snapshot on disk, and begin at it."""
    outline = spool(store, index, content)
    store.install(snapshot_of(index, content, term), outline.checksums)


def reopen(store: Store, path: Path, **options: int) -> Store:
    store.close()
    return open_store(path, **options)
