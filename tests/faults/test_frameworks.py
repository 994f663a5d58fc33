"""Schedulers that are killed: their tasks run on, for whoever takes over or until time is up."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from master.ctl.asking import ask_for_list
from master.ctl.children import Child
from master.ctl.cluster import EmbeddedCluster
from protocol.errors import Denied
from protocol.messages.operator import FrameworkView, ListFrameworks, TaskView
from protocol.messages.values import TaskState
from schedulers import is_ended
from tests.faults.crowd import Crowd, driving, introduce, run_canary
from tests.faults.gates import Gates
from tests.faults.stage import (
    identify_processes,
    is_alive,
    play,
    staged,
    until,
    until_answered,
)

EXITS = {0: 0, 1: 5, 2: 77}
FAILOVER_S = 2.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    with staged(tmp_path_factory.mktemp("frameworks"), masters=3, agents=1) as started:
        yield started


@pytest.mark.parametrize("by", ["token", "framework_id"])
def test_killed_framework_is_taken_over_whole(
    cluster: EmbeddedCluster, tmp_path: Path, by: str
) -> None:
    async def scene() -> None:
        gates = Gates(tmp_path)
        tasks = {f"stays-{number}": "exec sleep 1000" for number in range(3)}
        tasks |= {f"ends-{each}": gates.script(each, code) for each, code in EXITS.items()}
        victim = start_framework(cluster, tmp_path, "600", tasks)
        try:
            views = await running_tasks(cluster, victim, tasks)
        finally:
            victim.kill()
        framework_id = views["stays-0"].status.framework_id
        pids = {task: view.status.pid for task, view in views.items()}
        staying = [pids[f"stays-{number}"] for number in range(3)]
        before = identify_processes(staying)
        for number in EXITS:
            gates.open(number)

        async def have_ended() -> bool:
            found = await tasks_of(cluster, framework_id)
            return all(is_ended(found[f"ends-{number}"].status.state) for number in EXITS)

        await until_answered(have_ended, "the masters know the ends")
        assert (await framework_of(cluster, framework_id)).state == "disconnected"
        how = {"token": {"token": tmp_path.name}, "framework_id": {"framework_id": framework_id}}
        crowd = Crowd()
        framework = introduce(cluster, "heir", failover_timeout_s=600.0, **how[by])
        async with driving(framework, crowd) as driver:
            assert driver.framework_id == framework_id
            assert {f"stays-{number}" for number in range(3)} <= {s.task_id for s in crowd.found}
            await until(lambda: len(crowd.over) == len(EXITS), "missed ends are told")
            for number, code in EXITS.items():
                (end,) = crowd.ends(f"ends-{number}")
                assert (end.exit_code, end.signal) == (code, 0)
                assert end.state == (TaskState.FAILED if code else TaskState.FINISHED)
            assert identify_processes(staying) == before
        await until(lambda: not any(map(is_alive, staying)), "an orderly end ends the tasks")

    play(scene())


def test_killed_framework_is_removed_when_nobody_returns(
    cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    async def scene() -> None:
        tasks = {f"left-{number}": "exec sleep 1000" for number in range(3)}
        victim = start_framework(cluster, tmp_path, str(FAILOVER_S), tasks)
        try:
            views = await running_tasks(cluster, victim, tasks)
        finally:
            victim.kill()
        killed_s = time.monotonic()
        framework_id = views["left-0"].status.framework_id
        pids = [view.status.pid for view in views.values()]
        assert all(map(is_alive, pids))
        await until(lambda: not any(map(is_alive, pids)), "its tasks are killed")
        took_s = time.monotonic() - killed_s
        print(f"kill of the framework to the end of its tasks: {took_s:.2f} s of {FAILOVER_S}")
        assert (await framework_of(cluster, framework_id)).state == "removed"
        crowd = Crowd()
        framework = introduce(cluster, "late", framework_id=framework_id)
        with pytest.raises(Denied, match=framework_id):
            async with driving(framework, crowd):
                pass
        assert framework_id in crowd.failure
        await run_canary(cluster)

    play(scene())


def start_framework(
    cluster: EmbeddedCluster, directory: Path, failover_s: str, tasks: dict[str, str]
) -> Child:
    """Start a scheduler that launches the tasks; its token is the directory's name."""
    masters, credentials = ",".join(cluster.addresses), cluster.target.credentials
    arguments = [masters, credentials, directory.name, failover_s]
    arguments += [f"{task}={script}" for task, script in tasks.items()]
    child = Child("victim", "tests.faults.framework", arguments, directory / "victim.log")
    child.start()
    return child


async def running_tasks(
    cluster: EmbeddedCluster, victim: Child, tasks: dict[str, str]
) -> dict[str, TaskView]:
    """Return the tasks by id, once all of them run and the scheduler knows."""
    told = 0

    def count() -> int:
        nonlocal told
        lines = victim.log.read_text().splitlines()
        told = sum(" RUNNING " in line for line in lines)
        assert victim.is_running, victim.tail()
        return told

    await until(lambda: count() == len(tasks), "all tasks run")
    (framework_id,) = {
        line.split()[1]
        for line in victim.log.read_text().splitlines()
        if line.startswith("subscribed ")
    }
    return await tasks_of(cluster, framework_id)


async def tasks_of(cluster: EmbeddedCluster, framework_id: str) -> dict[str, TaskView]:
    views = await cluster.list_tasks(is_all=True)
    return {view.status.task_id: view for view in views if view.status.framework_id == framework_id}


async def framework_of(cluster: EmbeddedCluster, framework_id: str) -> FrameworkView:
    views = await ask_for_list(cluster.target, ListFrameworks(all=True))
    (found,) = [view for view in views if view.framework_id == framework_id]
    assert isinstance(found, FrameworkView)
    return found
