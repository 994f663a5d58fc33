"""Commit latency while members write down states of several sizes, and while they do not."""

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.bench.measure import cpu_s, median
from tests.bench.members import Load, Members, Shape, members

EVENT_BYTES = 256
RECORD_BYTES = 180
RECORDS = (1_000, 50_000, 500_000, 1_500_000)  # about 0.2, 10, 100 and 300 MB
OUTSTANDING = 16
SNAPSHOT_ENTRIES = 4_000


@dataclass(frozen=True, slots=True)
class Figures:
    """One run: milliseconds per entry without and during snapshots, and CPU µs per entry."""

    snapshots: int
    share_during: float  # of the entries
    without_ms: tuple[float, float]  # p50, p99
    during_ms: tuple[float, float]
    worst_ms: float
    cpu_us: float


def measure(cluster: Members, load: Load) -> Figures:
    """Run one load on the member that leads."""
    place = cluster.leader()
    before_s = sum(map(cpu_s, cluster.pids))
    taken = cluster.run(place, load)
    used_s = sum(map(cpu_s, cluster.pids)) - before_s
    without, during = taken.without, taken.during
    return Figures(
        taken.snapshots,
        during.count / taken.entries,
        (without.p50_s * 1e3, without.p99_s * 1e3),
        (during.p50_s * 1e3, during.p99_s * 1e3),
        during.worst_s * 1e3,
        used_s / taken.entries * 1e6,
    )


def describe(size: int, runs: list[Figures]) -> str:
    """Return a line of medians."""
    without = [median([run.without_ms[place] for run in runs]) for place in (0, 1)]
    during = [median([run.during_ms[place] for run in runs]) for place in (0, 1)]
    ratio = median([run.during_ms[1] / run.without_ms[1] for run in runs if run.without_ms[1]])
    return (
        f"{size / 1e6:>8.1f}{sum(run.snapshots for run in runs):>7}"
        f"{median([run.share_during for run in runs]):>8.0%}"
        f"{without[0]:>9.2f}{without[1]:>8.2f}{during[0]:>9.2f}{during[1]:>8.2f}{ratio:>7.2f}"
        f"{median([run.worst_ms for run in runs]):>8.1f}"
        f"{median([run.cpu_us for run in runs]):>8.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run")
    parser.add_argument("--records", type=int, nargs="*", default=RECORDS, help="in the state")
    parser.add_argument("--quick", action="store_true", help="one short run of a small state")
    chosen = parser.parse_args()
    runs, lasts_s = (1, 2.0) if chosen.quick else (chosen.runs, chosen.seconds)
    print(f"{OUTSTANDING} entries of {EVENT_BYTES} bytes in flight, a snapshot per", end=" ")
    print(f"{SNAPSHOT_ENTRIES} entries on each of three members;")
    print(f"medians of {runs} runs of {lasts_s:g} s; ms per entry; CPU µs of all members per entry")
    print(
        f"{'state':>8}{'snap-':>7}{'share':>8}{'without':>9}{'':>8}{'during':>9}{'':>8}{'p99':>7}"
        f"{'worst':>8}{'CPU':>8}\n"
        f"{'MB':>8}{'shots':>7}{'during':>8}{'p50':>9}{'p99':>8}{'p50':>9}{'p99':>8}{'ratio':>7}"
        f"{'ms':>8}{'µs':>8}"
    )
    for records in (1_000,) if chosen.quick else chosen.records:
        shape = Shape(records, RECORD_BYTES, SNAPSHOT_ENTRIES)
        size = len(msgspec.msgpack.encode(Shape(1_000, RECORD_BYTES).state())) * records // 1_000
        with (
            tempfile.TemporaryDirectory(prefix="quorate-bench-", dir=os.curdir) as directory,
            members(Path(directory), shape=shape) as cluster,
        ):
            measure(cluster, Load(OUTSTANDING, 1, EVENT_BYTES, 1.0))  # warms caches, grows maps
            load = Load(OUTSTANDING, 1, EVENT_BYTES, lasts_s)
            print(describe(size, [measure(cluster, load) for _ in range(runs)]), flush=True)


if __name__ == "__main__":
    main()
