"""A master that leads a cluster of its own by mistake: agents and schedulers stay with theirs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from master.ctl.cluster import EmbeddedCluster
from tests.faults.crowd import Crowd, driving, introduce, run_canary
from tests.faults.guests import count_lines, guest, master_arguments
from tests.faults.stage import (
    find_leader,
    identify_processes,
    play,
    see_masters,
    staged,
    until,
    until_whole,
)

TERMS = 3  # more elections than the cluster itself has seen
SAID = "a master of another cluster is not followed"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    with staged(tmp_path_factory.mktemp("foreign"), masters=3, agents=1) as started:
        yield started


def test_master_started_without_its_peers_takes_nothing_over(
    cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    """It lost its disk, was started alone, and is elected more often than the real leader."""

    async def scene() -> None:
        crowd, agent = Crowd(), cluster.agents[0]
        async with driving(introduce(cluster, "kept"), crowd) as driver:
            tasks = {f"kept-{number}": "exec sleep 1000" for number in range(2)}
            crowd.submit(driver, tasks)
            before = identify_processes(await crowd.pids(list(tasks)))
            leader = await find_leader(cluster)
            place = (leader + 1) % 3
            term = (await see_masters(cluster))[cluster.addresses[leader]].term
            victim, address = cluster.masters[place], cluster.addresses[place]
            victim.kill()
            words = master_arguments(cluster, tmp_path / "alone", listen=address, peers=address)
            async with guest(cluster, "alone", "master", *words) as alone:
                for number in range(1, term + TERMS):
                    await alone.says(f"term={number}")
                    alone.child.kill()
                    alone.child.start()
                await alone.says(f"term={term + TERMS}")
                await until(lambda: count_lines([agent], SAID) == 1, "the agent says so once")
                agent.kill()
                agent.start()  # it may meet the stranger first
                await until(lambda: count_lines([agent], SAID) == 2, "and again")
                await run_canary(cluster)
                assert crowd.over == {}
            victim.start()
            await until_whole(cluster)
            assert identify_processes([crowd.pid(task) for task in tasks]) == before
            assert (crowd.over, crowd.failure) == ({}, "")
        await run_canary(cluster)

    play(scene())
