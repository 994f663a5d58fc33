"""A virtual machine in user space (User Mode Linux), whose power can be cut: its host kills it.

What the guest's kernel had not written to its disks is lost then; what it had flushed is not.
"""

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
KERNEL = ROOT / ".venv/debian/usr/bin/linux.uml"  # of Debian's package; the Makefile fetches it
DISK_BYTES = 64 << 20
MEMORY = "192M"
INIT = """\
#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t tmpfs run /run
ip link set lo up
{mounts}
cd {directory}
{command} </dev/null 2>&1
echo "the guest's command ended with status $?"
halt -f
"""


class Machine:
    """A guest that runs one command: the host's files read-only, disks of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def lines(self) -> Iterator[str]:
        """Yield what the guest says, line by line, to its end; not one that was cut short."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):
                yield line.strip()

    def cut_power(self) -> None:
        """End the guest's kernel and all it runs, this instant."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Let go of its console."""
        assert self._process.stdout is not None
        self._process.stdout.close()


def make_disk(path: Path) -> None:
    """Make an empty file system in a file. Raises: CalledProcessError, FileNotFoundError."""
    with path.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", str(path)], check=True)


@contextlib.contextmanager
def booted(directory: Path, disks: Sequence[Path], command: Sequence[str]) -> Iterator[Machine]:
    """Boot a guest that runs a command with its disks at /run/disk0, /run/disk1 and so on."""
    init, inside = directory / "init", directory / "uml"
    inside.mkdir(exist_ok=True)
    mounts = "\n".join(
        f"mkdir /run/disk{place} && mount -t ext4 /dev/ubd{chr(ord('a') + place)} /run/disk{place}"
        for place in range(len(disks))
    )
    text = INIT.format(mounts=mounts, directory=shlex.quote(str(ROOT)), command=shlex.join(command))
    init.write_text(text)
    init.chmod(0o755)
    hardware = [f"mem={MEMORY}", "con=null", "con0=null,fd:1", f"uml_dir={inside}"]
    hardware += [f"ubd{place}={disk}" for place, disk in enumerate(disks)]
    root = ["root=none", "rootfstype=hostfs", "rootflags=/", "ro", "quiet", f"init={init}"]
    process = subprocess.Popen(
        [str(KERNEL), *hardware, *root],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
        env={**os.environ, "TMPDIR": "/dev/shm"},  # where its memory is
    )
    machine = Machine(process)
    try:
        yield machine
    finally:
        machine.cut_power()
        machine.close()
