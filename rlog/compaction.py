"""A directory that no process uses made small: a snapshot, nothing before it, a file without gaps.

LMDB gives the disk nothing back: what is free within its file waits for later writes.
"""

import os
import shutil

from protocol.errors import Broken
from rlog.archive import Outline
from rlog.directory import LogDirectory
from rlog.dump import WholeDump
from rlog.examine import examine
from rlog.recovery import membership_of
from rlog.rows import Snapshot
from rlog.store import Store, look_into


def compact(directory: str, outline: Outline, content: bytes) -> int:
    """Let `content`, the state at the last committed entry, be the snapshot; drop what it covers.

    Returns how many entries were dropped. Raises: Broken when the directory is in use, or is not
    as the outline says any more.
    """
    store = Store(directory, outline.identity.name, outline.identity.cluster)
    try:
        if (store.committed, store.last, store.snapshot) != (
            outline.position.committed,
            outline.last,
            outline.snapshot,
        ):
            raise Broken(f"{directory} has changed since it was read; is its master running?")
        index, before = store.committed, store.first
        if index > store.snapshot.index:
            _put_snapshot(store, index, content)
        store.compact(index)
        store.write_all()
        return store.first - before
    finally:
        store.close()


def _put_snapshot(store: Store, index: int, content: bytes) -> None:
    term, whole = store.term_at(index), WholeDump(content)
    assert term is not None
    known = membership_of(store).at(index)
    snapshot = Snapshot(
        index=index,
        term=term,
        configuration_index=known.index,
        voters=known.voters,
        size=whole.outline.size,
        crc=whole.outline.crc,
        learners=known.learners,
        cluster_id=store.standing.cluster_id,
    )
    store.put_snapshot(snapshot, whole.outline, whole)
    store.write_all()


def rewrite(directory: str) -> None:
    """Put a copy without gaps in place of the data file, once it is whole and on disk.

    Raises: Broken, OSError; the file is as it was then.
    """
    guard = LogDirectory(directory)
    small = os.path.join(directory, "small")
    shutil.rmtree(small, ignore_errors=True)
    try:
        os.mkdir(small, mode=0o700)
        with look_into(directory) as (tables, txn):
            tables.copy_to(small)
            owner = tables.identity(txn)
        assert owner is not None
        store = Store(small, owner.name, owner.cluster)
        try:
            # LMDB numbers the transactions of a copy anew, and each header tells of one.
            for _ in range(2):
                store.prove_room()
        finally:
            store.close()
        examine(small)
        guard.take_over(small)
    finally:
        shutil.rmtree(small, ignore_errors=True)
        guard.release()
