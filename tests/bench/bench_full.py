"""How soon a full cluster is served again when its leader is killed: real masters, many agents."""

import argparse
import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import structlog
import uvloop

from master.ctl.cluster import EmbeddedCluster
from protocol.messages.framework import Offer
from protocol.messages.values import TaskDescription, TaskState, TaskStatus
from protocol.resources import parse_resources
from schedulers.driver import Driver
from schedulers.framework import Scheduler
from tests.bench.hosts import hosts, until_connected
from tests.bench.launches import framework
from tests.bench.measure import describe_place, median
from tests.bench.places import bench_directory

MASTERS = 3
HOSTS_IN_PROCESS = 4000  # each has a link to every master
SETTLE_S_MAX = 300.0
REFUSE_S = 3600.0  # what is left over is not wanted
CALLS_MAX = 256
TASK = parse_resources("cpus:0.1;mem:64MiB")
COLUMNS = ("first offer", "all tasks told", "last agent back", "leader's MiB")


@dataclass
class Filler(Scheduler):
    """Runs so many tasks of each agent, and notes when a new leader serves it."""

    per_agent: int
    wanted: int
    running: dict[str, None] = field(default_factory=dict)
    is_full: asyncio.Event = field(default_factory=asyncio.Event)
    offered_s: float = 0.0  # the first since `killed`
    told_s: float = 0.0  # when the state of all tasks was told
    told: dict[str, None] = field(default_factory=dict)  # since `killed`
    all_told: asyncio.Event = field(default_factory=asyncio.Event)
    served: asyncio.Event = field(default_factory=asyncio.Event)
    names: list[str] = field(default_factory=list)  # of tasks that are to be launched
    held: list[Offer] = field(default_factory=list)
    under_way: dict[int, list[str]] = field(default_factory=dict)

    def killed(self) -> None:
        self.offered_s = self.told_s = 0.0
        self.served.clear()
        self.all_told.clear()
        self.told.clear()

    def subscribed(self, driver: Driver, tasks: Sequence[TaskStatus]) -> None:
        self._tell(tasks)

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        self.offered_s = self.offered_s or time.monotonic()
        if self.is_full.is_set():
            self.served.set()
        self.held += offers
        self._pump(driver)

    def rescinded(self, driver: Driver, offers: Sequence[str]) -> None:
        void = set(offers)
        self.held = [each for each in self.held if each.offer_id not in void]

    def done(self, driver: Driver, call: int) -> None:
        self.under_way.pop(call, None)
        self._pump(driver)

    def refused(self, driver: Driver, call: int, reason: str, text: str) -> None:
        self.names += self.under_way.pop(call, [])
        self._pump(driver)

    def _pump(self, driver: Driver) -> None:
        if not self.names and self.held:
            driver.decline(self.held, refuse_s=REFUSE_S)
            self.held = []
        while self.held and len(self.under_way) < CALLS_MAX and self.names:
            names, self.names = self.names[: self.per_agent], self.names[self.per_agent :]
            tasks = [
                TaskDescription(task_id=name, name=name, command=("sleep",), resources=TASK)
                for name in names
            ]
            call = driver.accept([self.held.pop()], tasks, refuse_s=REFUSE_S)
            self.under_way[call] = names

    def updated(self, driver: Driver, status: TaskStatus) -> None:
        self._tell([status])
        if status.state == TaskState.RUNNING:
            self.running[status.task_id] = None
        if len(self.running) == self.wanted:
            self.is_full.set()

    def _tell(self, statuses: Sequence[TaskStatus]) -> None:
        self.told |= dict.fromkeys(each.task_id for each in statuses)
        if len(self.told) == self.wanted and not self.all_told.is_set():
            self.told_s = time.monotonic()
            self.all_told.set()


async def kill_leader(cluster: EmbeddedCluster, filler: Filler, agents: int) -> list[float]:
    """Return seconds from the kill to the first offer, to all tasks told, to the last agent back;
    and the new leader's memory then.
    """
    leader = await cluster.leader()
    assert leader is not None
    filler.killed()
    killed_s = time.monotonic()
    cluster.masters[leader].kill()
    await asyncio.wait_for(filler.served.wait(), SETTLE_S_MAX)
    await asyncio.wait_for(filler.all_told.wait(), SETTLE_S_MAX)
    await until_connected(cluster.target, agents, SETTLE_S_MAX)
    back_s = time.monotonic()
    now = await cluster.leader()
    assert now is not None
    memory_mib = psutil.Process(cluster.masters[now].pid).memory_info().rss / (1 << 20)
    cluster.masters[leader].start()
    await cluster.settle()
    return [filler.offered_s - killed_s, filler.told_s - killed_s, back_s - killed_s, memory_mib]


async def bench(directory: Path, agents: int, tasks: int, rounds: int) -> None:
    """Print a line for each round, and the medians."""
    settings = ("connections_per_ip_max=16384",)  # all agents are on this machine
    cluster = EmbeddedCluster(MASTERS, 0, directory, settings=settings)
    filler = Filler(-(-tasks // agents), tasks)
    filler.names = [f"t{number}" for number in range(tasks)]
    try:
        await cluster.start()
        with contextlib.ExitStack() as stack:
            began_s = time.monotonic()
            for first in range(0, agents, HOSTS_IN_PROCESS):
                count = min(HOSTS_IN_PROCESS, agents - first)
                stack.enter_context(hosts(cluster.target, count, first=first, do_tasks_stay=True))
            await until_connected(cluster.target, agents, SETTLE_S_MAX)
            print(f"{agents} agents connected in {time.monotonic() - began_s:.1f} s", flush=True)
            driver = Driver(framework(cluster.target), filler)
            running = asyncio.ensure_future(driver.run())
            began_s = time.monotonic()
            await asyncio.wait_for(filler.is_full.wait(), SETTLE_S_MAX)
            print(f"{tasks} tasks RUNNING after {time.monotonic() - began_s:.1f} s", flush=True)
            print("".join(f"{name:>17}" for name in COLUMNS), flush=True)
            found = []
            for _ in range(rounds):
                found.append(await kill_leader(cluster, filler, agents))
                print("".join(f"{each:>17.2f}" for each in found[-1]), flush=True)
            middle = [median(each) for each in zip(*found, strict=True)]
            print("medians\n" + "".join(f"{each:>17.2f}" for each in middle))
            driver.stop()
            await running
    finally:
        await cluster.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=2000)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="100 agents, 1000 tasks, one round")
    chosen = parser.parse_args()
    sizes = (chosen.agents, chosen.tasks, chosen.rounds)
    if chosen.quick:
        sizes = (100, 1000, 1)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with bench_directory() as place:
        uvloop.run(bench(place, *sizes))
    print(describe_place())


if __name__ == "__main__":
    main()
