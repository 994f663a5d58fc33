"""Processes as /proc shows them: identity across pid reuse, descendants, ends of whole trees."""

import contextlib
import errno
import os
import select
import signal
import time

STOP_PASSES_MAX = 50  # each pass stops what was forked during the one before; forks need a parent
SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # these say nothing of the process asked after
END_S_MAX = 10.0  # a killed process that stays longer hangs in the kernel


def read_boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def read_stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the third (state) on; empty when it is gone.

    Raises: OSError when descriptors or memory are scarce.
    """
    try:
        handle = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in SCARCE:
            raise
        return []
    try:
        content = os.read(handle, 4096)
    except OSError:
        return []
    finally:
        os.close(handle)
    return content.rpartition(b")")[2].decode("ascii").split()


def read_start_ticks(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 when it is gone."""
    fields = read_stat(pid)
    return int(fields[19]) if fields else 0


def open_process(pid: int, start_ticks: int) -> int | None:
    """Return a pidfd of exactly that process; None when it has ended, reaped or not.

    Raises: OSError when descriptors or memory are scarce.
    """
    try:
        handle = os.pidfd_open(pid)
    except OSError as error:
        if error.errno in SCARCE:
            raise
        return None
    is_meant = False
    try:
        # After opening, for now the pid cannot change hands.
        is_meant = read_start_ticks(pid) == start_ticks and not has_ended(handle)
    finally:
        if not is_meant:
            os.close(handle)
    return handle if is_meant else None


def has_ended(handle: int) -> bool:
    """Whether the process behind a pidfd is over, reaped or not."""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(0))


def send_signal(handle: int, number: int) -> bool:
    """Signal the process behind a pidfd; False when it has ended."""
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    return True


def find_descendants(root: int) -> list[int]:
    """Return the pids of all living descendants, parents before children."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = read_stat(int(name))
            if fields and fields[0] not in "ZX":
                children.setdefault(int(fields[1]), []).append(int(name))
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def find_session(leader: int) -> list[int]:
    """Return the pids of all living processes of a session."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = read_stat(int(name))
            if fields and fields[0] not in "ZX" and int(fields[3]) == leader:
                found.append(int(name))
    return found


def kill_all(pids: list[int], number: int = signal.SIGKILL) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def kill_descendants() -> None:
    """Stop, then kill every descendant: who is stopped cannot fork out of reach."""
    stopped: list[int] = []
    for _ in range(STOP_PASSES_MAX):
        fresh = [pid for pid in find_descendants(os.getpid()) if pid not in stopped]
        if not fresh:
            break
        kill_all(fresh, signal.SIGSTOP)
        stopped += fresh
    kill_all(stopped)


def end_descendants() -> bool:
    """Kill and reap until no child is left; for a subreaper. False when some will not end."""
    deadline = time.monotonic() + END_S_MAX
    while time.monotonic() < deadline:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        kill_descendants()
        time.sleep(0.001)
    return False
