"""Files of a member with flipped bits, cut short or torn: nothing wrong is ever read from them."""

import contextlib
import faulthandler
import os
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from protocol.errors import Broken, CorruptLog
from rlog.dump import WholeDump
from rlog.examine import examine
from rlog.messages import Entry
from rlog.store import Store
from tests.faults.storing import finish, snapshot_of

FLIPS = 1_000
CUTS = 150
SNAPSHOT = bytes(range(256)) * 1200
ENTRIES = 300


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The data file of a store with a snapshot, entries of several sizes and a vote."""
    directory = tmp_path_factory.mktemp("original") / "log"
    store = Store(str(directory), "a:1", "red", map_bytes=8 << 20)
    store.set_term(3, "b:1")
    for index in range(1, ENTRIES + 1):
        store.add(entry(index))
        if index % 20 == 0:
            finish(store, lambda: None)
    store.set_committed(200)
    whole = WholeDump(SNAPSHOT)
    store.put_snapshot(snapshot_of(150, whole), whole.outline, whole)
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


def test_refusal_names_the_file_the_entry_and_the_repair(original: bytes, tmp_path: Path) -> None:
    damaged = bytearray(original)
    place = damaged.index(entry(250).command) + 100
    damaged[place] ^= 1
    put(damaged, tmp_path / "log")
    with pytest.raises(CorruptLog) as refused:
        examine(str(tmp_path / "log"))
    print(refused.value)
    assert str(refused.value) == (
        f"{tmp_path}/log/data.mdb: entry 250 fails its checksum; to have it filled anew by the "
        f"other members: mv {tmp_path}/log {tmp_path}/log.damaged, and start again; "
        "a lone one needs its backup"
    )


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
