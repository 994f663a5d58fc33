"""A cluster of real processes to be hurt, and what is left of it when it was ended."""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

from agent.containerizer.processes import read_stat
from master.ctl.asking import ask_every_master
from master.ctl.cluster import EmbeddedCluster
from protocol.errors import Fault
from protocol.messages.operator import MasterView
from tests.containers import find_groups, find_processes

DEADLINE_S = 60.0  # nothing here is about speed: slow machines take their time
POLL_S = 0.01
RESOURCES = "cpus:4;mem:4GiB"  # of each agent; tasks here need next to nothing


@contextlib.contextmanager
def staged(
    directory: Path, masters: int = 3, agents: int = 2, settings: Sequence[str] = ()
) -> Iterator[EmbeddedCluster]:
    """Run a cluster; end everything of it at the end, and see that nothing stays."""
    cluster = EmbeddedCluster(masters, agents, directory, resources=RESOURCES, settings=settings)
    mounts = list_mounts(directory)
    try:
        asyncio.run(cluster.start())
        yield cluster
    except BaseException:
        print(cluster.tails())
        cluster.stop_now()
        raise
    asyncio.run(cluster.stop())
    assert find_leftovers(cluster) == []
    assert list_mounts(directory) == mounts


def find_leftovers(cluster: EmbeddedCluster) -> Sequence[str]:
    """Return processes and control groups of a stopped cluster, once they had time."""
    deadline_s = time.monotonic() + DEADLINE_S
    while (found := _look_for_leftovers(cluster)) and time.monotonic() < deadline_s:
        time.sleep(POLL_S)
    return found


def _look_for_leftovers(cluster: EmbeddedCluster) -> list[str]:
    directory = str(cluster.directory)
    found = find_processes(directory)
    for child in cluster.agents:
        found += find_groups(cluster.directory / child.name)
    return found


def list_mounts(directory: Path) -> list[str]:
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    return [line for line in mounts if str(directory) in line]


async def until(is_true: Callable[[], bool], what: str) -> None:
    """Return once something is so. Fails at the deadline, saying what was not."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not is_true():
        assert time.monotonic() < deadline_s, f"not in {DEADLINE_S:.0f} s: {what}"
        await asyncio.sleep(POLL_S)


async def until_answered(is_true: Callable[[], Awaitable[bool]], what: str) -> None:
    """Return once the cluster says that something is so; it may be silent meanwhile."""
    deadline_s = time.monotonic() + DEADLINE_S
    while True:
        with contextlib.suppress(Fault):
            if await is_true():
                return
        assert time.monotonic() < deadline_s, f"not in {DEADLINE_S:.0f} s: {what}"
        await asyncio.sleep(POLL_S)


async def find_leader(cluster: EmbeddedCluster) -> int:
    """Return the place of the leading master, once there is one."""
    found: list[int] = []

    async def is_led() -> bool:
        leader = await cluster.leader()
        found.extend([] if leader is None else [leader])
        return bool(found)

    await until_answered(is_led, "a master leads")
    return found[-1]


async def see_masters(cluster: EmbeddedCluster) -> dict[str, MasterView]:
    """Return what each master says of itself, by address."""
    return {view.address: view for view in await ask_every_master(cluster.target)}


async def until_whole(cluster: EmbeddedCluster) -> None:
    """Return once all masters agree on a leader and a term, and all agents are connected."""

    async def agree() -> bool:
        views = (await see_masters(cluster)).values()
        roles = sorted(view.role for view in views)
        terms = {view.term for view in views}
        wanted = ["follower"] * (len(cluster.masters) - 1) + ["leader"]
        return roles == wanted and len(terms) == 1

    await until_answered(agree, "all masters agree")
    await cluster.settle()


def identify_processes(pids: Sequence[int]) -> list[tuple[int, str]]:
    """Return pids with their starting times, which together no other process has."""
    found = []
    for pid in pids:
        stat = read_stat(pid)
        assert stat[:1] not in ([], ["Z"]), f"process {pid} is gone"
        found.append((pid, stat[19]))
    return found


def is_alive(pid: int) -> bool:
    return read_stat(pid)[:1] not in ([], ["Z"])


def count_descriptors(pid: int) -> int:
    """Return how many files and connections a process holds open; 0 when it is gone."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def play(scene: Coroutine[Any, Any, None]) -> None:
    """Run a scene to its end."""
    asyncio.run(scene)
