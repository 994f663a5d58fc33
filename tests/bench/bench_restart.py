"""How long members take to follow again, with long logs and big states, and reading a log takes."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from master.ctl.children import free_ports
from tests.bench.appending import Load, Milestones, Shape
from tests.bench.history import write_history
from tests.bench.measure import ROOT, median
from tests.bench.members import Members, members
from tests.bench.places import bench_directory

ENTRIES = 1_000_000
EVENT_BYTES = 256
RECORD_BYTES = 180
RECORDS = (1_000, 1_500_000, 5_150_000)  # about 0.2 and 330 MB, and somewhat over 1 GiB
FILL = Load(1024, 1, EVENT_BYTES, 5.0)
BESIDE = Load(16, 1, EVENT_BYTES, 5.0)  # while a member is filled anew
FOLLOWS_S_MAX = 600.0
LEADS = re.compile("this master leads")


class Timed:
    """The times of some restarts, from the start of the process on."""

    def __init__(self) -> None:
        self._each: list[tuple[float, Milestones]] = []

    def restart(self, cluster: Members, place: int, wanted: int) -> None:
        """Start a member that has ended, and wait until it has applied the entry `wanted`."""
        began_s = time.perf_counter()
        cluster.restart(place)
        until_s = time.monotonic() + FOLLOWS_S_MAX
        while (account := cluster.each[place].account(FOLLOWS_S_MAX)).applied < wanted:
            if time.monotonic() > until_s:
                raise TimeoutError("the member does not catch up")
            time.sleep(0.05)
        self._each.append((began_s, account.milestones))

    def describe(self) -> str:
        """Return medians of the seconds for each step, and of the whole with its extremes."""
        steps = [
            [getattr(stones, name) - began for began, stones in self._each]
            for name in ("imported_s", "examined_s", "opened_s", "following_s", "applied_s")
        ]
        ends = [median(step) for step in steps]
        parts = [end - start for start, end in zip([0.0, *ends], ends, strict=False)]
        whole = f"{ends[-1]:.1f} ({min(steps[-1]):.1f}–{max(steps[-1]):.1f})"
        return "".join(f"{part:>9.2f}" for part in parts) + f"{whole:>19}"


def lengthen(cluster: Members, entries: int) -> None:
    """Have each member take a snapshot, then append so many entries."""
    place = cluster.leader()
    cluster.permit_snapshots(is_permitted=True)
    while not all(member.account().finished for member in cluster.each):
        cluster.run(place, BESIDE)
    cluster.permit_snapshots(is_permitted=False)
    wanted = cluster.each[place].account().applied + entries
    while cluster.each[place].account().applied < wanted:
        cluster.run(place, FILL)


def bench_members(records: int, entries: int, runs: int, directory: str) -> None:
    """Restart a follower that was killed, and one that lost its disk while entries arrive."""
    shape = Shape(records, RECORD_BYTES, 1_000)
    killed, wiped = Timed(), Timed()
    with (
        bench_directory(directory) as below,
        members(Path(below), shape=shape) as cluster,
    ):
        lengthen(cluster, entries)
        for _ in range(runs):
            place = next(n for n in range(len(cluster.each)) if n != cluster.leader())
            wanted = cluster.each[place].account().applied
            cluster.each[place].kill()
            killed.restart(cluster, place, wanted)
        leader = cluster.leader()
        place = next(n for n in range(len(cluster.each)) if n != leader)
        account = cluster.each[leader].account()
        cluster.each[place].kill()
        shutil.rmtree(cluster.path(place))
        is_over = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(keep_loading, cluster, leader, is_over)
            try:
                wiped.restart(cluster, place, account.applied)
            finally:
                is_over.set()
        loading.result()
        size = account.snapshot_bytes
    about = f"{size / 1e6:>9.1f}{entries:>11,}"
    print(f"{about}{'killed':>9}{killed.describe()}", flush=True)
    print(f"{about}{'wiped':>9}{wiped.describe()}   load {os.getloadavg()[0]:.1f}", flush=True)


def keep_loading(cluster: Members, leader: int, is_over: threading.Event) -> None:
    """Append all the time. Raises: TimeoutError, EOFError when the leader leads no more."""
    while not is_over.is_set():
        cluster.run(leader, BESIDE)


def bench_tools(entries: int, runs: int, directory: str) -> None:
    """Read a master's log with each tool, then have a lone master start with it."""
    with bench_directory(directory) as below:
        name = f"127.0.0.1:{free_ports(1)[0]}"
        path = os.path.abspath(os.path.join(below, "log"))
        written = write_history(path, name, entries)
        print(f"a master's log of {written.entries:,} entries of one event each,", end=" ")
        print(f"{written.mean_bytes:.0f} bytes on average, no snapshot")
        for verb, *more in (("verify",), ("export", "-o", os.devnull), ("replay",)):
            command = [sys.executable, "-m", "master.ctl", "log", verb, "--data-dir", path, *more]
            each_s = [run_s(command) for _ in range(runs)]
            rate = written.entries / median(each_s)
            print(f"quorate log {verb:<8}{median(each_s):>7.1f} s{rate:>12,.0f} entries/s")
        command = [sys.executable, "-m", "master", "--listen", name, "--data-dir", path]
        taken_s = run_s([*command, "--insecure", "--set", "log_format=json"], LEADS)
        print(f"a lone master leads{taken_s:>9.1f} s after its start", flush=True)


def run_s(command: list[str], until: re.Pattern[str] | None = None) -> float:
    """Return how many seconds a program takes, to its end or to a line that it writes."""
    began_s = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        last = ""
        for last in process.stdout:
            if until is not None and until.search(last):
                taken_s = time.perf_counter() - began_s
                process.kill()
                return taken_s
        if process.wait() or until is not None:
            raise RuntimeError(f"{' '.join(command)} failed: {last}")
    return time.perf_counter() - began_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--entries", type=int, default=ENTRIES, help="after the snapshot")
    parser.add_argument("--records", type=int, nargs="*", default=RECORDS, help="in the state")
    parser.add_argument("--directory", default=os.curdir, help="on the disk to be measured")
    parser.add_argument("--quick", action="store_true", help="one short run of a small state")
    chosen = parser.parse_args()
    runs, entries = (1, 5_000) if chosen.quick else (chosen.runs, chosen.entries)
    bench_tools(entries, runs, chosen.directory)
    print(f"a follower of three, entries of {EVENT_BYTES} bytes, seconds from the start of its")
    print(f"process; killed: medians of {runs} restarts; wiped: one, while entries arrive")
    print(
        f"{'snap-':>9}{'entries':>11}{'':>9}{'start':>9}{'examine':>9}{'open,':>9}{'hear':>9}"
        f"{'apply':>9}{'in all':>19}\n"
        f"{'shot MB':>9}{'after it':>11}{'':>9}{'Python':>9}{'files':>9}{'restore':>9}{'leader':>9}"
        f"{'entries':>9}{'(lowest–highest)':>19}"
    )
    for records in (1_000,) if chosen.quick else chosen.records:
        # The long log beside a small state, and a big state beside a short log.
        bench_members(records, entries if records <= 1_000 else 5_000, runs, chosen.directory)


if __name__ == "__main__":
    main()
