"""The journal in LMDB: what survives, what is noticed, who is let in."""

import multiprocessing
import os
from pathlib import Path

import lmdb
import pytest

from protocol.errors import Broken, CorruptLog, StorageLost
from rlog import rows
from rlog.journal import Job
from rlog.messages import Entry
from rlog.store import Store
from tests.unit.rlog.store_bench import fill, install, open_store, put, reopen, write


def spoil(path: Path, database: bytes, key: bytes, value: bytes | None) -> None:
    """Change one row behind the store's back."""
    with lmdb.open(str(path / "log"), max_dbs=3) as env:
        table = env.open_db(database)
        with env.begin(write=True, db=table) as txn:
            row = bytearray(txn.get(key) or b"")
            if value is None:
                txn.delete(key)
            else:
                row[-1] ^= 0x01
                txn.put(key, bytes(row))


def test_written_entries_and_position_survive(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, 1, 6, term=2)
    store.set_term(3, "b:1")
    store.set_committed(4)
    write(store)
    store = reopen(store, tmp_path)
    assert (store.term, store.vote, store.committed, store.last) == (3, "b:1", 4, 5)
    assert [e.term for e in store.range(1, 9)] == [2] * 5
    store.close()


def test_unwritten_entries_are_lost_by_a_crash(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, 1, 4)
    write(store)
    fill(store, 4, 9)
    store.take()  # under way, never written
    store = reopen(store, tmp_path)
    assert store.last == 3
    store.close()


def test_durable_follows_only_what_was_written(store: Store) -> None:
    fill(store, 1, 4)
    job = store.take()
    fill(store, 4, 6)
    store.write(job)
    store.done(job)
    assert (store.durable, store.durable_version < store.version) == (3, True)


def test_entries_taken_back_during_a_write_are_not_durable(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, 1, 6)
    job = store.take()
    store.truncate(3)
    fill(store, 3, 4, term=2)
    store.write(job)
    store.done(job)
    assert store.durable == 2
    write(store)
    store = reopen(store, tmp_path)
    assert [e.term for e in store.range(1, 9)] == [1, 1, 2]
    store.close()


def test_truncation_survives_a_restart(tmp_path: Path) -> None:
    store = open_store(tmp_path, tail_max=4)
    fill(store, 1, 40)
    write(store)
    store.truncate(10)
    write(store)
    store = reopen(store, tmp_path)
    assert store.last == 9
    store.close()


def test_truncation_of_committed_entries_is_refused(store: Store) -> None:
    fill(store, 1, 6)
    store.set_committed(4)
    with pytest.raises(AssertionError, match="entry 4 is committed"):
        store.truncate(4)


def test_range_reads_across_disk_and_memory(tmp_path: Path) -> None:
    store = open_store(tmp_path, tail_max=4)
    fill(store, 1, 30)
    write(store)
    store = reopen(store, tmp_path, tail_max=4)
    fill(store, 30, 33)
    assert [e.index for e in store.range(20, 99)] == list(range(20, 33))
    assert [e.index for e in store.range(2, 99, bytes_max=1)] == [2]
    store.close()


def test_memory_holds_the_tail_alone_though_entries_never_cease_to_come(tmp_path: Path) -> None:
    store = open_store(tmp_path, tail_max=4)
    fill(store, 1, 3)
    for first in range(3, 60, 2):
        job = store.take()
        store.write(job)
        fill(store, first, first + 2)  # while the disk was busy
        store.done(job)
        assert len(store._tail) <= 2 * 4 + 4
    assert [e.index for e in store.range(1, 99)] == list(range(1, 61))
    write(store)
    store = reopen(store, tmp_path)
    assert [e.index for e in store.range(1, 99)] == list(range(1, 61))
    store.close()


def test_flipped_bit_in_an_entry_is_noticed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, 1, 6)
    write(store)
    store.close()
    spoil(tmp_path, b"entries", rows.INDEX.pack(3), b"flip")
    with pytest.raises(CorruptLog, match="entry 3 fails its checksum"):
        open_store(tmp_path)


def test_missing_entry_is_noticed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, 1, 6)
    write(store)
    store.close()
    spoil(tmp_path, b"entries", rows.INDEX.pack(3), None)
    with pytest.raises(CorruptLog, match="entry 3 is missing"):
        open_store(tmp_path)


def test_flipped_bit_in_the_vote_is_noticed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.set_term(3, "b:1")
    write(store)
    store.close()
    spoil(tmp_path, b"meta", b"position", b"flip")
    with pytest.raises(CorruptLog, match="term and vote"):
        open_store(tmp_path)


def test_flipped_bit_in_a_snapshot_is_noticed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, 1, 6)
    store.set_committed(5)
    put(store, 5, b"content")
    write(store)
    store.close()
    key = rows.chunk_key(5, 0)
    spoil(tmp_path, b"snapshots", key, b"flip")
    store = open_store(tmp_path)
    with pytest.raises(CorruptLog, match="snapshot of entry 5"):
        store.load_snapshot()
    store.close()


def test_snapshot_counts_only_when_all_of_it_is_on_disk(tmp_path: Path) -> None:
    content = os.urandom(9 << 20)  # several jobs
    store = open_store(tmp_path)
    fill(store, 1, 6)
    store.set_committed(5)
    put(store, 5, content)
    job = store.take()
    store.write(job)
    assert store.done(job) is None
    store = reopen(store, tmp_path)  # a crash in between
    assert store.load_snapshot() is None
    put(store, 5, content)
    assert len(write(store)) == 5
    store = reopen(store, tmp_path)
    assert store.load_snapshot() == content
    store.close()


