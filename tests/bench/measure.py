"""What benchmarks share: percentiles, processor time of other processes, and where they ran."""

import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the sample that `share` of them do not exceed; 0 when there are none."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def median(samples: Sequence[float]) -> float:
    """Return the middle of several runs' figures; 0 when there are none."""
    return statistics.median(samples) if samples else 0.0


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used so far, all its threads together."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / TICKS_PER_S


def describe_place() -> str:
    """Return machine, Python and commit in one line."""
    system = os.uname()
    return (
        f"{_cpu_model()}, {os.cpu_count()} cpus, {_memory_gib():.0f} GiB, "
        f"{system.sysname} {system.release}, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}, commit {_commit()}"
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


def _commit() -> str:
    try:
        found = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=10"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
