"""Agents, launchers and supervisors that are killed while tasks run."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.containerizer import records
from master.ctl.children import LAUNCHER
from master.ctl.cluster import EmbeddedCluster
from protocol.messages.values import TaskState, TaskStatus
from tests.faults.crowd import Crowd, driving, introduce, run_canary
from tests.faults.gates import Gates
from tests.faults.stage import identify_processes, is_alive, play, staged, until, until_answered

TASKS = 20
EXITS = {0: 0, 1: 7, 2: 0, 3: 3, 4: 1, 5: 42}  # of the tasks that end while no agent runs


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    with staged(tmp_path_factory.mktemp("agents"), masters=1, agents=1) as started:
        yield started


def test_killed_agent_takes_its_tasks_back(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    async def scene() -> None:
        crowd, gates = Crowd(), Gates(tmp_path)
        async with driving(introduce(cluster, "twenty"), crowd) as driver:
            tasks = {f"task-{number}": "exec sleep 1000" for number in range(TASKS)}
            tasks |= {f"task-{each}": gates.script(each, code) for each, code in EXITS.items()}
            crowd.submit(driver, tasks)
            pids = await crowd.pids(list(tasks))
            before = identify_processes(pids)
            told = {task: len(crowd.updates[task]) for task in tasks}
            agent = cluster.agents[0]
            agent.kill()
            for number in EXITS:
                gates.open(number)
            await until(lambda: not any(is_alive(pids[each]) for each in EXITS), "six have ended")
            started_s = time.monotonic()
            agent.start()
            await cluster.settle()
            print(f"start of the agent to registered with {TASKS} tasks: {since(started_s)} s")
            ended = [f"task-{number}" for number in EXITS]
            await until(lambda: all(map(crowd.ends, ended)), "missed ends are told")
            print(f"start of the agent to the last missed end told: {since(started_s)} s")
            for number, code in EXITS.items():
                (end,) = crowd.ends(f"task-{number}")
                assert (end.exit_code, end.signal) == (code, 0)
                assert end.state == (TaskState.FAILED if code else TaskState.FINISHED)
            running = [task for task in tasks if task not in ended]
            assert identify_processes([crowd.pid(task) for task in running]) == before[len(EXITS) :]
            assert [len(crowd.updates[task]) for task in running] == [
                told[task] for task in running
            ]
            driver.kill(["task-19"])
            await until(lambda: bool(crowd.ends("task-19")), "a task that was taken back obeys")
            assert crowd.ends("task-19")[0].state == TaskState.KILLED
        await run_canary(cluster)

    play(scene())


def test_killed_launcher_takes_nothing_along(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        crowd = Crowd()
        async with driving(introduce(cluster, "launcherless"), crowd) as driver:
            crowd.submit(driver, {"before": "exec sleep 1000"})
            before = identify_processes(await crowd.pids(["before"]))
            killed = kill_launchers(cluster)
            assert killed
            crowd.submit(driver, {f"after-{number}": "exit 0" for number in range(5)})
            await until(lambda: len(crowd.over) == 5, "launches work again")
            assert [end for end in ends_of(crowd) if end.state != TaskState.FINISHED] == []
            assert identify_processes([crowd.pid("before")]) == before
            driver.kill(["before"])
            await until(lambda: bool(crowd.ends("before")), "it obeys")
            assert crowd.ends("before")[0].state == TaskState.KILLED

    play(scene())


def test_killed_supervisor_leaves_its_task_running(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        crowd = Crowd()
        async with driving(introduce(cluster, "orphan"), crowd) as driver:
            crowd.submit(driver, {"orphan": "exec sleep 1000", "other": "exec sleep 1000"})
            before = identify_processes(await crowd.pids(["orphan", "other"]))
            kill_supervisor(cluster, crowd.updates["orphan"][-1])
            await run_canary(cluster)
            cluster.agents[0].kill()
            cluster.agents[0].start()
            await cluster.settle()
            assert identify_processes([crowd.pid("orphan"), crowd.pid("other")]) == before
            assert crowd.over == {}
            driver.kill(["orphan"])
            await until(lambda: bool(crowd.ends("orphan")), "its end is noticed")
            print("end of a task without supervisor:", crowd.ends("orphan")[0])
            assert len(crowd.ends("orphan")) == 1
            assert not is_alive(before[0][0])

    play(scene())


def test_killed_agent_launcher_and_supervisors_at_once(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        crowd = Crowd()
        async with driving(introduce(cluster, "alone"), crowd) as driver:
            tasks = {f"alone-{number}": "exec sleep 1000" for number in range(4)}
            crowd.submit(driver, tasks)
            before = identify_processes(await crowd.pids(list(tasks)))
            cluster.agents[0].kill()
            kill_launchers(cluster)
            for task in tasks:
                kill_supervisor(cluster, crowd.updates[task][-1])
            cluster.agents[0].start()
            await cluster.settle()
            await run_canary(cluster)
            assert identify_processes([crowd.pid(task) for task in tasks]) == before
            assert crowd.over == {}

            async def is_quiet() -> bool:
                return len(await cluster.list_tasks()) == len(tasks)

            await until_answered(is_quiet, "only these tasks are known")

    play(scene())


def kill_launchers(cluster: EmbeddedCluster) -> int:
    """Kill the launcher of the agent and what it has forked ahead of need."""
    work_dir = str(cluster.directory / "a1").encode()
    busy = {pid for record in read_records(cluster) for pid in (record.supervisor, record.init)}
    killed = 0
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{name}/cmdline").read_bytes()
        except OSError:
            continue
        if LAUNCHER in command and work_dir in command and int(name) not in busy:
            os.kill(int(name), signal.SIGKILL)
            killed += 1
    return killed


def read_records(cluster: EmbeddedCluster) -> list[records.PidRecord]:
    directories = (cluster.directory / "a1" / "containers").iterdir()
    found = [records.read_pid(str(directory)) for directory in directories]
    return [record for record in found if record is not None]


def kill_supervisor(cluster: EmbeddedCluster, status: TaskStatus) -> None:
    directory = cluster.directory / "a1" / "containers" / str(status.launch)
    record = records.read_pid(str(directory))
    assert record is not None
    os.kill(record.supervisor, signal.SIGKILL)


def ends_of(crowd: Crowd) -> list[TaskStatus]:
    return [end for task in crowd.over for end in crowd.ends(task)]


def since(start_s: float) -> str:
    return f"{time.monotonic() - start_s:.2f}"
