"""Commands that run on their own, as somebody at a shell starts them; nothing outlives a test."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from master.ctl.children import remove_cgroups
from tests.clusters import wait_for

END_S_MAX = 60.0
NOBODY = 65_534


class Command:
    """A `quorate` that runs, with its output in a file."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def said(self) -> str:
        return self._output.read_text(errors="replace")

    def wait_for_text(self, text: str) -> None:
        """Return once the command has said this; an end before that is a failure."""

        def look() -> bool:
            has_ended = self.process.poll() is not None
            assert text in self.said or not has_ended, self.said
            return text in self.said

        wait_for(look, text)

    def wait(self) -> int:
        """Return the exit status."""
        return self.process.wait(END_S_MAX)

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send the signal and return the exit status."""
        self.process.send_signal(number)
        return self.wait()


@contextmanager
def running_quorate(
    directory: Path,
    *arguments: str,
    python: str = sys.executable,
    user: int | None = None,
    stdout: int | None = None,
) -> Iterator[Command]:
    """A command whose home and temporary directory is `directory`; all it started ends with it.

    `stdout` is a descriptor to give it instead of the file that also has its stderr.
    """
    count = len(list(directory.parent.glob(f"{directory.name}.*.out")))
    output = directory.with_name(f"{directory.name}.{count}.out")
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [python, "-P", "-m", "master.ctl", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=sink if stdout is None else stdout,
            stderr=sink,
            env=environment_in(directory),
            user=user,
            group=user,
            extra_groups=None if user is None else (),
        )
    try:
        yield Command(process, output)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_S_MAX / 4)
        for pid in processes_in(directory, process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        wait_for(lambda: not processes_in(directory, process.pid), "everything to end")
        for inner in (*directory.glob("*/"), *directory.glob("quorate-*/*/")):
            remove_cgroups(inner)


def run_quorate(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, at home in `directory`."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "master.ctl", *arguments],
        capture_output=True,
        text=True,
        env=environment_in(directory),
        timeout=END_S_MAX,
        check=False,
    )


def environment_in(directory: Path) -> dict[str, str]:
    """Return an environment without settings of ours, whose every child can be recognised."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QUORATE_")}
    return {**kept, "COLUMNS": "80", "HOME": str(directory), "TMPDIR": str(directory)}


def processes_in(directory: Path, root: int) -> Sequence[int]:
    """Return who was started with this temporary directory or a sandbox in it, and the root."""
    marks = (f"TMPDIR={directory}\0".encode(), f"QUORATE_SANDBOX={directory}/".encode())
    path = f"{directory}/".encode()
    found = {root} if Path(f"/proc/{root}").exists() else set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environment = (entry / "environ").read_bytes()
            is_marked = any(mark in environment for mark in marks)
            if is_marked or path in (entry / "cmdline").read_bytes():
                found.add(int(entry.name))
    return sorted(found)
