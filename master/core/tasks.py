"""Tasks: launched, wanted dead, asked about."""

from dataclasses import dataclass

from master.core.alarms import AlarmKind
from master.core.draft import Draft, Outcome, put
from master.core.events import KillRequested, TaskLaunched
from master.core.orders import answer_of, order_kill
from master.core.reasons import Reason
from master.core.records import Framework, KillOrder, Task, unreserved_quantities
from master.core.settings import SECOND_NS, Settings
from master.core.state import State, charge, find_framework
from master.core.telling import weigh_status
from master.core.updates import count, take_draws
from master.core.validity import (
    OPERATIONS_MAX,
    RECONCILED_MAX,
    check_count,
    check_duration,
    weigh_description,
)
from protocol.decision import Refused
from protocol.ids import AgentId, FrameworkId, TaskId, task_key
from protocol.messages.framework import KillTask
from protocol.messages.values import TaskReason, TaskState, TaskStatus
from protocol.states import TERMINAL

# A framework may have more tasks than its link takes statuses at once, which is 16 MiB of them.
PORTION_BYTES_MAX = 512 << 10
PORTION_STATUSES = 1000  # where weighing each would take longer than it is worth
PORTION_NS = SECOND_NS // 10  # from one to the next


@dataclass(frozen=True, slots=True)
class KillTasks:
    """Kill tasks of one's own; one that is not known is answered with a status UNKNOWN."""

    framework_id: FrameworkId
    kills: tuple[KillTask, ...]


@dataclass(frozen=True, slots=True)
class KillByOperator:
    framework_id: FrameworkId
    task_id: TaskId
    grace_ns: int = 0


@dataclass(frozen=True, slots=True)
class ReconcileTasks:
    """Ask for the statuses of these tasks, or of all that have not ended."""

    framework_id: FrameworkId
    tasks: tuple[str, ...]


def decide_kill(state: State, command: KillTasks, now_ns: int, settings: Settings) -> Outcome:
    """Want the tasks dead until they are.

    Refuses: UNKNOWN_FRAMEWORK, FRAMEWORK_REMOVED, TOO_MANY, BAD_DURATION.
    """
    framework = find_framework(state, command.framework_id)
    if isinstance(framework, Refused):
        return framework
    if refused := check_kills(command.kills, settings):
        return refused
    draft = Draft(now_ns, settings)
    for kill in command.kills:
        draft_kill(draft, state, framework, kill)
    return draft.decision()


def decide_kill_by_operator(
    state: State, command: KillByOperator, now_ns: int, settings: Settings
) -> Outcome:
    """As `decide_kill`, on behalf of an operator, who wants to know when there is nothing to kill.

    Refuses: UNKNOWN_FRAMEWORK, UNKNOWN_TASK, TASK_ENDED, BAD_DURATION.
    """
    framework = state.frameworks.get(command.framework_id)
    if framework is None:
        text = f"framework {command.framework_id!r} is not known"
        return Refused(Reason.UNKNOWN_FRAMEWORK, text)
    task = find_task(state, framework, command.task_id)
    name = f"task {command.framework_id}/{command.task_id}"
    if task is None:
        return Refused(Reason.UNKNOWN_TASK, f"{name} is not known")
    if task.is_ended:
        return Refused(Reason.TASK_ENDED, f"{name} has ended already: {task.status.state.name}")
    if refused := check_duration("kill grace", command.grace_ns, settings.grace_max_ns):
        return refused
    draft = Draft(now_ns, settings)
    want_dead(draft, state, task, TaskReason.KILLED_BY_OPERATOR, command.grace_ns)
    return draft.decision()


def decide_reconcile(
    state: State, command: ReconcileTasks, now_ns: int, settings: Settings
) -> Outcome:
    """Answer for each task with what is known; replicated state makes every answer definite.

    Refuses: UNKNOWN_FRAMEWORK, FRAMEWORK_REMOVED, TOO_MANY.
    """
    framework = find_framework(state, command.framework_id)
    if isinstance(framework, Refused):
        return framework
    if refused := check_count("tasks to reconcile", len(command.tasks), RECONCILED_MAX):
        return refused
    draft = Draft(now_ns, settings)
    if command.tasks:
        for task_id in command.tasks:
            put(draft.updates, framework.id, status_of(state, framework, task_id, now_ns))
    else:
        draft.updates[framework.id] = draft_answers(draft, state, framework)
    return draft.decision()


