"""Orders: what is said to agents and frameworks about a task, and said again until answered."""

from dataclasses import replace

from master.core.alarms import AlarmKind
from master.core.draft import Draft, put
from master.core.records import KillOrder, ResizeOrder, Task
from master.core.state import State
from protocol.ids import TaskKey
from protocol.messages.agent import Kill, Launch, Resize, StatusAcknowledgement
from protocol.messages.values import TaskReason, TaskStatus


def launch_of(state: State, task: Task) -> Launch:
    """Return the order that starts the task."""
    user = task.description.user or state.frameworks[task.framework_id].user
    return Launch(task.launch, task.framework_id, task.role, task.description, user)


def kill_of(task: Task, kill: KillOrder) -> Kill:
    """Return the order that ends the task; a grace of 0 is the agent's own."""
    grace_ns = kill.grace_ns or task.description.kill_grace_ns
    return Kill(task.framework_id, task.task_id, task.launch, grace_ns, kill.reason)


def acknowledgement_of(status: TaskStatus) -> StatusAcknowledgement:
    """Return what lets the agent stop repeating the status."""
    return StatusAcknowledgement(
        status.framework_id, status.task_id, status.launch, status.sequence
    )


def answer_of(status: TaskStatus) -> TaskStatus:
    """Return the status as an answer to a question, outside the stream of updates."""
    return replace(status, sequence=0, reason=TaskReason.RECONCILIATION)


def order_launch(draft: Draft, state: State, task: Task) -> None:
    """Send the launch, and repeat it until the agent speaks of the task."""
    put(draft.launches, task.agent_id, launch_of(state, task))
    await_launch(draft, task.key)


def order_kill(draft: Draft, task: Task, kill: KillOrder) -> None:
    """Send the kill, and repeat it until the task has ended."""
    put(draft.kills, task.agent_id, kill_of(task, kill))
    await_kill(draft, task.key)


def order_resize(draft: Draft, task: Task, order: ResizeOrder) -> None:
    """Send the resize, and repeat it until the agent has settled it."""
    resize = Resize(task.framework_id, task.task_id, task.launch, order.number, order.resources)
    put(draft.resizes, task.agent_id, resize)
    draft.alarm(AlarmKind.RESIZE_UNANSWERED, (task.key,), draft.settings.kill_resend_ns)


def order_updates(draft: Draft, task: Task) -> None:
    """Send all that the framework has not acknowledged, and repeat it until it has."""
    draft.updates.setdefault(task.framework_id, []).extend(task.pending)
    await_acknowledgement(draft, task.key)


def await_launch(draft: Draft, key: TaskKey) -> None:
    draft.alarm(AlarmKind.LAUNCH_UNANSWERED, (key,), draft.settings.launch_resend_ns)


def await_kill(draft: Draft, key: TaskKey) -> None:
    draft.alarm(AlarmKind.KILL_UNANSWERED, (key,), draft.settings.kill_resend_ns)


def await_acknowledgement(draft: Draft, key: TaskKey) -> None:
    draft.alarm(AlarmKind.UPDATE_UNANSWERED, (key,), draft.settings.update_resend_ns)
