"""Child processes of an embedded cluster: started with a log file each, never outliving it."""

import contextlib
import ctypes
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
POLL_S = 0.02
TAKEN_DOWN_S_MAX = 5.0
SANDBOX_MARK = "QUORATE_SANDBOX="
LAUNCHER = b"containerizer/launcher.py"
PORTS_FROM, PORTS_TO = 10_000, 30_000  # below the range that outgoing connections take theirs from
PORTS_SPARE = 5000  # between the highest random start and the end

_libc = ctypes.CDLL(None)


class Child:
    """One daemon: its arguments, its log, and its process while it runs."""

    def __init__(self, name: str, module: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self._is_asked = False  # to end

    @property
    def pid(self) -> int:
        """The process that runs, or ran last; 0 before the first start."""
        return self._process.pid if self._process else 0

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs or before it started."""
        return self._process.poll() if self._process else None

    @property
    def has_failed(self) -> bool:
        """Whether it ended without being asked to."""
        return self.exit_code is not None and not self._is_asked

    def start(self) -> None:
        """Start the process; its output is added to the log."""
        assert not self.is_running
        self._is_asked = False
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 – no threads run here
            )

    def kill(self) -> None:
        """End the process without a chance to say anything, as a power cut would."""
        self._is_asked = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> None:
        """Ask the process to end; it may take a while."""
        self._is_asked = True
        if self.is_running and self._process is not None:
            self._process.terminate()

    def tail(self, lines: int = 8) -> str:
        """Return the last lines of the log."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


def stop_all(children: Iterable[Child], patience_s: float = 5.0) -> None:
    """End all: orderly where a process answers within `patience_s`, with force otherwise."""
    running = [child for child in children if child.is_running]
    for child in running:
        child.terminate()
    deadline_s = time.monotonic() + patience_s
    while time.monotonic() < deadline_s and any(child.is_running for child in running):
        time.sleep(POLL_S)
    for child in running:
        if child.is_running:
            child.kill()


def free_ports(count: int, start: int = 0) -> list[int]:
    """Return loopback ports nobody listens on, the first ones from `start`; 0: from anywhere.

    They are not kept: who asks at the same time should start elsewhere.
    """
    found: list[int] = []
    start = start or PORTS_FROM + secrets.randbelow(PORTS_TO - PORTS_FROM - PORTS_SPARE)
    for port in range(start, PORTS_TO):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free loopback ports")


def kill_leftovers(directory: Path) -> int:
    """Kill the tasks and launchers of agents below `directory`; return how many there were.

    Both outlive their agent on purpose, to be found again by its next start.
    """
    sandbox = f"{SANDBOX_MARK}{directory}/".encode()
    work_dir = f"{directory}/".encode()
    killed: list[Path] = []
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        try:
            environment = Path(f"/proc/{entry}/environ").read_bytes().split(b"\0")
            command = Path(f"/proc/{entry}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            is_task = any(line.startswith(sandbox) for line in environment)
            is_ours = any(argument.startswith(work_dir) for argument in command)
            is_launcher = is_ours and LAUNCHER in b" ".join(command)
            if is_task or is_launcher:
                os.kill(int(entry), signal.SIGKILL)
                killed.append(Path(f"/proc/{entry}/cmdline"))
        except OSError:
            continue  # it ended meanwhile, or is not ours to see
    _await_ends(killed)
    return len(killed)


def _await_ends(command_lines: Sequence[Path]) -> None:
    """Return when the kernel has taken down what was killed, or will not in time."""
    deadline_s = time.monotonic() + TAKEN_DOWN_S_MAX
    for path in command_lines:
        with contextlib.suppress(OSError):
            while path.read_bytes() and time.monotonic() < deadline_s:
                time.sleep(POLL_S)


def remove_cgroups(work_dir: Path) -> None:
    """Remove the cgroups of the agent with this work directory, innermost first."""
    tree = hashlib.sha256(str(work_dir).encode()).hexdigest()[:12]  # as agents name theirs
    mounts = Path("/sys/fs/cgroup")
    for mount in (mounts, *mounts.glob("*")):
        ours = mount / "quorate"
        inner = [path for path in (ours / tree).rglob("*") if path.is_dir()]
        for path in (*sorted(inner, reverse=True), ours / tree, ours):
            with contextlib.suppress(OSError):  # absent, or another agent's are in it
                path.rmdir()


def remove_tree(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)


def end_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
