"""From records and /proc to what the agent is told."""

import os
import signal

from agent.cgroups.hierarchy import MEMORY_BYTES_MIN
from agent.containerizer.containerizer import Exited
from agent.containerizer.processes import read_stat
from agent.containerizer.records import ExitRecord
from agent.containerizer.task import EXEC, LOOKUP
from protocol.messages.values import ContainerUsage

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
EXIT_NOT_RUN = 127
EXITS_OF_STEPS = {LOOKUP: 127, EXEC: 126}  # what a shell returns for such a command


def describe_exit(record: ExitRecord) -> Exited:
    """Return the end with a sentence about it.

    Out of memory: the kernel killed something for it, and the container did not end well.
    """
    if record.failed_step in EXITS_OF_STEPS:
        return describe_unrunnable(record.failed_step, record.text)
    if record.failed_step:
        message = f"could not be started: {record.failed_step}: {record.text}"
        return Exited(EXIT_NOT_RUN, 0, 0, 0, False, message)
    is_out_of_memory = record.oom_kills > 0 and bool(record.signal or record.exit_code)
    if is_out_of_memory:
        message = f"out of memory at {record.memory_peak_bytes >> 20} MiB"
        if record.memory_peak_bytes <= MEMORY_BYTES_MIN:
            message += f"; a limit is never below {MEMORY_BYTES_MIN >> 20} MiB"
    elif record.signal:
        message = f"killed by {name_signal(record.signal)}"
    else:
        message = f"exited with code {record.exit_code}"
    return Exited(
        exit_code=record.exit_code,
        signal=record.signal,
        cpu_ns=record.cpu_ns,
        memory_peak_bytes=record.memory_peak_bytes,
        is_out_of_memory=is_out_of_memory,
        message=message,
    )


def describe_unrunnable(step: str, text: str) -> Exited:
    """Return the end of a command that is not there or cannot be run."""
    return Exited(EXITS_OF_STEPS[step], 0, 0, 0, False, text)


def describe_loss(reason: str) -> Exited:
    """Return an end that nobody saw."""
    return Exited(0, 0, 0, 0, False, f"ended unseen: {reason}", was_lost=True)


def name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def measure_process(pid: int) -> ContainerUsage:
    """Return what one process and its reaped children used: all there is without groups."""
    fields = read_stat(pid)
    if not fields:
        return ContainerUsage()
    ticks = sum(int(field) for field in fields[11:15])
    resident_bytes = int(fields[21]) * PAGE_BYTES
    return ContainerUsage(cpu_ns=ticks * TICK_NS, memory_bytes=resident_bytes, pids=1)
