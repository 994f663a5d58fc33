"""The masters' log from outside: looked at while it is written, copied, lost and brought back."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.clusters import SLEEPER, Cluster, running_cluster, wait_for


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running_cluster(3, 1, tmp_path / "cluster") as cluster:
        yield cluster


def directories(cluster: Cluster) -> Sequence[Path]:
    return [cluster.embedded.directory / child.name for child in cluster.embedded.masters]


def replayed(directory: Path, until: int, hash_seed: str) -> list[str]:
    """Return the digests of a log, folded by another interpreter."""
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "master.ctl", "log", "replay", "--data-dir", str(directory)),
            *("--until", str(until), "--digest-every", "2"),
        ],
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in ran.stdout.splitlines() if len(line.split()[-1]) == 64]


def committed(cluster: Cluster) -> int:
    return min(int(view["committed"]) for view in cluster.ask("log", "status"))


def test_replicas_and_interpreters_agree_on_every_state(cluster: Cluster) -> None:
    for number in range(3):
        assert cluster.quorate("run", "--name", f"r{number}", "--", "true").returncode == 0
    until = committed(cluster)
    found = [
        replayed(directory, until, str(seed)) for seed, directory in enumerate(directories(cluster))
    ]
    assert len(found[0]) > 5
    assert found[0] == found[1] == found[2]


def test_status_shows_every_replica(cluster: Cluster) -> None:
    views = cluster.ask("log", "status")
    assert sorted(view["role"] for view in views) == ["follower", "follower", "leader"]
    assert all(view["used_bytes"] and view["free_bytes"] and view["fsync_ns"] for view in views)
    cluster.embedded.masters[0].kill()
    table = cluster.quorate("log", "status").stdout
    assert "unreachable" in table


def test_verify_and_export_look_on_while_masters_write(cluster: Cluster) -> None:
    cluster.run("steady", SLEEPER)
    cluster.running("steady-0")
    for directory in directories(cluster):
        verified = cluster.quorate("log", "verify", "--data-dir", str(directory))
        assert (verified.returncode, verified.stderr) == (0, "")
        exported = cluster.quorate("log", "export", "--data-dir", str(directory)).stdout
        events = [json.loads(line) for line in exported.splitlines()]
        assert "TaskLaunched" in {event.get("event") for event in events}


def test_lost_masters_come_back_from_a_backup_and_find_their_tasks(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.run("kept", SLEEPER)
    before = cluster.running("kept-0")
    backup = str(tmp_path / "backup")
    told = cluster.quorate("log", "backup", "-o", backup)
    assert told.returncode == 0, told.stderr
    cluster.run("late", SLEEPER)
    cluster.running("late-0")
    assert runs(cluster, "late")
    lose_masters(cluster)
    restore_masters(cluster, backup)
    cluster.settle()
    after = cluster.running("kept-0")
    assert {key: after[key] for key in ("pid", "launch", "agent_id")} == {
        key: before[key] for key in ("pid", "launch", "agent_id")
    }
    wait_for(lambda: not runs(cluster, "late"), "what the backup does not know to end")
    ran = cluster.quorate("run", "--name", "new", "--", "echo", "works")
    assert (ran.returncode, "works" in ran.stdout) == (0, True), ran.stderr
    assert cluster.running("kept-0")["pid"] == before["pid"]


def test_directory_of_a_lost_master_is_copied_where_it_lies(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.run("kept", SLEEPER)
    before = cluster.running("kept-0")
    until = committed(cluster)
    wait_for(lambda: committed(cluster) >= until, "all to have it")
    for master in cluster.embedded.masters:
        master.kill()
    backup = str(tmp_path / "backup")
    source = str(directories(cluster)[0])
    told = cluster.quorate("log", "backup", "-o", backup, "--data-dir", source)
    assert told.returncode == 0, told.stderr
    lose_masters(cluster)
    restore_masters(cluster, backup)
    cluster.settle()
    assert cluster.running("kept-0")["pid"] == before["pid"]


def test_log_is_made_short_at_work_and_its_file_small_at_rest(cluster: Cluster) -> None:
    cluster.run("kept", SLEEPER)
    before = cluster.running("kept-0")
    told = cluster.quorate("log", "compact")
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("entries dropped, 0 kept") >= 2  # something may come meanwhile
    views = cluster.ask("log", "status")
    assert all(view["snapshot_index"] > 0 for view in views)
    directory = directories(cluster)[0]
    refused = cluster.quorate("log", "compact", "--data-dir", str(directory))
    assert (refused.returncode, "in use by another process" in refused.stderr) == (1, True)
    assert cluster.quorate("weight", "later", "2").returncode == 0
    for master in cluster.embedded.masters:
        master.kill()
    file_bytes = (directory / "data.mdb").stat().st_size
    told = cluster.quorate("log", "compact", "--data-dir", str(directory))
    assert told.returncode == 0, told.stderr
    assert " after; snapshot at " in told.stdout
    assert (directory / "data.mdb").stat().st_size < file_bytes
    cluster.settle()
    assert "later" in {role["role"] for role in cluster.ask("roles")}
    after = cluster.running("kept-0")
    assert (after["pid"], after["launch"]) == (before["pid"], before["launch"])


def test_what_cannot_be_restored_is_said_in_one_line(cluster: Cluster, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    assert cluster.quorate("log", "backup", "-o", str(backup)).returncode == 0
    sound = backup.read_bytes()
    backup.write_bytes(sound[:-3])
    address = cluster.embedded.addresses[0]
    target = str(tmp_path / "new")
    assert_refused(cluster, "it was cut short", str(backup), "--data-dir", target, address)
    backup.write_bytes(b"something else")
    assert_refused(cluster, "no backup of a log", str(backup), "--data-dir", target, address)
    backup.write_bytes(sound)
    used = str(directories(cluster)[0])
    assert_refused(cluster, "is not empty", str(backup), "--data-dir", used, address)
    assert_refused(cluster, "No such file", f"{backup}x", "--data-dir", target, address)
    again = cluster.quorate("log", "backup", "-o", str(backup))
    assert (again.returncode, len(again.stderr.splitlines())) == (1, 1)
    assert backup.read_bytes() == sound
    assert not Path(target).exists()


def assert_refused(cluster: Cluster, text: str, *words: str) -> None:
    *arguments, address = words
    told = cluster.quorate("log", "restore", *arguments, "--listen", address)
    assert (told.returncode, len(told.stderr.splitlines())) == (1, 1), told.stderr
    assert text in told.stderr


def lose_masters(cluster: Cluster) -> None:
    for master, directory in zip(cluster.embedded.masters, directories(cluster), strict=True):
        master.kill()
        shutil.rmtree(directory)


def restore_masters(cluster: Cluster, backup: str) -> None:
    peers = ",".join(cluster.embedded.addresses)
    for address, directory in zip(cluster.embedded.addresses, directories(cluster), strict=True):
        words = ("--data-dir", str(directory), "--listen", address, "--peers", peers)
        told = cluster.quorate("log", "restore", backup, *words)
        assert told.returncode == 0, told.stderr


def runs(cluster: Cluster, name: str) -> bool:
    """Whether a process of the run's task is alive on the agent's machine."""
    mark = f"QUORATE_TASK_ID={name}-0\0".encode()
    found: list[Any] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        is_ours = str(cluster.embedded.directory).encode() in environment
        found += [entry.name] if is_ours and mark in environment else []
    return bool(found)
