"""What a cluster leaves behind: nothing, while it runs and when it was stopped."""

import asyncio
import os
from pathlib import Path

from master.ctl.cluster import EmbeddedCluster
from tests.containers import find_groups, find_processes
from tests.faults.crowd import Crowd, Stream, driving, introduce
from tests.faults.stage import count_descriptors, find_leftovers, list_mounts, staged, until

WARM_UP, TASKS = 60, 200
STOPPED_TASKS = 30
SAME_MIN = 50  # looks, so that passing things have passed


def test_two_hundred_tasks_leave_no_descriptor_process_or_group(tmp_path: Path) -> None:
    async def scene(cluster: EmbeddedCluster) -> None:
        await run_tasks(cluster, tmp_path / "warm-up", WARM_UP)
        before = await settled_stock(cluster)
        await run_tasks(cluster, tmp_path / "counted", TASKS)
        print(f"descriptors, launchers and groups after {WARM_UP} tasks: {before}")
        try:
            await until(lambda: is_no_more(take_stock(cluster), before), "as before")
        finally:
            print(f"and after {TASKS} more: {take_stock(cluster)}")

    with staged(tmp_path / "cluster", masters=3, agents=1) as cluster:
        asyncio.run(scene(cluster))


def test_stopped_cluster_leaves_nothing(tmp_path: Path) -> None:
    """Tasks of all kinds still run when it is told to stop."""
    trees = "for each in 1 2 3; do (setsid sleep 1000 &) ; done; sleep 1000"
    cluster = EmbeddedCluster(3, 2, tmp_path / "cluster", resources="cpus:4;mem:4GiB")
    before = list_mounts(tmp_path)

    async def scene() -> None:
        await cluster.start()
        try:
            crowd = Crowd()
            framework = introduce(cluster, "left", failover_timeout_s=600.0)
            async with driving(framework, crowd, failover=True) as driver:
                tasks = {f"tree-{number}": trees for number in range(STOPPED_TASKS)}
                crowd.submit(driver, tasks)
                await crowd.pids(list(tasks))
        finally:
            await cluster.stop()

    asyncio.run(scene())
    assert find_leftovers(cluster) == []
    assert list_mounts(tmp_path) == before


async def run_tasks(cluster: EmbeddedCluster, ledger: Path, count: int) -> None:
    """Run so many short tasks, a few at a time."""
    stream = Stream(ledger, width=8)
    async with driving(introduce(cluster, "stream"), stream):
        await until(lambda: len(stream.over) >= count, f"{count} tasks have run")
        await stream.dry_up()
    stream.check_ledger()


async def quiet(cluster: EmbeddedCluster) -> None:
    """Return once no container is left."""
    containers = cluster.directory / "a1" / "containers"

    def is_quiet() -> bool:
        return not [name for name in os.listdir(containers) if name.isdecimal()]

    await until(is_quiet, "no container is left")


async def settled_stock(cluster: EmbeddedCluster) -> dict[str, int]:
    """Return the stock once it has stayed the same: links closed, spare supervisors forked."""
    await quiet(cluster)
    stocks: list[dict[str, int]] = []

    def has_settled() -> bool:
        stocks.append(take_stock(cluster))
        return len(stocks) > SAME_MIN and stocks[-SAME_MIN:] == [stocks[-1]] * SAME_MIN

    await until(has_settled, "the stock stays the same")
    return stocks[-1]


def take_stock(cluster: EmbeddedCluster) -> dict[str, int]:
    """Return how much of everything the cluster holds."""
    found = {child.name: count_descriptors(child.pid) for child in cluster.children}
    work_dir = cluster.directory / "a1"
    others = [line for line in find_processes(str(work_dir)) if "launcher.py" in line]
    launchers = sorted(int(line.split()[0]) for line in others)
    return found | {
        "launcher": max((count_descriptors(pid) for pid in launchers), default=0),
        "launchers and spares": len(launchers),
        "groups": len(find_groups(work_dir)),
    }


def is_no_more(now: dict[str, int], before: dict[str, int]) -> bool:
    return all(count <= before[name] for name, count in now.items())
