"""Events appended and committed per second by three members of a log, each write fsynced."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from tests.bench.appending import Load
from tests.bench.measure import cpu_s, median
from tests.bench.members import Members, members
from tests.bench.places import bench_directory

EVENT_BYTES = 256
SHAPES = ((1, 1), (16, 1), (256, 1), (1024, 1), (1, 64), (16, 64), (8, 256))


@dataclass(frozen=True, slots=True)
class Figures:
    """One run: events per second, milliseconds per entry, CPU µs per event of whom."""

    events_per_s: float
    p50_ms: float
    p99_ms: float
    leader_us: float
    followers_us: float


def measure(cluster: Members, load: Load) -> Figures:
    """Run one load on the member that leads."""
    place = cluster.leader()
    before_s = [cpu_s(pid) for pid in cluster.pids]
    taken = cluster.run(place, load)
    used_s = [cpu_s(pid) - before for pid, before in zip(cluster.pids, before_s, strict=True)]
    events = taken.entries * load.events_per_entry
    return Figures(
        events / taken.elapsed_s,
        taken.percentile_s(0.5) * 1e3,
        taken.percentile_s(0.99) * 1e3,
        used_s[place] / events * 1e6,
        (sum(used_s) - used_s[place]) / events * 1e6,
    )


def describe(outstanding: int, events_per_entry: int, runs: list[Figures]) -> str:
    """Return a line of medians."""
    rates = [run.events_per_s for run in runs]
    return (
        f"{outstanding:>8}{events_per_entry:>8}{median(rates):>11,.0f}"
        f"{f'{min(rates):,.0f}–{max(rates):,.0f}':>19}"
        f"{median([run.p50_ms for run in runs]):>8.2f}{median([run.p99_ms for run in runs]):>8.2f}"
        f"{median([run.leader_us for run in runs]):>9.1f}"
        f"{median([run.followers_us for run in runs]):>9.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run")
    parser.add_argument("--quick", action="store_true", help="one short run of each shape")
    chosen = parser.parse_args()
    runs, lasts_s = (1, 0.5) if chosen.quick else (chosen.runs, chosen.seconds)
    print(f"events of {EVENT_BYTES} bytes; medians of {runs} runs of {lasts_s:g} s; ms per entry,")
    print("CPU µs per event in the leader and in both followers together")
    print(
        f"{'entries':>8}{'events':>8}{'events':>11}{'lowest–':>19}{'p50':>8}{'p99':>8}"
        f"{'leader':>9}{'follow-':>9}\n"
        f"{'in fl.':>8}{'each':>8}{'/s':>11}{'highest':>19}{'ms':>8}{'ms':>8}{'µs':>9}{'ers µs':>9}"
    )
    with (
        bench_directory() as directory,
        members(Path(directory)) as cluster,
    ):
        measure(cluster, Load(64, 1, EVENT_BYTES, lasts_s))  # warms caches and grows the maps
        found: dict[tuple[int, int], list[Figures]] = {shape: [] for shape in SHAPES}
        for _ in range(runs):  # interleaved, so that a busy moment does not hit one shape alone
            for outstanding, each in SHAPES:
                load = Load(outstanding, each, EVENT_BYTES, lasts_s)
                found[outstanding, each].append(measure(cluster, load))
        for (outstanding, each), figures in found.items():
            print(describe(outstanding, each, figures), flush=True)


if __name__ == "__main__":
    main()
