"""How long a killed leader holds up launches, and a killed agent its tasks; on real processes."""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog

from master.ctl.cluster import EmbeddedCluster
from tests.bench.measure import describe_place
from tests.bench.places import bench_directory
from tests.faults.crowd import Crowd, Stream, driving, introduce
from tests.faults.stage import find_leader, identify_processes, staged, until_whole

TASKS = 20  # that the killed agent runs
WAYS = {
    "killed leader to next accepted launch": "kill -9; 3 masters, 2 agents, a steady stream",
    "killed agent to ready with its tasks": f"kill -9 and a new start; {TASKS} tasks run",
    "killed agent to its next task RUNNING": "the same",
}


async def fail_leaders(cluster: EmbeddedCluster, directory: Path, rounds: int) -> list[float]:
    """Return seconds from each kill of the leader to the next accepted launch."""
    stream, gaps_s = Stream(directory / "ledger"), []
    async with driving(introduce(cluster, "stream"), stream):
        for _ in range(rounds):
            await stream.next_accept(time.monotonic())
            victim = cluster.masters[await find_leader(cluster)]
            killed_s = time.monotonic()
            victim.kill()
            gaps_s.append(await stream.next_accept(killed_s) - killed_s)
            victim.start()
            await until_whole(cluster)
        await stream.dry_up()
    stream.check_ledger()
    return gaps_s


async def fail_agents(cluster: EmbeddedCluster, rounds: int) -> tuple[list[float], list[float]]:
    """Return seconds from each kill to the tasks being taken back, and to a new task running."""
    crowd = Crowd()
    adopted_s, running_s = [], []
    async with driving(introduce(cluster, "sleepers"), crowd) as driver:
        tasks = {f"sleeper-{number}": "exec sleep 1000" for number in range(TASKS)}
        crowd.submit(driver, tasks)
        before = identify_processes(await crowd.pids(list(tasks)))
        for number in range(rounds):
            agent = cluster.agents[0]
            killed_s = time.monotonic()
            agent.kill()
            agent.start()
            await cluster.settle()
            adopted_s.append(time.monotonic() - killed_s)
            crowd.submit(driver, {f"next-{number}": "exec sleep 1000"})
            await crowd.pids([f"next-{number}"])
            running_s.append(time.monotonic() - killed_s)
            assert identify_processes([crowd.pid(task) for task in tasks]) == before
        assert crowd.over == {}
    return adopted_s, running_s


def within(
    masters: int, agents: int, scene: Callable[[EmbeddedCluster, Path], Coroutine[Any, Any, Any]]
) -> Any:
    """Return what a scene measures in a cluster made for it."""
    with bench_directory() as name:
        directory = Path(name)
        with staged(directory / "cluster", masters, agents) as cluster:
            return asyncio.run(scene(cluster, directory))


def main() -> int:
    """Print a table of seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="three rounds")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    rounds = 3 if chosen.quick else chosen.rounds
    gaps_s = within(3, 2, lambda cluster, directory: fail_leaders(cluster, directory, rounds))
    adopted_s, running_s = within(1, 1, lambda cluster, _: fail_agents(cluster, rounds))
    print(f"{'seconds, ' + str(rounds) + ' rounds':<40}{'median':>8}{'max':>8}")
    for (name, how), samples_s in zip(WAYS.items(), (gaps_s, adopted_s, running_s), strict=True):
        print(f"{name:<40}{statistics.median(samples_s):8.2f}{max(samples_s):8.2f}   {how}")
    print(describe_place())
    return 0


if __name__ == "__main__":
    sys.exit(main())
