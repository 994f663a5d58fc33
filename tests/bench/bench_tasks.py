"""Tasks launched to RUNNING through the durable log of three masters: simulated and real agents."""

import argparse
import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvloop

from master.ctl.cluster import EmbeddedCluster
from protocol.resources import parse_resources
from schedulers.driver import Driver
from tests.bench.hosts import hosts, until_connected
from tests.bench.launches import Launches, LaunchScheduler, Seen, framework
from tests.bench.measure import cpu_s, median, percentile
from tests.bench.places import bench_directory

MASTERS = 3
REAL_AGENTS = 2
REAL_RESOURCES = "cpus:64;mem:64GiB;disk:64GiB"  # lent beyond what there is: time is what counts
SETTLE_S_MAX = 60.0
SIMULATED_TASK = parse_resources("cpus:0.1;mem:64MiB")
REAL_TASK = parse_resources("cpus:1;mem:32MiB")
SIMULATED_SHAPES = (
    Launches(1, 1, 0),
    Launches(64, 1, 0),
    Launches(256, 16, 0),
    Launches(2048, 64, 0),
)
REAL_SHAPES = (
    ("true, spaced", ("/bin/true",), Launches(1, 1, 0, until_ended=True, gap_s=0.05)),
    ("true", ("/bin/true",), Launches(16, 4, 0, until_ended=True)),
    ("sleep 1", ("/bin/sleep", "1"), Launches(64, 8, 0, until_ended=True)),
)


@dataclass(frozen=True, slots=True)
class Bench:
    """A cluster to be measured, and whose processor time counts as whose."""

    cluster: EmbeddedCluster
    agent_pids: tuple[int, ...]

    async def measure(self, scheduler: LaunchScheduler, launches: Launches) -> "Figures":
        """Run one shape."""
        leader = await self.cluster.leader()
        assert leader is not None
        masters = [child.pid for child in self.cluster.masters]
        groups = (
            [masters.pop(leader)],
            masters,
            self.agent_pids,
            [os.getpid()],
        )
        before_s = [sum(map(cpu_s, group)) for group in groups]
        seen = await scheduler.run(launches)
        used_s = [
            sum(map(cpu_s, group)) - before for group, before in zip(groups, before_s, strict=True)
        ]
        return Figures(seen, tuple(each / max(1, len(seen.running_s)) * 1e6 for each in used_s))


@dataclass(frozen=True, slots=True)
class Figures:
    """One run: what was seen, and the CPU µs per task of leader, followers, agents, framework."""

    seen: Seen
    cpu_us: tuple[float, ...]


HEADING = (
    f"{'tasks':<22}{'/s':>8}{'lowest–highest':>16}{'p50':>8}{'p99':>8}"
    f"{'leader':>8}{'follow.':>8}{'agents':>8}{'framew.':>8}"
)


def describe(name: str, runs: list[Figures]) -> str:
    """Return a line of medians; milliseconds from accept to RUNNING over all runs."""
    rates = [len(run.seen.running_s) / run.seen.elapsed_s for run in runs]
    each_s = [each for run in runs for each in run.seen.running_s]
    cpu = "".join(f"{median([run.cpu_us[who] for run in runs]):>8.0f}" for who in range(4))
    failed = sum(run.seen.failed + run.seen.refused for run in runs)
    return (
        f"{name:<22}{median(rates):>8,.0f}{f'{min(rates):,.0f}–{max(rates):,.0f}':>16}"
        f"{percentile(each_s, 0.5) * 1e3:>8.1f}{percentile(each_s, 0.99) * 1e3:>8.1f}{cpu}"
        f"{f'  ({failed} failed or refused)' if failed else ''}"
    )


@contextlib.asynccontextmanager
async def scheduling(cluster: EmbeddedCluster, scheduler: LaunchScheduler) -> AsyncIterator[None]:
    """Serve a scheduler, subscribed and with offers, and have it removed at the end."""
    driver = Driver(framework(cluster.target), scheduler)
    running = asyncio.ensure_future(driver.run())
    try:
        await asyncio.wait_for(scheduler.has_offers.wait(), SETTLE_S_MAX)
        yield
    finally:
        driver.stop()
        await running


async def bench_simulated(directory: Path, agents: int, runs: int, lasts_s: float) -> None:
    """Print what the masters can do when agents cost nothing."""
    cluster = EmbeddedCluster(MASTERS, 0, directory)
    try:
        await cluster.start()
        with hosts(cluster.target, agents) as pid:
            await until_connected(cluster.target, agents, SETTLE_S_MAX)
            scheduler = LaunchScheduler(("run",), SIMULATED_TASK)
            bench = Bench(cluster, (pid,))
            async with scheduling(cluster, scheduler):
                await bench.measure(scheduler, Launches(64, 8, 1.0))  # warm
                for shape in SIMULATED_SHAPES:
                    launches = Launches(shape.under_way, shape.per_accept, lasts_s)
                    found = [await bench.measure(scheduler, launches) for _ in range(runs)]
                    name = f"{shape.under_way} under way, {shape.per_accept} each"
                    print(describe(name, found), flush=True)
    finally:
        await cluster.stop()


async def bench_real(directory: Path, runs: int, lasts_s: float) -> None:
    """Print what agents do in containers on this machine."""
    cluster = EmbeddedCluster(MASTERS, REAL_AGENTS, directory, resources=REAL_RESOURCES)
    try:
        await cluster.start()
        bench = Bench(cluster, tuple(child.pid for child in cluster.agents))
        for name, command, shape in REAL_SHAPES:
            scheduler = LaunchScheduler(command, REAL_TASK)
            async with scheduling(cluster, scheduler):
                await bench.measure(scheduler, Launches(4, 1, 1.0, until_ended=True))
                launches = Launches(
                    shape.under_way, shape.per_accept, lasts_s, shape.until_ended, shape.gap_s
                )
                found = [await bench.measure(scheduler, launches) for _ in range(runs)]
                print(describe(f"{name}, {shape.under_way} at a time", found), flush=True)
    finally:
        await cluster.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=100, help="simulated")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run")
    parser.add_argument("--only", choices=("simulated", "real"))
    parser.add_argument("--quick", action="store_true", help="one short run of each shape")
    chosen = parser.parse_args()
    runs, lasts_s = (1, 1.0) if chosen.quick else (chosen.runs, chosen.seconds)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    print(f"medians of {runs} runs of {lasts_s:g} s; ms from accept to RUNNING seen by the")
    print(f"framework; CPU µs per task in each kind of process\n{HEADING}")
    with bench_directory() as place:
        if chosen.only != "real":
            print(f"- {chosen.agents} simulated agents, each with links to {MASTERS} masters")
            uvloop.run(bench_simulated(Path(place, "simulated"), chosen.agents, runs, lasts_s))
        if chosen.only != "simulated":
            print(f"- {REAL_AGENTS} agents, containers{'' if os.geteuid() == 0 else ' (no root)'}")
            uvloop.run(bench_real(Path(place, "real"), runs, lasts_s))


if __name__ == "__main__":
    main()
