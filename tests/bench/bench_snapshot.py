"""Commit latency while members write down states of several sizes, and while they do not."""

import argparse
import os
import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import msgspec

from tests.bench.appending import Account, Load, Shape
from tests.bench.measure import cpu_s, median, percentile
from tests.bench.members import Members, members
from tests.bench.places import bench_directory

EVENT_BYTES = 256
RECORD_BYTES = 180
RECORDS = (1_000, 50_000, 500_000, 1_500_000, 5_150_000)  # about 0.2, 10, 100, 310 MB, 1 GiB
OUTSTANDING = 16
SNAPSHOT_ENTRIES = 20_000  # as members take them unless told
LOADS_MAX = 40  # run one after the other until a snapshot of each member is on disk


@dataclass(frozen=True, slots=True)
class Figures:
    """One run: milliseconds per entry without and during snapshots, and CPU µs per entry."""

    snapshots: int  # on disk, of all members
    lasts_s: float  # of one
    share_during: float  # of the entries
    without_ms: tuple[float, float]  # p50, p99
    during_ms: tuple[float, float]
    worst_ms: float
    stall_ms: float  # the longest of the event loop of any member
    cpu_us: tuple[float, float]  # without and with snapshots


def measure(cluster: Members, load: Load) -> Figures:
    """Run a load on the member that leads, first without and then with snapshots."""
    place = cluster.leader()
    cluster.permit_snapshots(is_permitted=False)
    before_s = sum(map(cpu_s, cluster.pids))
    without = cluster.run(place, load)
    quiet_s = sum(map(cpu_s, cluster.pids)) - before_s
    run_until_snapshots(cluster, place, load)  # all are overdue: they fall into step first
    between_s = sum(map(cpu_s, cluster.pids))
    entries, during, accounts = run_until_snapshots(cluster, place, load)
    used_s = sum(map(cpu_s, cluster.pids)) - between_s
    spans = list(chain.from_iterable(each.spans[: each.finished] for each in accounts))
    return Figures(
        len(spans),
        median([end - begin for begin, end in spans]),
        len(during) / entries,
        (without.percentile_s(0.5) * 1e3, without.percentile_s(0.99) * 1e3),
        (percentile(during, 0.5) * 1e3, percentile(during, 0.99) * 1e3),
        max(during, default=0.0) * 1e3,
        max(account.stall_s for account in accounts) * 1e3,
        (quiet_s / without.entries * 1e6, used_s / entries * 1e6),
    )


def run_until_snapshots(
    cluster: Members, place: int, load: Load
) -> tuple[int, list[float], list[Account]]:
    """Run loads until each member has a snapshot of this time on disk.

    Returns the number of entries, the latencies of those committed during snapshots, and what
    each member did.
    """
    cluster.permit_snapshots(is_permitted=True)
    entries, during = 0, list[float]()
    for _ in range(LOADS_MAX):
        taken = cluster.run(place, load)
        accounts = [member.account() for member in cluster.each]
        entries += taken.entries
        during += taken.during([span for account in accounts for span in account.spans])
        if all(account.finished for account in accounts):
            return entries, during, accounts
    raise TimeoutError("a member has no snapshot")


def describe(size: int, runs: list[Figures]) -> str:
    """Return a line of medians."""
    without = [median([run.without_ms[place] for run in runs]) for place in (0, 1)]
    during = [median([run.during_ms[place] for run in runs]) for place in (0, 1)]
    ratios = [run.during_ms[1] / run.without_ms[1] for run in runs]
    cpu = [median([run.cpu_us[place] for run in runs]) for place in (0, 1)]
    return (
        f"{size / 1e6:>8.1f}{sum(run.snapshots for run in runs):>7}"
        f"{median([run.lasts_s for run in runs]):>8.2f}"
        f"{median([run.share_during for run in runs]):>8.0%}"
        f"{without[0]:>9.2f}{without[1]:>8.2f}{during[0]:>9.2f}{during[1]:>8.2f}"
        f"{median(ratios):>7.2f}{f'{min(ratios):.2f}–{max(ratios):.2f}':>12}"
        f"{median([run.worst_ms for run in runs]):>8.1f}"
        f"{median([run.stall_ms for run in runs]):>8.1f}"
        f"{cpu[0]:>8.0f}{cpu[1]:>6.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run")
    parser.add_argument("--records", type=int, nargs="*", default=RECORDS, help="in the state")
    parser.add_argument("--every", type=int, default=SNAPSHOT_ENTRIES, help="entries")
    parser.add_argument("--quick", action="store_true", help="one short run of a small state")
    chosen = parser.parse_args()
    runs, lasts_s = (1, 2.0) if chosen.quick else (chosen.runs, chosen.seconds)
    print(f"{OUTSTANDING} entries of {EVENT_BYTES} bytes in flight, a snapshot per", end=" ")
    print(f"{chosen.every} entries on each of three members;")
    print(f"medians of {runs} runs of {lasts_s:g} s without and as long with snapshots, or until")
    print("each member has one; ms per entry; CPU µs of all members per entry")
    print(
        f"{'state':>8}{'snap-':>7}{'each':>8}{'share':>8}{'without':>9}{'':>8}{'during':>9}{'':>8}"
        f"{'p99':>7}{'lowest–':>12}{'worst':>8}{'stall':>8}{'CPU':>8}\n"
        f"{'MB':>8}{'shots':>7}{'s':>8}{'during':>8}{'p50':>9}{'p99':>8}{'p50':>9}{'p99':>8}"
        f"{'ratio':>7}{'highest':>12}{'ms':>8}{'ms':>8}{'without':>8}{'with':>6}"
    )
    for records in (1_000,) if chosen.quick else chosen.records:
        shape = Shape(records, RECORD_BYTES, chosen.every)
        size = len(msgspec.msgpack.encode(Shape(1_000, RECORD_BYTES).state())) * records // 1_000
        with (
            bench_directory(os.curdir) as directory,
            members(Path(directory), shape=shape) as cluster,
        ):
            cluster.run(cluster.leader(), Load(OUTSTANDING, 1, EVENT_BYTES, 1.0))  # warms caches
            load = Load(OUTSTANDING, 1, EVENT_BYTES, lasts_s)
            began_s = time.monotonic()
            print(describe(size, [measure(cluster, load) for _ in range(runs)]), end="")
            print(
                f"   load {os.getloadavg()[0]:.1f}, {time.monotonic() - began_s:.0f} s", flush=True
            )


if __name__ == "__main__":
    main()
