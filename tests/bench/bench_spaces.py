"""Puts, reads and appends of one scheduler in the masters' log, by how many are outstanding."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from master.ctl.cluster import EmbeddedCluster
from master.config import MasterConfig
from master.keeping import BURST_S
from schedulers.journal import Journal
from schedulers.keeper import Keeper
from tests.bench.measure import describe_place, median, percentile
from tests.faults.crowd import introduce
from tests.faults.stage import staged

VALUE = bytes(256)
OUTSTANDING = (1, 16, 256, 1024)
BURST = MasterConfig().requests_per_s_max * BURST_S
REQUESTS = BURST - 200  # in one run: more would measure the limit of one principal's rate
REST_S = BURST_S  # until as many may be asked again
DURATION_S = 2.0  # of a run at most

Verb = Callable[[int], Awaitable[object]]


async def measure(verb: Verb, outstanding: int) -> tuple[float, list[float]]:
    """Return requests per second, and the seconds that each took."""
    took_s: list[float] = []
    began_s = time.monotonic()
    numbers = iter(range(REQUESTS))

    async def ask() -> None:
        for number in numbers:
            asked_s = time.monotonic()
            if asked_s - began_s > DURATION_S:
                return
            await verb(number)
            took_s.append(time.monotonic() - asked_s)

    await asyncio.gather(*(ask() for _ in range(outstanding)))
    return len(took_s) / (time.monotonic() - began_s), took_s


async def measure_all(cluster: EmbeddedCluster, rounds: int) -> None:
    """Print a line for each verb and number outstanding."""
    async with Keeper(introduce(cluster, "bench"), "bench") as keeper:
        journal = Journal(keeper, "events")
        writer = await journal.claim("bench")

        async def put(number: int) -> None:
            await keeper.store(f"key-{number % 1000}", VALUE)

        async def fetch(number: int) -> None:
            await keeper.fetch(f"key-{number % 1000}")

        async def append(number: int) -> None:
            await writer.append((VALUE,))

        verbs: dict[str, Verb] = {"put": put, "fetch": fetch, "append": append}
        for name, verb in verbs.items():
            for outstanding in OUTSTANDING:
                rates, took_s = [], list[float]()
                for _ in range(rounds):
                    await asyncio.sleep(REST_S)
                    rate, took = await measure(verb, outstanding)
                    rates.append(rate)
                    took_s += took
                    if writer.next > 1:
                        await writer.truncate(writer.next)
                shares = [percentile(took_s, share) * 1000 for share in (0.5, 0.99)]
                spread = f"{min(rates):,.0f}–{max(rates):,.0f}"
                print(
                    f"{name:<8}{outstanding:>11}{median(rates):>10,.0f}{spread:>16}"
                    f"{shares[0]:>9.1f}{shares[1]:>9.1f}",
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
        tempfile.TemporaryDirectory(prefix="quorate-bench-") as name,
        staged(Path(name) / "cluster", 3, 0) as cluster,
    ):
        asyncio.run(measure_all(cluster, 1 if chosen.quick else chosen.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
