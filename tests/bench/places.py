"""Directories of benchmarks, and what is left of those that were killed."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

PREFIX = "quorate-bench-"


@contextlib.contextmanager
def bench_directory(where: str = "") -> Iterator[Path]:
    """Give an empty directory, on a disk if one is named, and remove it however this ends.

    What SIGKILL leaves, the next benchmark there removes.
    """
    parent = Path(where or tempfile.gettempdir())
    clear_leftovers(parent)
    before = signal.signal(signal.SIGTERM, _end)
    try:
        with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", dir=parent) as name:
            yield Path(os.path.abspath(name))
    finally:
        signal.signal(signal.SIGTERM, before)


def clear_leftovers(parent: Path) -> None:
    """Remove the directories of benchmarks whose process is gone."""
    for directory in parent.glob(f"{PREFIX}*-*"):
        pid = directory.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(directory, ignore_errors=True)


def _end(number: int, frame: FrameType | None) -> None:
    """Unwind, so that processes are ended and directories removed."""
    sys.exit(128 + number)