def test_compaction_drops_entries_bit_by_bit(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, 1, 10_001)
    store.set_committed(10_000)
    put(store, 10_000, b"")
    write(store)
    store.compact(9_990)
    job = store.take()
    store.write(job)
    store.done(job)
    store = reopen(store, tmp_path)  # a crash in the middle of it
    assert (store.base_index, store.last) == (4096, 10_000)
    store.compact(9_990)
    write(store)
    store = reopen(store, tmp_path)
    assert [e.index for e in store.range(store.first, 99_999)] == list(range(9_991, 10_001))
    assert store.term_at(9_990) == 1
    store.close()


def test_installed_snapshot_replaces_a_log_that_does_not_reach_it(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, 1, 6)
    write(store)
    install(store, 100, b"new", term=4)
    assert (store.last, store.term_at(100), store.load_snapshot()) == (100, 4, b"new")
    fill(store, 101, 103, term=4)
    write(store)
    store = reopen(store, tmp_path)
    assert (store.first, store.last, store.committed) == (101, 102, 100)
    assert store.load_snapshot() == b"new"
    store.close()


def test_installed_snapshot_is_not_durable_before_it_is_written(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, 1, 6)
    write(store)
    install(store, 100, b"new", term=4)
    assert store.durable < 100
    store = reopen(store, tmp_path)
    assert (store.last, store.load_snapshot()) == (5, None)
    store.close()


def test_installed_snapshot_keeps_entries_that_go_on_from_it(store: Store) -> None:
    fill(store, 1, 20)
    write(store)
    install(store, 10, b"new")
    write(store)
    assert (store.last, store.durable, store.committed) == (19, 19, 10)


def test_map_grows_with_what_is_written(tmp_path: Path) -> None:
    store = open_store(tmp_path, map_bytes=1 << 20)
    for first in range(1, 60, 6):
        fill(store, first, first + 6, size=1 << 20)
        write(store)
    store = reopen(store, tmp_path, map_bytes=1 << 20)
    assert store.last == 60
    store.close()


def test_full_disk_is_told_with_path_and_free_space(store: Store, tmp_path: Path) -> None:
    fill(store, 1, 2)
    job = store.take()
    store._env.set_mapsize(1 << 16)  # LMDB reports a full map as it does a full disk
    big = [Entry(index, 1, bytes(1 << 16)) for index in range(2, 9)]
    crowded = Job(**{name: getattr(job, name) for name in Job.__slots__} | {"entries": big})
    with pytest.raises(StorageLost, match=rf"{tmp_path}.*bytes free"):
        store.write(crowded)


def test_directory_of_another_member_is_refused(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    with pytest.raises(Broken, match=r"belongs to a:1 of cluster 'red'.*not to b:1"):
        Store(str(tmp_path / "log"), "b:1", "red")
    with pytest.raises(Broken, match="not to a:1 of cluster 'blue'"):
        Store(str(tmp_path / "log"), "a:1", "blue")


def test_directory_in_use_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(Broken, match=rf"in use by another process \(pid {os.getpid()}\)"):
        open_store(tmp_path)


def _open_elsewhere(path: Path) -> str:
    try:
        open_store(path)
    except Broken as error:
        return str(error)
    return "opened"


def test_directory_in_use_by_another_process_is_refused(store: Store, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert "in use by another process" in pool.apply(_open_elsewhere, (tmp_path,))


def test_founding_voters_stay_those_of_the_first_start(store: Store) -> None:
    assert store.found(("a:1", "b:1", "c:1")) == ("a:1", "b:1", "c:1")
    assert store.found(("a:1",)) == ("a:1", "b:1", "c:1")


def test_directory_of_the_first_schema_is_sealed_when_it_is_opened(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.found(("a:1", "b:1"))
    store.close()
    with lmdb.open(str(tmp_path / "log"), max_dbs=3) as env:
        meta = env.open_db(b"meta")
        with env.begin(write=True, db=meta) as txn:
            txn.put(b"identity", b"schema 1\na:1\nred")
            txn.put(b"voters", b"a:1,b:1")
    for _ in range(2):
        store = open_store(tmp_path)
        assert store.found(("c:1",)) == ("a:1", "b:1")
        store.close()
    spoil(tmp_path, b"meta", b"voters", b"")
    with pytest.raises(CorruptLog, match="the list of its founders fails its checksum"):
        open_store(tmp_path)


def test_damaged_identity_is_noticed(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    spoil(tmp_path, b"meta", b"identity", b"")
    with pytest.raises(CorruptLog, match="the name of its owner fails its checksum"):
        open_store(tmp_path)


def test_directory_of_a_newer_schema_is_refused(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    with lmdb.open(str(tmp_path / "log"), max_dbs=3) as env:
        meta = env.open_db(b"meta")
        with env.begin(write=True, db=meta) as txn:
            txn.put(b"identity", rows.pack_words(("schema 4", "a:1", "red")))
    with pytest.raises(Broken, match="schema 4; this version writes schema 3"):
        open_store(tmp_path)
