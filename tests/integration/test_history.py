"""What was decided, told by a running cluster: events from any point, states as they were."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clusters import SLEEPER, Cluster, running_cluster, wait_for


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running_cluster(3, 1, tmp_path / "cluster") as cluster:
        yield cluster


def events(cluster: Cluster, *arguments: str) -> list[dict[str, Any]]:
    ran = cluster.quorate("events", *arguments, "-o", "json")
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def names(found: list[dict[str, Any]]) -> list[str]:
    return [str(line.get("event", line["kind"])) for line in found]


def run_to_its_end(cluster: Cluster, name: str) -> None:
    ran = cluster.quorate("run", "--name", name, "--", "true")
    assert ran.returncode == 0, ran.stderr


def test_events_of_a_task_are_told_in_order_and_by_words(cluster: Cluster) -> None:
    run_to_its_end(cluster, "one")
    run_to_its_end(cluster, "two")
    found = events(cluster, "--about", "one-0")
    assert names(found)[0] == "TaskLaunched"
    assert names(found).count("TaskUpdated") >= 2
    indexes = [line["index"] for line in found]
    assert indexes == sorted(indexes)
    words = cluster.quorate("events", "--only", "task launched", "--about", "two-0").stdout
    assert [line.split()[2:4] for line in words.splitlines()] == [["task", "launched"]]
    launched = events(cluster, "--only", "tasklaunched")
    assert names(launched) == ["TaskLaunched", "TaskLaunched"]
    assert events(cluster, "--only", "tasklaunched", "-n", "1") == launched[1:]
    assert events(cluster, "--from", launched[1]["stamp"], "--only", "task l") == launched[1:]
    before = ("--from", "1", "--to", str(launched[1]["index"] - 1), "--only", "task l")
    assert events(cluster, *before) == launched[:1]


def test_follower_misses_nothing_and_repeats_nothing_when_the_leader_dies(
    cluster: Cluster, tmp_path: Path
) -> None:
    path = tmp_path / "followed"
    with path.open("w") as sink:
        follower = subprocess.Popen(
            [sys.executable, "-m", "master.ctl", "events", "--from", "1", "-f", "-o", "json"],
            stdout=sink,
            env=cluster.environment(),
        )
    try:
        run_to_its_end(cluster, "before")
        cluster.embedded.masters[cluster.leader()].kill()
        run_to_its_end(cluster, "after")
        last = events(cluster, "-n", "1")[0]

        def followed() -> list[dict[str, Any]]:
            return [json.loads(line) for line in path.read_text().splitlines(keepends=True)[:-1]]

        wait_for(lambda: followed() and followed()[-1]["index"] >= last["index"] - 1, "all of it")
        assert follower.poll() is None
    finally:
        follower.kill()
        follower.wait()
    found = followed()
    told = events(cluster, "--from", "1", "--to", str(found[-1]["index"]))
    assert found == told[: len(found)]
    assert names(found).count("LeadershipTaken") == 2


def test_states_of_the_past_are_the_same_from_a_master_a_directory_and_a_backup(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.run("kept", SLEEPER)
    cluster.running("kept-0")
    launched = events(cluster, "--only", "tasklaunched")[0]
    before, at = str(launched["index"] - 1), str(launched["index"])
    assert (
        json.loads(cluster.quorate("replay", "--until", before, "-o", "json").stdout)["tasks"] == []
    )
    backup = str(tmp_path / "backup")
    assert cluster.quorate("log", "backup", "-o", backup).returncode == 0
    directory = str(cluster.embedded.directory / cluster.embedded.masters[0].name)
    found = [
        cluster.quorate("replay", "--until", at, "-o", "json", *where)
        for where in ((), ("--data-dir", directory), ("--backup", backup))
    ]
    assert [ran.stderr for ran in found] == ["", "", ""]
    assert found[0].stdout == found[1].stdout == found[2].stdout
    state = json.loads(found[0].stdout)
    assert [task["state"] for task in state["tasks"]] == ["STAGING"]
    by_time = cluster.quorate("replay", "--until", launched["stamp"], "-o", "json")
    assert json.loads(by_time.stdout)["index"] == launched["index"]


def test_events_that_a_snapshot_covers_are_gone_but_for_their_outcome(cluster: Cluster) -> None:
    run_to_its_end(cluster, "old")
    assert cluster.quorate("log", "compact").returncode == 0
    run_to_its_end(cluster, "new")
    refused = cluster.quorate("events", "--from", "1")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert "covered by a snapshot; begin --from" in refused.stderr
    found = events(cluster, "--from", "1", "--snapshot")
    assert found[0]["kind"] == "snapshot"
    assert {"frameworks", "agents"} <= found[0]["state"].keys()
    assert found[1]["index"] == found[0]["index"] + 1
    assert any(line.get("event") == "TaskLaunched" for line in found)
    too_early = cluster.quorate("replay", "--until", "1")
    assert (too_early.returncode, "begins with the snapshot" in too_early.stderr) == (1, True)


def test_misuse_is_said_in_one_line(cluster: Cluster) -> None:
    for arguments, text in (
        (("events", "--from", "yesterday"), "neither an entry nor a time"),
        (("events", "-f", "--to", "9"), "give it no --to"),
        (("replay", "--until", "999999"), "the log ends at entry"),
        (("replay", "--data-dir", "/a", "--backup", "/b"), "give one of both"),
    ):
        ran = cluster.quorate(*arguments)
        assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1), ran.stderr
        assert text in ran.stderr
