"""Files of a member with flipped bits, cut short or torn: nothing wrong is ever read from them."""

import contextlib
import faulthandler
import itertools
import os
import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.errors import Broken, CorruptLog, DamagedLog
from rlog.dump import WholeDump
from rlog.examine import examine
from rlog.messages import Entry
from rlog.repair import prepare
from rlog.rows import Standing
from rlog.store import Store
from tests.faults.storing import finish, snapshot_of

FLIPS = 1_000
CUTS = 150
VOTERS = ("a:1", "b:1", "c:1")
SNAPSHOT = bytes(range(256)) * 1200
ENTRIES = 300


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The data file of a store with a snapshot, entries of several sizes and a vote."""
    directory = tmp_path_factory.mktemp("original") / "log"
    store = Store(str(directory), "a:1", "red", map_bytes=8 << 20)
    store.found(VOTERS)
    store.set_standing(Standing("red-1"))
    store.set_term(3, "b:1")
    for index in range(1, ENTRIES + 1):
        store.add(entry(index))
        if index % 20 == 0:
            finish(store, lambda: None)
    store.set_committed(200)
    whole = WholeDump(SNAPSHOT)
    snapshot = replace(snapshot_of(150, whole), voters=VOTERS)
    store.put_snapshot(snapshot, whole.outline, whole)
    finish(store, lambda: None)
    store.compact(100)
    finish(store, lambda: None)
    store.close()
    content = (directory / "data.mdb").read_bytes()
    assert read(directory) == "whole"
    return content


def entry(index: int) -> Entry:
    return Entry(index, 1, bytes((0, index % 256)) * (9000 if index % 50 == 0 else 20))


def test_flipped_bit_anywhere_is_refused_or_does_no_harm(original: bytes, tmp_path: Path) -> None:
    rng, seen = random.Random(1), Counter[str]()
    for _ in range(FLIPS):
        damaged = bytearray(original)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        seen[look(damaged, tmp_path)] += 1
    print(dict(seen))
    assert seen["refused"] > FLIPS // 10
    assert seen.keys() <= {"refused", "whole"}


def test_flipped_bit_in_a_header_is_refused_or_does_no_harm(
    original: bytes, tmp_path: Path
) -> None:
    rng, seen = random.Random(2), Counter[str]()
    for _ in range(FLIPS // 5):
        damaged = bytearray(original)
        damaged[rng.choice((0, 4096)) + rng.randrange(152)] ^= 1 << rng.randrange(8)
        seen[look(damaged, tmp_path)] += 1
    print(dict(seen))
    assert seen.keys() <= {"refused", "whole"}


def test_damaged_file_is_set_aside_for_one_that_knows_no_more_than_its_cluster(
    original: bytes, tmp_path: Path
) -> None:
    rng, seen = random.Random(4), Counter[str]()
    for _ in range(CUTS // 3):
        damaged, place = bytearray(original), rng.randrange(len(original) // 512) * 512
        damaged[place : place + 512] = rng.randbytes(len(damaged[place : place + 512]))
        put(damaged, tmp_path / "log")
        try:
            is_new = prepare(str(tmp_path / "log"), "a:1", "red", is_repairing=True)
        except CorruptLog:
            seen["refused"] += 1
        else:
            seen[look_at_new(tmp_path / "log") if is_new else read(tmp_path / "log")] += 1
    print(dict(seen))
    assert seen["repaired"] > seen["refused"]
    assert seen.keys() <= {"repaired", "refused", "whole"}


def look_at_new(directory: Path) -> str:
    store = Store(str(directory), "a:1", "red", map_bytes=8 << 20)
    held = (store.term, store.last, store.found(()), store.standing.cluster_id)
    is_amnesiac = bool(store.standing.amnesia_until)
    store.close()
    return "repaired" if held == (0, 0, VOTERS, "red-1") and is_amnesiac else f"wrong: {held}"


@pytest.mark.parametrize("more", range(4))
def test_flip_in_the_number_of_a_transaction_is_found(
    original: bytes, tmp_path: Path, more: int
) -> None:
    """Also one that makes the newest look two older, or the older newer: LMDB would go back."""
    put(original, tmp_path / "log")
    store = Store(str(tmp_path / "log"), "a:1", "red", map_bytes=8 << 20)
    for _ in range(more):
        store.add(Entry(store.last + 1, 3, b"\0x"))
        finish(store, lambda: None)
    store.close()
    content = (tmp_path / "log" / "data.mdb").read_bytes()
    examine(str(tmp_path / "log"))
    for header, bit in itertools.product((0, 4096), range(16)):
        damaged = bytearray(content)
        damaged[header + 144 + bit // 8] ^= 1 << bit % 8
        put(damaged, tmp_path / "log")
        with pytest.raises(DamagedLog, match="header"):
            examine(str(tmp_path / "log"))


@pytest.mark.parametrize("fault", ["cut", "torn"])
def test_file_that_lacks_a_part_is_refused_or_does_no_harm(
    original: bytes, tmp_path: Path, fault: str
) -> None:
    rng, seen = random.Random(3), Counter[str]()
    for _ in range(CUTS):
        damaged, place = bytearray(original), rng.randrange(len(original))
        if fault == "cut":
            del damaged[place:]
        else:
            damaged[place : place + 512] = bytes(len(damaged[place : place + 512]))
        seen[look(damaged, tmp_path)] += 1
    print(dict(seen))
    assert seen["refused"] > CUTS // 4
    assert seen.keys() <= {"refused", "whole"}


def test_refusal_names_the_file_and_the_entry(original: bytes, tmp_path: Path) -> None:
    damaged = bytearray(original)
    place = damaged.index(entry(250).command) + 100
    damaged[place] ^= 1
    put(damaged, tmp_path / "log")
    with pytest.raises(CorruptLog) as refused:
        examine(str(tmp_path / "log"))
    print(refused.value)
    assert str(refused.value) == f"{tmp_path}/log/data.mdb: entry 250 fails its checksum"


def test_directory_that_was_never_used_is_in_order(tmp_path: Path) -> None:
    examine(str(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


def put(content: bytes | bytearray, directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    (directory / "data.mdb").write_bytes(content)


def look(content: bytes | bytearray, path: Path) -> str:
    """Return what comes of a data file: refused, whole, or whatever must not be."""
    put(content, path / "log")
    try:
        examine(str(path / "log"))
    except CorruptLog:
        return "refused"
    return read(path / "log")


def read(directory: Path) -> str:
    """Open and read all in a child; return what it saw, or the signal that ended it."""
    words = ("whole", "refused", "wrong")
    child = os.fork()
    if child == 0:
        faulthandler.disable()  # it is no news that reading may crash
        with contextlib.suppress(BaseException):
            os._exit(words.index(compare(directory)))
        os._exit(99)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return words[code] if 0 <= code < len(words) else f"ended with {code}"


def compare(directory: Path) -> str:
    try:
        store = Store(str(directory), "a:1", "red", map_bytes=8 << 20)
        held = store.range(store.first, store.last + 1, 1 << 30)
        content = store.load_snapshot()
    except Broken:
        return "refused"
    outside = (store.term, store.vote, store.committed, store.first, store.last)
    is_whole = (
        outside == (3, "b:1", 200, 101, ENTRIES)
        and held == [entry(index) for index in range(101, ENTRIES + 1)]
        and content == SNAPSHOT
    )
    return "whole" if is_whole else "wrong"
