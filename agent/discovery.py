"""Discovery: what the machine has, for an agent whose resources nobody wrote down."""

import os
import re
import shutil
import socket
from contextlib import suppress
from pathlib import Path

import psutil

from protocol.resources import Resources

MIB = 1 << 20
MEMORY_KEPT_MIN = 512 * MIB  # for the kernel and the daemons beside us
PORT_MAX = 65_535
PORTS = ((31000, 32000),)
CGROUPS = Path("/sys/fs/cgroup")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def detect_resources(disk_bytes: int) -> Resources:
    """What this machine can lend: its processors, memory, the given disk, and ports."""
    membership = _read(Path("/proc/self/cgroup"))
    cpus = [len(os.sched_getaffinity(0)) * 1000, *cpu_limits_milli(CGROUPS, membership)]
    memory = [psutil.virtual_memory().total, *memory_limits_bytes(CGROUPS, membership)]
    scalars = {
        "cpus": min(cpus),
        "disk": disk_bytes // MIB * MIB,
        "mem": lend_memory(min(memory)),
    }
    return Resources(
        scalars={name: amount for name, amount in scalars.items() if amount > 0},
        ranges={"ports": PORTS},
        sets={},
    )


def lend_memory(total_bytes: int) -> int:
    """The part of a machine's memory that tasks may have, in whole MiB: at least half."""
    kept = min(max(total_bytes // 10, MEMORY_KEPT_MIN), total_bytes // 2)
    return (total_bytes - kept) // MIB * MIB


def settle_disk(path: Path, work_dir: Path) -> int:
    """Bytes of disk to lend: nine tenths of what was free at the agent's first start.

    The number is kept in `path`: an agent that offered less after each restart, because its own
    tasks write, would take back what the masters have given away.
    """
    text = _read(path).strip()
    if text.isdecimal():
        return int(text)
    lent = shutil.disk_usage(work_dir).free * 9 // 10
    path.write_text(f"{lent}\n")
    return lent


def find_port(path: Path, host: str) -> int:
    """The port that `keep_port` kept when it is still free at this host, else 0.

    Who follows a task's output while the agent restarts knows no other address.
    """
    text = _read(path).strip()
    if not text.isdecimal() or int(text) > PORT_MAX:
        return 0
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, int(text)))
        except OSError:
            return 0
    return int(text)


def keep_port(path: Path, port: int) -> None:
    """Remember where the agent listens; on a full disk the next start takes another port."""
    with suppress(OSError):
        path.write_text(f"{port}\n")


def cpu_limits_milli(root: Path, membership: str) -> list[int]:
    """The cpu quotas that bind this process, of its cgroup and of those above it."""
    limits = []
    for directory in _cgroups_above(root, membership, "cpu"):
        quota, _, period = _read(directory / "cpu.max").strip().partition(" ")
        if not quota:
            quota = _read(directory / "cpu.cfs_quota_us").strip()
            period = _read(directory / "cpu.cfs_period_us").strip()
        if quota.isdecimal() and period.isdecimal() and int(period) > 0:
            limits.append(max(1, int(quota) * 1000 // int(period)))
    return limits


def memory_limits_bytes(root: Path, membership: str) -> list[int]:
    """The memory limits that bind this process, of its cgroup and of those above it."""
    limits = []
    for directory in _cgroups_above(root, membership, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _read(directory / name).strip()
            if text.isdecimal() and int(text) > 0:
                limits.append(int(text))
    return limits


def read_boot_id() -> str:
    """The identity of the machine's current boot."""
    return BOOT_ID.read_text().strip()


def detect_hostname() -> str:
    """The name of this machine."""
    return socket.gethostname() or "localhost"


def detect_address(towards: str) -> str:
    """The address of this machine on the way to `towards` (host:port); nothing is sent.

    Raises: OSError when there is no way.
    """
    host, _, port = towards.rpartition(":")
    family, kind, number, _, address = socket.getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_DGRAM
    )[0]
    with socket.socket(family, kind, number) as probe:
        probe.connect(address)
        return str(probe.getsockname()[0])


def new_agent_id(hostname: str, suffix: int) -> str:
    """The identity of an agent: where it was born and a number, fit to be a directory's name."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", hostname)[:24].strip(".-") or "agent"
    return f"{host}-{suffix & 0xFFFFFF:06x}"


def _cgroups_above(root: Path, membership: str, controller: str) -> list[Path]:
    """Directories of one controller, from this process's own cgroup up to the root's."""
    found = []
    for line in membership.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            mount = root
        elif controller in controllers.split(","):
            mount = root / controller
        else:
            continue
        inside = Path(path.strip("/"))
        found += [mount / part for part in (inside, *inside.parents)]
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
