"""Disks that fill up: masters stand aside until there is room, agents go; the cluster goes on."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from master.ctl.children import Child
from master.ctl.cluster import EmbeddedCluster
from protocol.messages.values import TaskState
from tests.faults.crowd import Crowd, Stream, driving, introduce, run_canary
from tests.faults.disks import fill, small_disk
from tests.faults.stage import (
    find_leader,
    identify_processes,
    play,
    staged,
    until,
    until_whole,
)

LEADER_TRIES_MAX = 12
ASIDE = "the disk is full, this member takes no part"
RETURNED = "the disk has room, this member takes part again"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    directory = tmp_path_factory.mktemp("disks")
    with (
        small_disk(directory / "m1", 24),
        small_disk(directory / "a1", 24),
        staged(directory, masters=3, agents=2) as started,
    ):
        yield started


def test_follower_with_a_full_disk_stands_aside_alone(
    cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    async def scene() -> None:
        while await find_leader(cluster) == 0:
            await move_leadership(cluster)
        await fill_under_load(cluster, Stream(tmp_path / "follower"))

    play(scene())


def test_leader_with_a_full_disk_acknowledges_nothing_it_loses(
    cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    async def scene() -> None:
        for _ in range(LEADER_TRIES_MAX):
            if await find_leader(cluster) == 0:
                break
            await move_leadership(cluster)
        else:
            pytest.fail("the master with the small disk never led")
        await fill_under_load(cluster, Stream(tmp_path / "leader"))

    play(scene())


def test_agent_with_a_full_disk_leaves_its_tasks_running(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        crowd, agent = Crowd(), cluster.agents[0]
        async with driving(introduce(cluster, "full"), crowd) as driver:
            tasks = {f"full-{number}": "exec sleep 1000" for number in range(80)}
            crowd.submit(driver, tasks)
            pids = await crowd.pids(list(tasks))
            before = identify_processes(pids)
            name = next(iter({each[-1].agent_id for each in crowd.updates.values()}))
            filler = cluster.directory / "a1" / "filler"
            fill(filler)
            print(f"first task on {name}")
            padding = "#" * 20_000
            late = {f"late-{number}": f"exit 0 {padding}" for number in range(40)}
            crowd.submit(driver, late)
            await until(lambda: not agent.is_running, "the agent with the full disk stops")
            check_last_words(agent, cluster.directory / "a1")
            assert identify_processes(pids) == before
            filler.unlink()
            agent.start()
            await cluster.settle()
            # an offer of the agent that died is void: what was asked of it then never ran
            await until(lambda: late.keys() <= crowd.over.keys() | crowd.refusals, "all end")
            assert set(crowd.refusals.values()) <= {"UNKNOWN_OFFER"}
            assert crowd.refusals.keys() & crowd.updates.keys() == set()
            assert crowd.over.keys() & tasks.keys() == set()
            assert identify_processes([crowd.pid(task) for task in tasks]) == before
            for task in crowd.over:
                assert len(crowd.ends(task)) == 1
            states = [crowd.ends(task)[0].state.name for task in crowd.over]
            print("tasks launched onto the full disk:", {s: states.count(s) for s in states})
            assert TaskState.FINISHED.name in states
        await run_canary(cluster)

    play(scene())


async def fill_under_load(cluster: EmbeddedCluster, stream: Stream) -> None:
    """Fill the first master's disk under launches, make room again, and count the launches."""
    master, directory = cluster.masters[0], cluster.directory / "m1"
    async with driving(introduce(cluster, "stream"), stream):
        await stream.next_accept(time.monotonic())
        told = master.tail(4000).count(ASIDE)
        filled_s = time.monotonic()
        await asyncio.to_thread(fill, directory / "filler")
        await until(lambda: master.tail(4000).count(ASIDE) > told, "the full disk is noticed")
        aside_s = time.monotonic()
        await stream.next_accept(aside_s)
        check_aside(master, directory)
        returned = master.tail(4000).count(RETURNED)
        (directory / "filler").unlink()
        await until(lambda: master.tail(4000).count(RETURNED) > returned, "the master is back")
        await until_whole(cluster)
        await stream.next_accept(time.monotonic())
        await stream.dry_up()
    stream.check_ledger()
    print(f"full disk noticed after {aside_s - filled_s:.2f} s: {master.log.name}")


async def move_leadership(cluster: EmbeddedCluster) -> None:
    leader = cluster.masters[await find_leader(cluster)]
    leader.kill()
    leader.start()
    await until_whole(cluster)


def check_aside(child: Child, directory: Path) -> None:
    """See that a process lives on and said in one line why it takes no part."""
    assert child.is_running
    line = next(line for line in reversed(child.tail(4000).splitlines()) if ASIDE in line)
    print(line)
    assert str(directory) in line
    assert "bytes free" in line
    assert "Traceback" not in child.tail(4000)


def check_last_words(child: Child, directory: Path) -> None:
    """See that a process ended with 1 and one clear line that names the path and the room."""
    assert child.exit_code == 1
    words = [line for line in child.tail(12).splitlines() if line.startswith("quorate ")]
    print(*words, sep="\n")
    assert len(words) == 1
    assert str(directory) in words[0]
    assert " free" in words[0]
    assert "Traceback" not in child.tail(40)
