"""The journal on a disk that is small, full or failing."""

import errno
import os
from pathlib import Path

import pytest

from protocol.errors import DiskFull, StorageLost
from rlog.store import Store
from tests.faults.disks import small_disk
from tests.unit.rlog.store_bench import fill, open_store, put, write


def test_file_stays_bounded_though_writing_never_ceases(tmp_path: Path) -> None:
    keep, size, content = 100, 10_000, os.urandom(3 << 20)
    store = open_store(tmp_path, map_bytes=1 << 20, tail_max=8)
    retained = keep * size + len(content)
    written, sizes = 0, []
    while written < 20 * retained:
        fill(store, store.last + 1, store.last + 101, size=size)
        written += 100 * size
        write(store)
        store.set_committed(store.last)
        if store.last - store.snapshot.index >= 2 * keep:
            put(store, store.last, content)
            written += len(content)
            write(store)
            store.compact(store.last - keep)
            write(store)
        sizes.append(os.stat(tmp_path / "log" / "data.mdb").st_size)
    print(f"{written >> 20} MiB written, {retained >> 20} MiB retained, {sizes[-1] >> 20} MiB used")
    assert max(sizes) < 4 * retained  # two snapshots, entries up to the next one, freed pages
    assert sizes[-1] == sizes[len(sizes) // 2], "it grows no more"
    store.close()


@pytest.mark.parametrize("size", [10, 3_000, 100_000])
def test_disk_that_fills_up_is_told_from_one_that_fails(tmp_path: Path, size: int) -> None:
    with small_disk(tmp_path / "small", 3):
        store = open_store(tmp_path / "small")
        with pytest.raises(DiskFull, match=rf"{tmp_path}.*bytes free") as refused:
            while True:
                fill(store, store.last + 1, store.last + 20, size=size)
                write(store)
        print(refused.value)
        held = store.durable
        store.close()
        store = open_store(tmp_path / "small")
        assert store.last == held
        assert [e.index for e in store.range(1, held + 1, 1 << 30)] == list(range(1, held + 1))
        with pytest.raises(StorageLost):
            while True:
                fill(store, store.last + 1, store.last + 20, size=size)
                write(store)
        store.close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EIO, StorageLost),
        (errno.EROFS, StorageLost),
    ],
)
def test_failure_of_a_disk_with_room_is_no_full_disk(
    store: Store, code: int, kind: type[StorageLost]
) -> None:
    assert type(store._directory.lose(OSError(code, "failed"), code)) is kind
