"""What a benchmark leaves when it is ended from outside: nothing, or what the next one removes."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.measure import ROOT
from tests.bench.places import clear_leftovers

WAIT_S_MAX = 60.0
SCRIPT = """
import signal, sys
from pathlib import Path
from tests.bench.members import members
from tests.bench.places import bench_directory
if __name__ == "__main__":
    with bench_directory(sys.argv[1]) as directory, members(Path(directory)) as cluster:
        cluster.leader()
        print(*cluster.pids, flush=True)
        signal.pause()
"""


def start(where: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """Return a benchmark at work, and the processes of its members."""
    script = where / "bench.py"
    script.write_text(SCRIPT)
    bench = subprocess.Popen(
        [sys.executable, str(script), str(where)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert bench.stdout is not None
    return bench, [int(word) for word in bench.stdout.readline().split()]


def until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S_MAX
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def are_gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}/exe").exists() for pid in pids)


def end(bench: subprocess.Popen[str], number: int) -> None:
    bench.send_signal(number)
    bench.communicate()


def test_benchmark_that_is_asked_to_end_leaves_nothing(tmp_path: Path) -> None:
    bench, pids = start(tmp_path)
    assert len(pids) == 3
    end(bench, signal.SIGTERM)
    assert bench.returncode == 128 + signal.SIGTERM
    until(lambda: are_gone(pids))
    assert [path.name for path in tmp_path.iterdir()] == ["bench.py"]


def test_killed_benchmark_takes_its_members_along_and_its_directory_is_removed_by_the_next(
    tmp_path: Path,
) -> None:
    running, others = start(tmp_path)
    try:
        bench, pids = start(tmp_path)
        end(bench, signal.SIGKILL)
        until(lambda: are_gone(pids))
        assert len(list(tmp_path.glob("quorate-bench-*"))) == 2
        clear_leftovers(tmp_path)
        left = [path.name for path in tmp_path.glob("quorate-bench-*")]
        assert [name.startswith(f"quorate-bench-{running.pid}-") for name in left] == [True]
    finally:
        end(running, signal.SIGTERM)
    until(lambda: are_gone(others))
