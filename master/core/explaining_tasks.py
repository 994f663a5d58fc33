"""Explaining a task: what became of it, and whom it waits for."""

from collections.abc import Iterator

from master.core.records import Task
from master.core.settings import SECOND_NS
from master.core.state import State
from protocol.ids import FrameworkId, TaskId, task_key
from protocol.messages.operator import Finding
from protocol.messages.values import TaskReason, TaskState, TaskStatus
from protocol.resources import format_resources


def find_launch(state: State, framework_id: FrameworkId, task_id: TaskId) -> Task | None:
    """Return the newest launch of a task that is remembered."""
    task = state.tasks.get(task_key(framework_id, task_id))
    if task is not None:
        return task
    framework = state.frameworks.get(framework_id)
    return None if framework is None else framework.history.get(task_id)


def explain_task(state: State, task: Task, now_ns: int) -> Iterator[Finding]:
    """Return how a task is, and what stands between it and its next state."""
    for reason, text in (
        _describe(state, task, now_ns),
        *(() if task.is_ended else _obstacles(state, task, now_ns)),
        *_unheard(state, task),
    ):
        yield Finding(task.key, reason, text)


def _describe(state: State, task: Task, now_ns: int) -> tuple[str, str]:
    agent = state.agents.get(task.agent_id)
    where = f"{task.agent_id} ({agent.hostname})" if agent is not None else task.agent_id
    if task.is_ended:
        ended = _ago(now_ns - task.ended_ns)
        return "ENDED", f"{task.status.state.name} on {where} {ended}: {_why(task.status)}"
    since = _ago(now_ns - task.launched_ns)
    held = format_resources(task.resources)
    return task.status.state.name, f"{task.status.state.name} on {where}, launched {since}, {held}"


def _why(status: TaskStatus) -> str:
    reason = "" if status.reason == TaskReason.NONE else status.reason.name.lower()
    parts = (reason.replace("_", " "), status.message)
    return ", ".join(part for part in parts if part) or "no reason was given"


def _obstacles(state: State, task: Task, now_ns: int) -> Iterator[tuple[str, str]]:
    agent = state.agents.get(task.agent_id)
    is_linked = task.agent_id in state.soft.agent_links
    if agent is not None and agent.is_unreachable:
        silent = _ago(now_ns - agent.unreachable_ns)
        text = (
            f"its agent became unreachable {silent}: it may still run there; what becomes of it is "
            "known when the agent returns or is removed"
        )
        yield "AGENT_UNREACHABLE", text
    elif not is_linked:
        text = "its agent is not connected to the leader: orders and statuses wait for that"
        yield "AGENT_NOT_LINKED", text
    elif task.reported == TaskState.STAGING:
        yield "LAUNCH_SENT", "its agent was told to launch it, and has not said more yet"
    if task.kill is not None:
        by = task.kill.reason.name.lower().replace("_", " ")
        ordered = _ago(now_ns - task.kill.ordered_ns)
        grace_ns = task.kill.grace_ns or task.description.kill_grace_ns
        grace = f"{_seconds(grace_ns)} after SIGTERM" if grace_ns else "after its agent's grace"
        yield "KILL_ORDERED", f"to be killed, as asked {ordered} ({by}); SIGKILL follows {grace}"


def _unheard(state: State, task: Task) -> Iterator[tuple[str, str]]:
    """Say what the scheduler has not acknowledged, and why that may be."""
    if not task.pending:
        return
    count = len(task.pending)
    statuses = "1 status waits" if count == 1 else f"{count} statuses wait"
    is_connected = task.framework_id in state.soft.framework_links
    whose = "connected" if is_connected else "not connected"
    oldest = task.pending[0].state.name
    text = f"{statuses} for its scheduler, which is {whose}, to acknowledge, first {oldest}"
    yield "UNACKNOWLEDGED", text


def _ago(duration_ns: int) -> str:
    return f"{_seconds(duration_ns)} ago"


def _seconds(duration_ns: int) -> str:
    return f"{max(0, duration_ns) // SECOND_NS} s"
