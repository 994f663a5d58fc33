"""Kinds of logs: the masters' tools see what they look at, by its snapshot or by its entries."""

import json
import zlib
from pathlib import Path

import pytest

from master.ctl.backup import back_up_directory, restore
from master.ctl.kinds import LONE, MASTERS, kind_of_archive, kind_of_backup
from master.ctl.log_files import verify
from master.ctl.past import past_of_archive
from master.ctl.replay import open_masters_log, replay
from rlog.alone.core.state import digest, dump
from rlog.archive import open_archive
from rlog.backup import read_backup
from rlog.dump import WholeDump
from rlog.membership import configuration_command, payload_command
from rlog.messages import Entry
from rlog.rows import Snapshot
from rlog.store import Store
from tests.unit.rlog.alone.test_machine import busy_leader

NAME = "r1:7100"


@pytest.fixture(params=[False, True], ids=["entries", "snapshot"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The directory of a member of a log by itself, with or without a snapshot of its all."""
    path, leader = tmp_path / "r1", busy_leader()
    store = Store(str(path), NAME, "rlog")
    store.found((NAME,))
    store.set_term(1, NAME)
    store.add(Entry(1, 1, configuration_command((NAME,))))
    for payload in leader.log:
        store.add(Entry(store.last + 1, 1, payload_command(payload)))
    store.set_committed(store.last)
    if request.param:
        content = dump(leader.replay())
        outside = Snapshot(store.last, 1, 1, (NAME,), len(content), zlib.crc32(content))
        whole = WholeDump(content)
        store.put_snapshot(outside, whole.outline, whole)
    while store.is_dirty:
        job = store.take()
        store.write(job)
        store.done(job)
    store.close()
    return str(path)


def test_log_by_itself_is_known_proven_and_replayed(
    directory: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with open_archive(directory) as archive:
        assert kind_of_archive(archive) is LONE
    verify(directory)
    assert "no findings" in capfd.readouterr().out
    with open_masters_log(directory) as archive:
        replay(past_of_archive(archive), "", 0, "json")
    shown = json.loads(capfd.readouterr().out)
    assert shown["digest"] == digest(busy_leader().replay())
    assert [space["space"] for space in shown["spaces"]] == ["s"]


def test_backup_of_a_log_by_itself_is_restored_as_one(directory: str, tmp_path: Path) -> None:
    backup, restored = str(tmp_path / "backup"), str(tmp_path / "restored")
    back_up_directory(directory, backup)
    with open(backup, "rb") as file:
        assert kind_of_backup(read_backup(file)) is LONE
    restore(backup, restored, NAME, "")
    verify(restored)


def test_log_without_any_payload_is_as_good_as_the_masters(tmp_path: Path) -> None:
    store = Store(str(tmp_path), NAME, "rlog")
    store.found((NAME,))
    while store.is_dirty:
        job = store.take()
        store.write(job)
        store.done(job)
    store.close()
    with open_archive(str(tmp_path)) as archive:
        assert kind_of_archive(archive) is MASTERS
