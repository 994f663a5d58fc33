"""System calls that Python 3.11 has no words for: namespaces, mounts, process attributes."""

import ctypes
import os
import signal
import socket
import struct

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID = 0x20000, 0x4000000, 0x8000000, 0x20000000
NAMESPACES = {"pid": CLONE_NEWPID, "mnt": CLONE_NEWNS, "uts": CLONE_NEWUTS, "ipc": CLONE_NEWIPC}
SYS_CLONE3, SYS_CLOSE_RANGE = 435, 436  # the same on every architecture
SYS_RT_SIGACTION = {"x86_64": 13, "aarch64": 134}
SIGNAL_SET_BYTES = 8
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 2, 4, 8, 16384, 1 << 18
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38
CLOSE_RANGE_CLOEXEC = 4
DESCRIPTOR_MAX = 0xFFFFFFFF
HOSTNAME_BYTES_MAX = 64
CLONE_ARGS = struct.Struct("11Q")  # struct clone_args: flags, pidfd, …, exit_signal, …, cgroup

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> int:
    """Return the result, or raise the OSError that errno tells."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def fork_into_namespaces() -> int:
    """Fork with new pid, mount, host name and ipc namespaces; the child is pid 1 there.

    Raw, so only from a process with a single thread: the child goes on in Python.
    """
    flags = 0
    for flag in NAMESPACES.values():
        flags |= flag
    arguments = CLONE_ARGS.pack(flags, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
    return check(int(libc.syscall(SYS_CLONE3, arguments, CLONE_ARGS.size)), "clone3")


def mount(source: str, target: str, kind: str, flags: int) -> None:
    result = libc.mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None
    )
    check(int(result), f"mount {target}")


def furnish_namespaces() -> None:
    """Make what pid 1 of a container needs: mounts of its own and its /proc."""
    mount("none", "/", "none", MS_REC | MS_PRIVATE)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def set_hostname(hostname: str) -> None:
    """Name the machine as this namespace sees it."""
    socket.sethostname(hostname.encode()[:HOSTNAME_BYTES_MAX].decode(errors="ignore"))


def probe_namespaces() -> str:
    """Return why containers cannot have namespaces here; empty when they can."""
    if os.geteuid() != 0:
        return "the agent does not run as root"
    try:
        pid = fork_into_namespaces()
    except OSError as error:
        return error.strerror or str(error)
    if pid == 0:
        try:
            furnish_namespaces()
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    number = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return "" if number == 0 else f"mounting in a new namespace: {os.strerror(number)}"


def set_subreaper() -> None:
    """Become the parent of orphaned descendants."""
    check(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl subreaper")


def set_no_new_privileges() -> None:
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl no_new_privs")


def close_on_exec_from(first: int) -> None:
    """Let the next exec close every descriptor from `first` on."""
    _close_range(first, DESCRIPTOR_MAX, CLOSE_RANGE_CLOEXEC)


def close_all_but(kept: list[int]) -> None:
    """Close every descriptor that is not in the sorted list; os.closerange tries each number."""
    low = 0
    for descriptor in kept:
        if descriptor > low:
            _close_range(low, descriptor - 1, 0)
        low = descriptor + 1
    _close_range(low, DESCRIPTOR_MAX, 0)


def _close_range(first: int, last: int, flags: int) -> None:
    result = libc.syscall(SYS_CLOSE_RANGE, ctypes.c_uint(first), ctypes.c_uint(last), flags)
    check(int(result), "close_range")


def restore_signal(number: int) -> None:
    """Give a signal its default action that the C library keeps from everybody, where we can."""
    call = SYS_RT_SIGACTION.get(os.uname().machine)
    if call is not None:
        action = bytes(32)  # default, no flags, empty mask
        libc.syscall(call, number, action, None, ctypes.c_size_t(SIGNAL_SET_BYTES))