def check_kills(kills: tuple[KillTask, ...], settings: Settings) -> Refused | None:
    """Check how many there are, and their graces."""
    if refused := check_count("kills", len(kills), OPERATIONS_MAX):
        return refused
    for kill in kills:
        what = f"kill grace of task {kill.task_id[:140]}"
        if refused := check_duration(what, kill.grace_ns, settings.grace_max_ns):
            return refused
    return None


def draft_kill(draft: Draft, state: State, framework: Framework, kill: KillTask) -> None:
    """Want a framework's task dead; answer with its status when there is nothing to kill."""
    task = find_task(state, framework, kill.task_id)
    if task is None or task.is_ended:
        status = status_of(state, framework, kill.task_id, draft.now_ns)
        put(draft.updates, framework.id, status)
    else:
        want_dead(draft, state, task, TaskReason.KILLED_BY_FRAMEWORK, kill.grace_ns)


def find_task(state: State, framework: Framework, task_id: str) -> Task | None:
    """Return the task, also when it is history."""
    task = state.tasks.get(task_key(framework.id, task_id))
    return task or framework.history.get(TaskId(task_id))


def status_of(state: State, framework: Framework, task_id: str, now_ns: int) -> TaskStatus:
    """Return the answer to a question after one task."""
    task = find_task(state, framework, task_id)
    if task is not None:
        return answer_of(task.status)
    return TaskStatus(
        framework_id=framework.id,
        task_id=task_id,
        state=TaskState.UNKNOWN,
        reason=TaskReason.RECONCILIATION,
        message="the master knows no such task",
        stamp_ns=now_ns,
    )


def draft_answers(
    draft: Draft, state: State, framework: Framework, after: int = 0
) -> list[TaskStatus]:
    """Return the answers for tasks that have not ended, of the launches after this one.

    It is a portion of them; an alarm that names its last launch calls for the next one.
    """
    answers: list[TaskStatus] = []
    size = last = 0
    for task_id, launch in framework.tasks.items():
        if launch <= after:
            continue
        status = state.tasks[task_key(framework.id, task_id)].status
        if status.state in TERMINAL:
            continue
        if size >= PORTION_BYTES_MAX:
            draft.alarm(AlarmKind.ANSWER_UNFINISHED, (framework.id, str(last)), PORTION_NS)
            break
        size += weigh_status(status)
        answers.append(answer_of(status))
        last = launch
    return answers


def apply_task_launched(state: State, event: TaskLaunched) -> None:
    framework = state.frameworks[FrameworkId(event.framework_id)]
    agent = state.agents[AgentId(event.agent_id)]
    description = event.description
    task = Task(
        task_id=TaskId(description.task_id),
        framework_id=framework.id,
        agent_id=agent.id,
        role=event.role,
        launch=event.launch,
        description=description,
        status=TaskStatus(
            framework_id=framework.id,
            task_id=description.task_id,
            agent_id=agent.id,
            launch=event.launch,
            state=TaskState.STAGING,
            stamp_ns=state.now_ns,
        ),
        launched_ns=state.now_ns,
        draws=event.draws,
    )
    assert task.key not in state.tasks
    assert event.launch == state.launches_next
    state.launches_next += 1
    state.tasks[task.key] = task
    framework.tasks[task.task_id] = agent.tasks[task.key] = task.launch
    framework.live += 1
    framework.description_bytes += weigh_description(description)
    agent.allocated = agent.allocated + task.resources
    if task.draws:
        take_draws(state, agent, task)
    amounts = task.resources.quantities
    charge(framework.allocated.setdefault(task.role, {}), amounts)
    charge(state.allocated.setdefault(task.role, {}), amounts)
    if state.soft.ledger is not None:
        unreserved = unreserved_quantities(task)
        state.soft.ledger.charge(framework.id, task.role, amounts, unreserved)
    count(state.task_counts, task)


def apply_kill_requested(state: State, event: KillRequested) -> None:
    task = state.tasks[task_key(event.framework_id, event.task_id)]
    assert not task.is_ended
    task.kill = KillOrder(event.reason, event.grace_ns, state.now_ns)


def want_dead(draft: Draft, state: State, task: Task, reason: TaskReason, grace_ns: int) -> None:
    """Note the kill and send it; who repeats one with another grace has it sent again."""
    kill = KillOrder(reason, grace_ns, draft.now_ns)
    before = task.kill
    if before is None or before.grace_ns != grace_ns:
        kill = KillOrder(before.reason if before else reason, grace_ns, draft.now_ns)
        draft.events.append(
            KillRequested(task.framework_id, task.task_id, kill.grace_ns, kill.reason)
        )
    if task.agent_id in state.soft.agent_links:
        order_kill(draft, task, kill)
