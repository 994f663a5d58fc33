"""`quorate logs`: what a task wrote, read from its sandbox on the agent."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace

from master.ctl.actions import find_task
from master.ctl.asking import ask_over, connect, identify, run
from master.ctl.target import CommandError, Target
from protocol.client import OperatorClient
from protocol.errors import Unavailable
from protocol.messages.operator import FileChunk, ReadFile, TaskView
from protocol.messages.values import TaskReason, TaskState, TaskStatus
from protocol.states import TERMINAL

CHUNK_BYTES = 256 << 10
POLL_S = 0.25
# The end was concluded, by one who did not know whether the command ran.
UNSEEN = (
    TaskReason.NONE,
    TaskReason.AGENT_UNREACHABLE,
    TaskReason.AGENT_FORGOT,
    TaskReason.AGENT_REMOVED,
    TaskReason.AGENT_RESTARTED,
    TaskReason.SUPERVISOR_LOST,
)


def print_log(target: Target, task: str, file: str, *, is_followed: bool) -> None:
    """Write a task's output to ours; followed until the task has ended.

    Raises: CommandError.
    """
    run(_print_log(target, task, file, is_followed))


async def read_log(target: Target, view: TaskView, file: str) -> bytes:
    """Return what a task wrote so far. Raises: CommandError, Unavailable, Denied."""
    found: list[bytes] = []
    await _copy(target, view, file, found.append, is_followed=False)
    return b"".join(found)


async def _print_log(target: Target, task: str, file: str, is_followed: bool) -> None:
    client = await connect(target)
    try:
        view = await find_task(client, task, is_all=True)
    finally:
        await client.close()
    silence = explain_silence(view.status)
    has_written = False

    def write(content: bytes) -> None:
        nonlocal has_written
        has_written = has_written or bool(content)
        _write(content)

    try:
        await _copy(target, view, file, write, is_followed=is_followed)
    except (CommandError, Unavailable):  # a task that never ran may have no sandbox, or no agent
        if not silence:
            raise
    if silence and not has_written:
        raise CommandError(silence)


def explain_silence(status: TaskStatus) -> str:
    """Return how a task ended that as far as known never ran; empty for one that did."""
    is_ended = status.state in TERMINAL and status.state != TaskState.FINISHED
    if not is_ended or status.pid or status.reason in UNSEEN:
        return ""
    text = f"{status.framework_id}/{status.task_id} has no output: {status.state.name}"
    if status.reason != TaskReason.COMMAND_EXITED:  # which its message says better
        text += f", {status.reason.name.lower().replace('_', ' ')}"
    return f"{text}: {status.message}" if status.message else text


async def _copy(
    target: Target, view: TaskView, file: str, take: Callable[[bytes], object], *, is_followed: bool
) -> None:
    status = view.status
    if not view.agent_address:
        raise CommandError(f"the agent {status.agent_id} of this task is not known any more")
    agent = await OperatorClient.connect_agent(view.agent_address, identify(target))
    question = ReadFile(
        framework_id=status.framework_id, task_id=status.task_id, file=file, length=CHUNK_BYTES
    )
    try:
        while True:
            chunk = await ask_over(agent, question, FileChunk)
            take(chunk.content)
            question = replace(question, offset=question.offset + len(chunk.content))
            if not chunk.content:
                if not is_followed or chunk.is_final:
                    return
                await asyncio.sleep(POLL_S)
    finally:
        await agent.close()


def _write(content: bytes) -> None:
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
