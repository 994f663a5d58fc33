"""How slow schedulers share a cell: locks, offers asked for, shared offers, transactions."""

import argparse
import random
from dataclasses import dataclass, replace

from master.core.policies import SetPolicy
from protocol.resources import parse_resources
from tests.bench.bench_core import seconds
from tests.bench.cell import Cell
from tests.bench.measure import percentile
from tests.bench.planners import Asker, Kind, Lender, Observer, Planner

MACHINE = parse_resources("cpus:4;mem:16GiB")
TASK = parse_resources("cpus:1;mem:2GiB")
# Inter-arrival times, tasks and durations of the Omega paper's simulator (its example cell).
BATCH = Kind("*", 10.0, 100, 100.0, TASK, think_job_s=0.1)
SERVICE = Kind("*", 20.0, 10, 500.0, TASK, think_job_s=0.1)
THINKING_S = (0.1, 5.0, 15.0)  # of the service scheduler, for one job


@dataclass(frozen=True)
class Way:
    name: str
    make: type[Planner]
    policy: SetPolicy | None = None


WAYS = (
    Way("locks", Lender),
    Way("asked for", Asker),
    Way("shared by 2", Lender, SetPolicy("*", {}, sharers=2)),
    Way("asked, shared", Asker, SetPolicy("*", {}, sharers=2)),
    Way("transactions", Observer, SetPolicy("*", {}, is_open=True)),
)


def play(way: Way, agents: int, lasts_s: float, thinking_s: float) -> None:
    """Print how the jobs of a batch and a service scheduler fared."""
    cell = Cell(agents, MACHINE, way.policy)
    kinds = BATCH, replace(SERVICE, think_job_s=thinking_s)
    planners = [way.make(cell, kind, random.Random(n)) for n, kind in enumerate(kinds)]
    taken_s = seconds(lambda: cell.run(lasts_s))
    words = []
    for planner in planners:
        tally = planner.tally
        waits = sorted(tally.waits_s) or [lasts_s]
        words.append(
            f"{len(tally.waits_s):>4}{percentile(waits, 0.5):>8.2f}{percentile(waits, 0.9):>8.2f}"
            f"{tally.conflicts / max(1, tally.tasks):>7.1%}{tally.vain_s:>7.1f}"
        )
    print(
        f"{way.name:<14}{thinking_s:>5.1f} s |{words[0]} |{words[1]} |{taken_s:>6.1f}", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--agents", type=int, default=0)
    chosen = parser.parse_args()
    agents = chosen.agents or (400 if chosen.quick else 1000)
    lasts_s = 200.0 if chosen.quick else 1000.0
    print(f"{agents:,} agents of 4 cpus, {lasts_s:.0f} virtual seconds; waits in seconds")
    head = f"{'jobs':>4}{'p50':>8}{'p90':>8}{'lost':>7}{'vain':>7}"
    print(f"{'':<14}{'thinks':>7} |{head + '  batch':<34} |{head} |{'cpu s':>6}")
    for thinking_s in THINKING_S[1:2] if chosen.quick else THINKING_S:
        for way in WAYS:
            play(way, agents, lasts_s, thinking_s)


if __name__ == "__main__":
    main()
