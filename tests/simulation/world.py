"""One seed: a cluster, its schedulers, a storm of faults, and the calm after it."""

from __future__ import annotations

import asyncio
import collections
import random
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from tests.simulation.checkers import BrokenPromiseError, Checkers
from tests.simulation.client import ClientHost
from tests.simulation.cluster import Cluster, Host
from tests.simulation.fleeting import FleetingHost
from tests.simulation.holding import HoldingScheduler
from tests.simulation.operators import OperatorHost
from tests.simulation.workload import Plan, SchedulerHost, SeededScheduler

STORM_S = 25.0
CALM_S_MAX = 90.0
STEP_S = 0.25
FAULT_MEAN_S = 1.2
AMBUSH_S_MAX = 2.0
AMBUSH_STEP_S = 0.0005
AMBUSH_CHANCE = 0.4
HOLDING_SEEDS = 3  # every so many-th has schedulers that reserve and make volumes


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a simulated cluster is."""

    masters: int = 3
    agents: int = 3
    schedulers: int = 2
    tasks: int = 25  # each scheduler


@dataclass(slots=True)
class Outcome:
    """What a seed did; `broken` is empty when every promise held."""

    seed: int
    broken: str = ""
    seen: collections.Counter[str] = field(default_factory=collections.Counter)
    messages: int = 0
    virtual_s: float = 0.0
    story: list[str] = field(default_factory=list)


class World:
    """Runs one seed; the same seed does the same, always."""

    def __init__(self, seed: int, shape: Shape, directory: Path) -> None:
        self.outcome = Outcome(seed)
        self.cluster = Cluster(seed, directory, shape.masters, shape.agents)
        self.rng = random.Random(seed ^ 0x5EED)
        self.checkers = Checkers(self.cluster)
        self.others = self.make_others()
        self.clients = self.make_clients(shape)
        self._names = [host.name for host in self.cluster.hosts()]
        self._names += [host.name for host in self.clients]

    def make_clients(self, shape: Shape) -> Sequence[ClientHost]:
        """Return those who use the cluster, not started."""
        schedulers = [
            SchedulerHost(
                self.cluster,
                self.checkers,
                f"f{n + 1}",
                Plan(
                    f"seeded-{n + 1}",
                    f"role{n % 2 + 1}",
                    shape.tasks,
                    f"token-{n + 1}",
                    is_asking=n % 3 == 1,
                ),
                HoldingScheduler if self.outcome.seed % HOLDING_SEEDS == 0 else SeededScheduler,
            )
            for n in range(shape.schedulers)
        ]
        return [*schedulers, *self.others]

    def make_others(self) -> list[OperatorHost | FleetingHost]:
        """Return who else comes in half of the seeds; the others are as they were before."""
        if self.outcome.seed % 4 not in (0, 3):
            return []
        seen = self.outcome.seen
        return [OperatorHost(self.cluster, "o1", seen), FleetingHost(self.cluster, "v1", seen)]

    @property
    def faults(self) -> Faults:
        """What may go wrong, and how often; disks are full in half of the seeds."""
        return {**FAULTS, World.fill_disk: 3} if self.outcome.seed % 4 in (0, 3) else FAULTS

    # -- the run
    def run(self) -> Outcome:
        loop = self.cluster.loop
        started_s = loop.time()
        try:
            loop.run_until_complete(self._live())
        except BrokenPromiseError as error:
            self.outcome.broken = str(error)
        except Exception as error:
            self.outcome.broken = f"the simulation failed: {error!r}"
        finally:
            self.outcome.virtual_s = loop.time() - started_s
            self.outcome.seen["tasks"] += len(self.checkers.histories)
            self.outcome.seen["states compared"] += self.checkers.comparisons
            self.outcome.messages = loop.network.delivered
            for client in self.clients:
                client.kill()
            self.cluster.close()
        return self.outcome

    async def _live(self) -> None:
        for host in self.cluster.hosts():
            self.cluster.start(host)
        for client in self.clients:
            client.start()
        await self.watch(3.0)
        await self._storm()
        self._heal()
        await self._calm()
        await self.finish()

    async def finish(self) -> None:
        """Check what must be true in the end."""
        self.checkers.finish()
        for other in self.others:
            other.judge(self.cluster.leaders()[0].daemon.state)

    async def watch(self, for_s: float) -> None:
        """Let time pass, and look."""
        loop = self.cluster.loop
        until_s = loop.time() + for_s
        while loop.time() < until_s:
            await sleep(self.cluster, min(STEP_S, until_s - loop.time()))
            self.checkers.step()
            for client in self.clients:
                if client.ended:
                    raise BrokenPromiseError(f"{client.name} ended: {client.ended[0]}")

    async def watch_until(self, is_done: Callable[[], bool], most_s: float) -> None:
        """Look until something is true. Raises: BrokenPromiseError when it is not in time."""
        until_s = self.cluster.loop.time() + most_s
        while not is_done():
            if self.cluster.loop.time() > until_s:
                raise BrokenPromiseError(f"no answer within {most_s} s of calm")
            await self.watch(STEP_S)

    async def _storm(self) -> None:
        loop = self.cluster.loop
        until_s = loop.time() + STORM_S
        while loop.time() < until_s:
            await self.watch(self.rng.expovariate(1 / FAULT_MEAN_S))
            fault = self.rng.choices(list(self.faults), list(self.faults.values()))[0]
            self.outcome.seen[fault.__name__.replace("_", " ")] += 1
            told = fault(self)
            self.outcome.story.append(f"{loop.time() - 1000:7.3f} s  {fault.__name__} {told}")

    def _heal(self) -> None:
        self.cluster.loop.network.heal()
        self.cluster.loop.disk_mean_s.clear()
        self.cluster.loop.full_until_s.clear()
        for host in self.cluster.hosts():
            self.cluster.start(host)
        for client in self.clients:
            client.start()
            client.go_on()

    async def _calm(self) -> None:
        """Everything ends: all tasks launched, ended and told."""
        loop = self.cluster.loop
        until_s = loop.time() + CALM_S_MAX
        while loop.time() < until_s:
            await self.watch(1.0)
            if self._is_settled():
                await self.watch(3.0)
                return
        left = {client.name: client.left for client in self.clients}
        raise BrokenPromiseError(f"not settled {CALM_S_MAX} s after healing: {left}")

    def _is_settled(self) -> bool:
        if not all(client.is_settled for client in self.clients):
            return False
        if any(host.is_stopped for host in self.cluster.hosts()):
            return False
        if any(host.machine and host.machine.running() for host in self.cluster.agents):
            return False
        if not self.checkers.is_settled():
            return False
        return all(not host.is_up or not host.daemon.state.tasks for host in self.cluster.agents)

    def later(self, delay_s: float, act: Callable[[], object]) -> None:
        self.cluster.loop.call_later(delay_s, act)

    # -- faults
    def kill_and_restart(self, host: Host) -> None:
        self.cluster.kill(host)
        self.later(self.rng.choice((0.1, 1.0, 4.0)), lambda: self.cluster.start(host))

    def kill_master(self) -> str:
        host = self.rng.choice(self.cluster.masters)
        self.kill_and_restart(host)
        return host.name

    def kill_leader(self) -> str:
        hosts = self.cluster.leaders()
        for host in hosts:
            self.kill_and_restart(host)
        return ",".join(host.name for host in hosts)

    def ambush_leader(self) -> str:
        """Kill a leader while something of its is decided and not yet committed."""
        return self._ambush(self.cluster.leaders)

    def ambush_agent(self) -> str:
        """Kill an agent while something of its is decided and not yet on its disk."""
        return self._ambush(lambda: self.rng.sample(self.cluster.agents, 1))

    def _ambush(self, victims: Callable[[], list[Host]]) -> str:
        until_s = self.cluster.loop.time() + AMBUSH_S_MAX

        def look() -> None:
            for host in victims():
                is_busy = host.is_up and not host.daemon._loop._fold.is_at_rest
                if is_busy and self.rng.random() < AMBUSH_CHANCE:
                    self.kill_and_restart(host)
                    return
            if self.cluster.loop.time() < until_s:
                self.later(AMBUSH_STEP_S, look)

        look()
        return "within 2 s"

    def kill_all_masters(self) -> str:
        for host in self.cluster.masters:
            self.kill_and_restart(host)
        return "together"

    def kill_agent(self) -> str:
        host = self.rng.choice(self.cluster.agents)
        self.kill_and_restart(host)
        return host.name

    def kill_client(self) -> str:
        client = self.rng.choice(self.clients)
        client.kill()
        self.later(self.rng.choice((0.1, 2.0, 5.0)), client.start)
        return client.name

    def pause_process(self) -> str:
        hosts: list[Any] = [*self.cluster.hosts(), *self.clients]
        host = self.rng.choice(hosts)
        for_s = self.rng.choice((0.3, 2.0, 9.0))
        if host.is_up:
            self.cluster.loop.pause(host.process, for_s)
        return f"{host.name} for {for_s} s"

    def partition(self) -> str:
        inside = self.rng.sample(self._names, self.rng.randint(1, len(self._names) // 2))
        outside = [name for name in self._names if name not in inside]
        both_ways = self.rng.random() < 0.7
        self.cluster.cut_off(inside, outside, both_ways=both_ways)
        for_s = self.rng.choice((0.5, 3.0, 8.0))
        self.later(for_s, self.cluster.loop.network.heal)
        return f"{inside} for {for_s} s" + ("" if both_ways else ", one way")

    def isolate_leader(self) -> str:
        """Cut a leader off from the other masters; agents and schedulers still reach it."""
        leaders = [host.name for host in self.cluster.leaders()]
        others = [host.name for host in self.cluster.masters if host.name not in leaders]
        self.cluster.cut_off(leaders, others)
        for_s = self.rng.choice((0.3, 1.0, 4.0))
        self.later(for_s, self.cluster.loop.network.heal)
        return f"{leaders} for {for_s} s"

    def reset_links(self) -> str:
        a, b = self.rng.sample(self._names, 2)
        self.cluster.loop.network.reset(a, b)
        return f"{a}-{b}"

    def set_clock(self) -> str:
        host = self.rng.choice(self.cluster.hosts())
        host.clock_skew_ns = self.rng.choice((-3600, -5, 0, 5, 3600)) * 1_000_000_000
        return f"{host.name} {host.clock_skew_ns // 1_000_000_000} s"

    def slow_disk(self) -> str:
        host = self.rng.choice(self.cluster.hosts())
        self.cluster.loop.disk_mean_s[host.name] = self.rng.choice((0.002, 0.05, 0.3))
        return f"{host.name} {self.cluster.loop.disk_mean_s[host.name]} s"

    def fill_disk(self) -> str:
        """Let masters find no room for a while: one, or now and then all."""
        count = self.rng.choice((1, 1, 1, 2, len(self.cluster.masters)))
        hosts, for_s = (
            self.rng.sample(self.cluster.masters, count),
            self.rng.choice((0.5, 3.0, 8.0)),
        )
        for host in hosts:
            self.cluster.loop.full_until_s[host.name] = self.cluster.loop.time() + for_s
        return f"{[host.name for host in hosts]} for {for_s} s"


Faults: TypeAlias = dict[Callable[[Any], str], float]

FAULTS: Faults = {
    World.kill_master: 3,
    World.kill_leader: 2,
    World.ambush_leader: 3,
    World.ambush_agent: 2,
    World.kill_all_masters: 1,
    World.kill_agent: 4,
    World.kill_client: 2,
    World.pause_process: 3,
    World.partition: 3,
    World.isolate_leader: 3,
    World.reset_links: 3,
    World.set_clock: 1,
    World.slow_disk: 1,
}


async def sleep(cluster: Cluster, for_s: float) -> None:
    """Wait in virtual time, outside of every simulated process."""
    woken = asyncio.Event()
    cluster.loop.call_later(for_s, woken.set)
    await woken.wait()


def run_seed(seed: int, make: Callable[[int, Path], World] | None = None) -> Outcome:
    """Run one seed on a disk of its own, which is removed afterwards."""
    parent = "/dev/shm" if Path("/dev/shm").is_dir() else None
    directory = Path(tempfile.mkdtemp(prefix="quorate-simulation-", dir=parent))
    make = make or (lambda seed, directory: World(seed, Shape(), directory))
    try:
        return make(seed, directory).run()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
