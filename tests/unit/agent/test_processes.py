"""Processes: identity by pid and start, and the ends of whole trees."""

import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.containerizer.outcome import describe_exit, describe_loss, measure_process
from agent.containerizer.processes import (
    find_descendants,
    find_session,
    has_ended,
    open_process,
    read_boot_id,
    read_start_ticks,
    send_signal,
)
from agent.containerizer.records import ExitRecord
from agent.containerizer.task import explain_exec

TREE = """
import os, sys, time
if os.fork() == 0:
    if os.fork() == 0:
        print("ready", flush=True)
    time.sleep(60)
time.sleep(60)
"""


def test_process_is_opened_only_with_its_own_start() -> None:
    ticks = read_start_ticks(os.getpid())
    handle = open_process(os.getpid(), ticks)
    assert handle is not None
    assert not has_ended(handle)
    os.close(handle)
    assert open_process(os.getpid(), ticks + 1) is None
    assert open_process(2**22 + 1, ticks) is None


def test_process_that_cannot_be_looked_at_is_not_taken_for_ended() -> None:
    ticks = read_start_ticks(os.getpid())
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    try:
        for descriptors in (free, free + 1):
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, limits[1]))
            with pytest.raises(OSError, match="Too many open files"):
                open_process(os.getpid(), ticks)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    again = os.dup(0)
    os.close(again)
    assert again == free


def test_signal_to_an_ended_process_reports_it() -> None:
    child = subprocess.Popen(["sleep", "60"])
    handle = os.pidfd_open(child.pid)
    assert send_signal(handle, signal.SIGKILL)
    while not has_ended(handle):
        pass
    assert open_process(child.pid, read_start_ticks(child.pid)) is None  # a zombie has ended too
    child.wait()
    assert not send_signal(handle, signal.SIGKILL)
    os.close(handle)


def test_descendants_and_sessions_are_found_and_killed() -> None:
    command = [sys.executable, "-S", "-c", TREE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as root:
        assert root.stdout is not None
        assert root.stdout.readline() == b"ready\n"
        below = find_descendants(root.pid)
        assert len(below) == 2
        assert sorted([root.pid, *below]) == sorted(find_session(root.pid))
        for pid in [*below, root.pid]:
            os.kill(pid, signal.SIGKILL)


def test_boot_id_is_stable() -> None:
    assert len(read_boot_id()) == 36
    assert read_boot_id() == read_boot_id()


def test_usage_of_a_process_is_read_from_proc() -> None:
    assert measure_process(os.getpid()).memory_bytes > 1 << 20
    assert measure_process(2**22 + 1).pids == 0


def test_end_is_said_in_words() -> None:
    assert describe_exit(ExitRecord(exit_code=3)).message == "exited with code 3"
    assert describe_exit(ExitRecord(signal=15)).message == "killed by SIGTERM"
    assert describe_exit(ExitRecord(signal=40)).message == "killed by signal 40"
    failed = describe_exit(ExitRecord(failed_step="user", text="no such user"))
    assert (failed.exit_code, failed.message) == (127, "could not be started: user: no such user")
    assert describe_loss("why").was_lost


@pytest.mark.parametrize(
    ("command", "number", "code", "text"),
    [
        ("nosuch", errno.ENOENT, 127, "nosuch: not found in PATH"),
        ("nosuch", errno.ENOTDIR, 127, "nosuch: not found in PATH"),
        ("./nosuch", errno.ENOENT, 127, "./nosuch: no such file"),
        ("/etc/passwd", errno.ENOENT, 126, "/etc/passwd: its interpreter is not there"),
        ("/etc/passwd", errno.EACCES, 126, "/etc/passwd: not executable"),
        ("true", errno.E2BIG, 126, "true: Argument list too long"),
    ],
)
def test_command_that_cannot_be_run_ends_as_in_a_shell(
    command: str, number: int, code: int, text: str
) -> None:
    step = explain_exec(command, OSError(number, os.strerror(number)))
    exited = describe_exit(ExitRecord(failed_step=step.step, text=step.text))
    assert (exited.exit_code, exited.message) == (code, text)


def test_out_of_memory_needs_a_bad_end() -> None:
    end = ExitRecord(signal=9, oom_kills=1, memory_peak_bytes=64 << 20)
    assert describe_exit(end).is_out_of_memory
    assert describe_exit(end).message == "out of memory at 64 MiB"
    assert not describe_exit(end._replace(oom_kills=0)).is_out_of_memory
    assert not describe_exit(end._replace(signal=0)).is_out_of_memory


def test_out_of_memory_at_the_least_limit_says_that_it_is_that() -> None:
    end = ExitRecord(signal=9, oom_kills=1, memory_peak_bytes=32 << 20)
    text = "out of memory at 32 MiB; a limit is never below 32 MiB"
    assert describe_exit(end).message == text


def test_launcher_imports_only_the_standard_library_and_its_siblings() -> None:
    root = Path(__file__).parents[3]
    code = f"""
import sys
sys.path.append({str(root)!r})
import agent.containerizer.launcher
names = {{name.partition(".")[0] for name in sys.modules}} - set(sys.stdlib_module_names)
print(sorted(names - {{"__main__", "agent"}}), "asyncio" in sys.modules)
"""
    command = [sys.executable, "-I", "-S", "-E", "-c", code]
    assert subprocess.check_output(command, text=True).strip() == "[] False"
