"""Runs benchmarks one after the other: `python -m tests.bench [names…] [--quick]`."""

import argparse
import importlib
import pkgutil
import subprocess
import sys
import time

from master.ctl.children import end_with_parent
from tests import bench
from tests.bench.measure import ROOT, describe_place

# What each takes in a hurry; the others are short anyhow.
QUICK = {
    "allocator": ("--quick",),
    "etcd": ("--quick",),
    "failover": ("--quick",),
    "full": ("--quick",),
    "launch": ("20", "20"),
    "link": ("--count", "5000"),
    "log": ("--quick",),
    "restart": ("--quick",),
    "sharing": ("--quick",),
    "snapshot": ("--quick",),
    "spaces": ("--quick",),
    "tasks": ("--quick",),
}
PREFIX = "bench_"


def names() -> tuple[str, ...]:
    """Return the benchmarks there are."""
    found = (module.name for module in pkgutil.iter_modules(bench.__path__))
    return tuple(name.removeprefix(PREFIX) for name in found if name.startswith(PREFIX))


def claim(name: str) -> str:
    """Return in a sentence what a benchmark measures."""
    module = importlib.import_module(f"tests.bench.{PREFIX}{name}")
    return (module.__doc__ or "").strip().partition("\n")[0]


def run(name: str, *, is_quick: bool) -> int:
    """Run a benchmark in a process of its own; return its exit code."""
    print(f"\n== {name}: {claim(name)}", flush=True)
    arguments = QUICK.get(name, ()) if is_quick else ()
    began_s = time.monotonic()
    command = [sys.executable, "-m", f"tests.bench.{PREFIX}{name}", *arguments]
    with subprocess.Popen(command, cwd=ROOT, preexec_fn=end_with_parent) as running:
        code = running.wait()
    ending = f"failed with exit code {code} after" if code else "took"
    print(f"   ({ending} {time.monotonic() - began_s:.0f} s)", flush=True)
    return code


def main() -> int:
    """Return the exit code: 1 when a benchmark could not be run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names())}; none: all of them")
    parser.add_argument("--quick", action="store_true", help="short runs, to see that they work")
    parser.add_argument("--list", action="store_true", help="say what there is and end")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.names if name not in names()]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(names())}")
    if chosen.list:
        for name in names():
            print(f"{name:<10}{claim(name)}")
        return 0
    print(describe_place())
    return max([min(1, abs(run(n, is_quick=chosen.quick))) for n in chosen.names or names()])


if __name__ == "__main__":
    sys.exit(main())
