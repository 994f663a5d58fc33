"""`quorate run` and `quorate offers` as a person uses them, on one small real cluster."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from master.ctl.onlooker import Onlooker
from tests.clusters import SLEEPER, Cluster, is_alive, running_cluster, wait_for

ENDED_S_MAX = 60


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(1, 1, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _end_runs(cluster: Cluster) -> Iterator[None]:
    yield
    cluster.end_runs()


def test_run_gives_a_task_what_its_options_say(cluster: Cluster, tmp_path: Path) -> None:
    fetched = tmp_path / "greeting.txt"
    fetched.write_text("hello from a file\n")
    ran = cluster.quorate(
        *("run", "--name", "optioned", "--role", "shop", "--ports", "2"),
        *("--uri", f"file://{fetched}", "--env", "COLOUR=deep blue", "--shell"),
        *("--", 'cat greeting.txt; echo "$COLOUR"; echo $QUORATE_PORTS $PORT0 $PORT1'),
    )
    assert ran.returncode == 0, ran.stderr
    greeting, colour, ports = ran.stdout.splitlines()
    assert (greeting, colour) == ("hello from a file", "deep blue")
    lent, first, second = ports.split()
    assert int(second) == int(first) + 1
    assert lent == f"{first}-{second}"
    task = cluster.task("optioned-0")
    assert task is not None
    assert (task["role"], task["resources"]["ports"]) == ("shop", [[int(first), int(second)]])


def test_run_tells_programs_how_each_instance_did(cluster: Cluster) -> None:
    ran = cluster.quorate(
        *("run", "--name", "pair", "--instances", "2", "-o", "json", "--shell"),
        *("--", "echo $QUORATE_TASK_ID; exit 4"),
    )
    assert ran.returncode == 4
    assert sorted(ran.stdout.splitlines()) == ["0| pair-0", "1| pair-1"]
    told: list[dict[str, Any]] = [json.loads(line) for line in ran.stderr.splitlines()]
    ends = {each["task"].rpartition("/")[2]: each for each in told if each["state"] == "FAILED"}
    assert sorted(ends) == ["pair-0", "pair-1"]
    assert {end["exit_code"] for end in ends.values()} == {4}


def test_detached_run_leaves_its_tasks_running(cluster: Cluster) -> None:
    ran = cluster.quorate(
        *("run", "--detach", "-o", "json", "--name", "left", "-n", "2", "--shell", "--", SLEEPER)
    )
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    framework = answer["framework"]
    assert answer["tasks"] == [f"{framework}/left-0", f"{framework}/left-1"]
    pids = [cluster.running(f"left-{number}")["pid"] for number in (0, 1)]
    (view,) = [each for each in cluster.ask("frameworks") if each["framework_id"] == framework]
    assert (view["state"], view["tasks"]) == ("left", 2)
    assert cluster.quorate("teardown", framework).returncode == 0
    wait_for(lambda: not any(is_alive([pid]) for pid in pids), "the tasks to end")


def test_detached_run_is_gone_with_its_last_task(cluster: Cluster) -> None:
    ran = cluster.quorate("run", "--detach", "-o", "json", "--name", "brief", "--", "true")
    framework = json.loads(ran.stdout)["framework"]

    def known() -> list[str]:
        return [each["framework_id"] for each in cluster.ask("frameworks")]

    wait_for(lambda: framework not in known(), "the framework to end")
    (task,) = [each for each in cluster.ask("ps", "--all") if each["framework_id"] == framework]
    assert (task["state"], task["exit_code"]) == ("FINISHED", 0)


def test_interrupted_run_kills_its_tasks(cluster: Cluster) -> None:
    run = cluster.run("broken-off", SLEEPER, "-n", "2")
    pids = [cluster.running(f"broken-off-{number}")["pid"] for number in (0, 1)]
    run.send_signal(signal.SIGINT)
    assert run.wait(ENDED_S_MAX) == 130
    assert not any(is_alive([pid]) for pid in pids)
    for number in (0, 1):
        task = cluster.task(f"broken-off-{number}")
        assert task is not None
        assert task["state"] == "KILLED"


def test_offers_shows_what_a_framework_has_not_answered(cluster: Cluster) -> None:
    async def look() -> list[dict[str, Any]]:
        onlooker = Onlooker(cluster.embedded.target, "lookers")
        try:
            await onlooker.look()
            return await asyncio.to_thread(cluster.ask, "offers")
        finally:
            await onlooker.leave()

    (offer,) = asyncio.run(look())
    (agent,) = cluster.ask("agents")
    assert (offer["role"], offer["agent_id"]) == ("lookers", agent["agent_id"])
    assert offer["resources"]["cpus_milli"] == agent["total"]["cpus_milli"]
    assert cluster.ask("offers") == []


def test_options_of_the_command_are_its_own(cluster: Cluster) -> None:
    ran = cluster.quorate("run", "--", "echo", "--help", "--masters", "x", "--", "-n")
    assert (ran.returncode, ran.stdout) == (0, "--help --masters x -- -n\n")


def test_output_that_cannot_be_written_is_told(cluster: Cluster) -> None:
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "master.ctl", "run", "--", "echo", "lost"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=cluster.environment(),
            timeout=60,
            check=False,
        )
    assert ran.returncode == 1
    assert "the output could not be written: [Errno 28]" in ran.stderr
