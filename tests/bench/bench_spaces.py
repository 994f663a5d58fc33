"""Puts, reads and appends of one scheduler in the masters' log, by how many are outstanding."""

import argparse
import asyncio
import sys
from pathlib import Path

import structlog

from master.ctl.cluster import EmbeddedCluster
from rlog.client.journal import Journal
from schedulers.keeper import Keeper
from tests.bench.duel import Contender, Verb, measure
from tests.bench.measure import describe_place, median
from tests.bench.places import bench_directory
from tests.bench.tape import Tape
from tests.faults.crowd import introduce
from tests.faults.stage import staged

VALUE = bytes(256)
OUTSTANDING = (1, 16, 256, 1024)
SETTINGS = ("requests_per_s_max=1000000",)  # or that limit would be what is measured
DURATION_S = 2.0  # of a run
KEYS = 1000


async def measure_all(cluster: EmbeddedCluster, rounds: int) -> None:
    """Print a line for each verb and number outstanding."""
    framework = introduce(cluster, "bench")
    pids = [child.pid for child in cluster.masters]
    async with Keeper(framework, "keys") as keeper, Keeper(framework, "events") as events:
        tape = Tape(await Journal(events, "events").claim("bench"))
        verbs: dict[str, Verb] = {
            "put": lambda number: keeper.store(f"key-{number % KEYS}", VALUE),
            "fetch": lambda number: keeper.fetch(f"key-{number % KEYS}"),
            "append": lambda _: tape.append((VALUE,)),
        }
        for name, verb in verbs.items():
            for outstanding in OUTSTANDING:
                contender = Contender(name, verb, pids)
                runs = [await measure(contender, outstanding, DURATION_S) for _ in range(rounds)]
                rates = [run.per_s for run in runs]
                spread = f"{min(rates):,.0f}–{max(rates):,.0f}"
                print(
                    f"{name:<8}{outstanding:>11,}{median(rates):>10,.0f}{spread:>16}"
                    f"{median([run.p50_ms for run in runs]):>9.1f}"
                    f"{median([run.p99_ms for run in runs]):>9.1f}",
                    flush=True,
                )


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    print(describe_place())
    print(
        f"{'':<8}{'outstanding':>11}{'per s':>10}{'lowest–highest':>16}{'p50 ms':>9}{'p99 ms':>9}"
    )
    with (
        bench_directory() as name,
        staged(Path(name) / "cluster", 3, 0, SETTINGS) as cluster,
    ):
        asyncio.run(measure_all(cluster, 1 if chosen.quick else chosen.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
