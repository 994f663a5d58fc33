"""Bits that flip on a disk: in a row under a member at work, anywhere in a file at rest."""

import os
import random

from rlog.store import Store

CHUNK = 4096  # of a file: a page of LMDB
HEADERS = 2 * CHUNK


def flip_in_row(store: Store, rng: random.Random) -> str:
    """Flip one bit of one row's content; return of which table, empty when there is no row.

    A page cannot be damaged under a process that uses it: the process would crash, and it is ours.
    """
    tables = store._tables
    table, name = rng.choice(
        ((tables.meta, "meta"), (tables.entries, "entries"), (tables.snapshots, "snapshots"))
    )
    with tables.env.begin(write=True, db=table) as txn:
        keys = list(txn.cursor().iternext(values=False))
        if not keys:
            return ""
        key = rng.choice(keys)
        row = bytearray(txn.get(key))
        row[rng.randrange(len(row))] ^= 1 << rng.randrange(8)
        txn.put(key, bytes(row))
    return name


def flip_in_file(directory: str, rng: random.Random) -> bool:
    """Flip one bit of a data file behind its headers; False: it is not that long.

    Of the headers one bit flips unseen, as docs/internals/rlog.md says.
    """
    path = os.path.join(directory, "data.mdb")
    size = os.path.getsize(path) if os.path.isfile(path) else 0
    if size <= HEADERS:
        return False
    with open(path, "r+b") as file:
        offset = _find_used(file.fileno(), size, rng)
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << rng.randrange(8)]))
    return True


def _find_used(file: int, size: int, rng: random.Random) -> int:
    """Return a place in a page that was written: most of a file may be a hole."""
    while True:
        offset = rng.randrange(HEADERS, size)
        if any(os.pread(file, CHUNK, offset // CHUNK * CHUNK)):
            return offset
