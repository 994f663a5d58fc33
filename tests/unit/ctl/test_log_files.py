"""What the tools make of a master's directory, sound or damaged."""

import json
import os
import random
import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest

from master.core.snapshot import dump
from master.core.state import State
from master.ctl.log_files import export, verify
from master.ctl.past import past_of_archive
from master.ctl.replay import Replay, open_masters_log, replay
from master.ctl.target import CommandError, MisuseError
from protocol.errors import Broken
from rlog.archive import open_archive
from rlog.dump import WholeDump
from rlog.membership import configuration_command, noop_command, payload_command
from rlog.messages import Entry
from rlog.rows import Snapshot
from rlog.store import Store
from tests.unit.master.leader import Leader
from tests.unit.master.test_machine import busy_leader

FLIPS = 150
SNAPSHOT_AT = 6


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A master's directory: a noop, a configuration, and the log of a busy leader."""
    directory = tmp_path_factory.mktemp("sound") / "m1"
    write_log(directory, busy_leader(), snapshot_at=0)
    return directory


@pytest.fixture(scope="module")
def snapshotted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("snapshotted") / "m1"
    write_log(directory, busy_leader(), SNAPSHOT_AT)
    return directory


def write_log(directory: Path, leader: Leader, snapshot_at: int) -> None:
    store = Store(str(directory), "m1:7000", "red")
    store.found(("m1:7000",))
    store.set_term(1, "m1:7000")
    store.add(Entry(1, 1, noop_command()))
    store.add(Entry(2, 1, configuration_command(("m1:7000",))))
    for payload in leader.log:
        store.add(Entry(store.last + 1, 1, payload_command(payload)))
    store.set_committed(store.last)
    if snapshot_at:
        folded = busy_leader()
        folded.log = folded.log[: snapshot_at - 2]
        content = dump(folded.replay())
        outside = Snapshot(snapshot_at, 1, 2, ("m1:7000",), len(content), zlib.crc32(content))
        whole = WholeDump(content)
        store.put_snapshot(outside, whole.outline, whole)
    while store.is_dirty:
        job = store.take()
        store.write(job)
        store.done(job)
    store.close()


def exported(directory: Path, capsys: pytest.CaptureFixture[str], **how: Any) -> list[Any]:
    capsys.readouterr()
    export(str(directory), how.get("first", 1), how.get("last", 0), "-", is_with_state=True)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def replayed(directory: Path, capsys: pytest.CaptureFixture[str], until: str = "") -> Any:
    capsys.readouterr()
    with open_masters_log(str(directory)) as archive:
        replay(past_of_archive(archive), until, 0, "json")
    return json.loads(capsys.readouterr().out)


def test_sound_log_has_no_findings(sound: Path, capfd: pytest.CaptureFixture[str]) -> None:
    verify(str(sound))
    assert "no findings" in capfd.readouterr().out


def test_export_names_every_event_and_field(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = exported(sound, capsys)
    assert [line["kind"] for line in lines[:3]] == ["snapshot", "noop", "configuration"]
    events = [line for line in lines if line["kind"] == "event"]
    assert [line["event"] for line in events] == [type(e).__name__ for e in busy_leader().events]
    launched = next(line for line in events if line["event"] == "TaskLaunched")
    assert launched["fields"]["description"]["resources"]["cpus_milli"] > 0
    assert launched["stamp"].endswith("Z")


def test_export_keeps_to_the_entries_asked_for(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = exported(sound, capsys, first=4, last=6)
    assert sorted({line["index"] for line in lines[1:]}) == [4, 5, 6]


def test_replay_reaches_the_leaders_state(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leader = busy_leader()
    with open_archive(str(sound)) as archive:
        whole = Replay.of_archive(archive)
        whole.run(archive.payloads(archive.outline.last), lambda index: None)
    assert isinstance(whole.state, State)
    assert dump(whole.state) == dump(leader.replay())


def test_replay_from_a_snapshot_ends_where_the_whole_log_does(
    sound: Path, snapshotted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replayed(sound, capsys) == replayed(snapshotted, capsys)


def test_replay_until_an_entry_or_its_time_is_the_same(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [line for line in exported(sound, capsys) if line["kind"] == "event"]
    stamp = next(line["stamp"] for line in events if line["event"] == "TaskLaunched")
    last = max(line["index"] for line in events if line["stamp"] <= stamp)
    at_entry = replayed(sound, capsys, str(last))
    assert at_entry == replayed(sound, capsys, stamp)
    assert [task["task_id"] for task in at_entry["tasks"]] == ["t1"]


@pytest.mark.parametrize(
    ("until", "trouble", "text"),
    [
        ("99", MisuseError, "the log ends at entry"),
        ("yesterday", MisuseError, "neither an entry nor a time"),
        ("3", CommandError, "begins with the snapshot of entry 6"),
        ("1970-01-01T00:00:01Z", CommandError, "begins with the snapshot of entry 6"),
    ],
)
def test_replay_refuses_what_it_cannot_reach(
    snapshotted: Path,
    capsys: pytest.CaptureFixture[str],
    until: str,
    trouble: type[Exception],
    text: str,
) -> None:
    with pytest.raises(trouble, match=text):
        replayed(snapshotted, capsys, until)


def test_directory_without_a_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(Broken, match=r"holds no log: there is no data\.mdb in it"):
        verify(str(tmp_path))


def test_file_that_is_no_environment_is_a_finding(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data.mdb").write_bytes(random.Random(1).randbytes(1 << 16))
    with pytest.raises(CommandError, match="this copy must not serve"):
        verify(str(tmp_path))
    assert str(tmp_path) in capfd.readouterr().out


def test_flipped_bit_is_found_or_does_no_harm(
    snapshotted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Bits in free pages and in the older of two headers carry nothing."""
    rng = random.Random(7)
    before = read_in_child(snapshotted)
    assert before is not None
    found = 0
    for number in range(FLIPS):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(snapshotted, copy)
        content = bytearray((copy / "data.mdb").read_bytes())
        place = rng.choice([each for each in range(len(content)) if content[each]])
        content[place] ^= 1 << number % 8
        (copy / "data.mdb").write_bytes(content)
        try:
            verify(str(copy))
        except CommandError:
            found += 1
        else:
            assert read_in_child(copy) == before, f"byte {place}, bit {number % 8}"
    print(f"{found} of {FLIPS} flips found, the others did no harm")
    assert found > FLIPS // 4


def read_in_child(directory: Path) -> bytes | None:
    """Return all that a log says; None when reading it fails."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with open_archive(str(directory)) as archive:
                outline = archive.outline
                entries = list(archive.entries(outline.first, outline.last))
                outside = (outline.identity, outline.founded, outline.position)
                said = repr((outside, archive.snapshot_content(), entries))
            os.write(writing, zlib.crc32(said.encode()).to_bytes(4, "big"))
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as file:
        return file.read() or None
