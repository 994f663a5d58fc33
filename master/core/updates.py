"""Updates: statuses from agents, kept for the framework until it acknowledges them."""

from dataclasses import dataclass
from itertools import islice

from master.core.draft import Draft, Outcome
from master.core.events import TaskUpdated, UpdateAcknowledged
from master.core.reasons import Reason
from master.core.records import Agent, Framework, Task, unreserved_quantities
from master.core.settings import Settings
from master.core.state import State, charge_role, credit, credit_role
from master.core.telling import Telling, number_status
from master.core.validity import weigh_description
from protocol.decision import Decision, Refused
from protocol.ids import AgentId, FrameworkId, TaskKey, task_key
from protocol.messages.framework import Acknowledgement
from protocol.messages.values import TaskDescription, TaskStatus
from protocol.resources import Resources

# Part of what `apply` does, so these are the same on every master and never settings.
PENDING_MAX = 16  # of one task; beyond it the newest but one gives way
HISTORY_MAX = 1000  # ended tasks of one framework
REMOVED_HISTORY_MAX = 50  # ended tasks of a framework that is no more
REMOVED_MAX = 100  # frameworks that are no more

HISTORY_BYTES_MAX = 4096  # of an ended task's description; what exceeds it is cut down to less
COMMAND_CHARS_MAX = 1024  # what is left of its command then

ACKNOWLEDGED_MAX = 2000  # heeded of one call, half an entry of the log; the others are asked again


@dataclass(frozen=True, slots=True)
class UpdateStatuses:
    """An agent says what became of tasks."""

    agent_id: AgentId
    statuses: tuple[TaskStatus, ...]


@dataclass(frozen=True, slots=True)
class AcknowledgeUpdates:
    """A framework has taken note; nobody waits for an answer."""

    framework_id: FrameworkId
    acknowledgements: tuple[Acknowledgement, ...]


def decide_update(
    state: State, command: UpdateStatuses, now_ns: int, settings: Settings
) -> Outcome:
    """Note what is news, acknowledge everything.

    Refuses: AGENT_NOT_LINKED for an agent that has not registered with this leader.
    """
    if command.agent_id not in state.soft.agent_links:
        text = f"agent {command.agent_id} has not registered with this master"
        return Refused(Reason.AGENT_NOT_LINKED, text)
    draft = Draft(now_ns, settings)
    telling = Telling(draft, state)
    for status in command.statuses:
        telling.hear(command.agent_id, status)
    return draft.decision()


def decide_acknowledge(
    state: State, command: AcknowledgeUpdates, now_ns: int, settings: Settings
) -> Outcome:
    """Forget the updates up to each acknowledged one; what is not pending is ignored."""
    acknowledged: dict[TaskKey, UpdateAcknowledged] = {}
    for each in command.acknowledgements[:ACKNOWLEDGED_MAX]:
        task = state.tasks.get(task_key(command.framework_id, each.task_id))
        if task is None or task.launch != each.launch or not task.pending:
            continue
        before = acknowledged.get(task.key)
        known = before.sequence if before else task.pending[0].sequence - 1
        if known < each.sequence <= task.updates_made:
            acknowledged[task.key] = UpdateAcknowledged(
                command.framework_id, each.task_id, each.launch, each.sequence
            )
    return Decision(events=tuple(acknowledged.values()))


def apply_task_updated(state: State, event: TaskUpdated) -> None:
    status = event.status
    task = state.tasks[task_key(status.framework_id, status.task_id)]
    framework = state.frameworks[task.framework_id]
    assert task.launch == status.launch
    assert not task.is_ended
    if event.is_from_agent:
        assert status.sequence > task.agent_sequence
        task.agent_sequence = status.sequence
        task.reported = status.state
    task.updates_made += 1
    credit(state.task_counts, {task.status.state.name: 1})
    task.status = number_status(status, task.updates_made)
    if not framework.is_removed:
        task.pending = (*task.pending[: PENDING_MAX - 1], task.status)
    if task.is_ended:
        _end(state, framework, task)
    else:
        count(state.task_counts, task)


def apply_update_acknowledged(state: State, event: UpdateAcknowledged) -> None:
    task = state.tasks[task_key(event.framework_id, event.task_id)]
    assert task.launch == event.launch
    task.pending = tuple(each for each in task.pending if each.sequence > event.sequence)
    if task.is_ended and not task.pending:
        retire(state, state.frameworks[task.framework_id], task)


def count(counts: dict[str, int], task: Task) -> None:
    """Count the task under its state."""
    name = task.status.state.name
    counts[name] = counts.get(name, 0) + 1


def take_draws(state: State, agent: Agent, task: Task) -> None:
    """Count what a task uses of its agent's reservations."""
    for draw in task.draws:
        known = agent.reservations[draw.reservation]
        known.allocated = known.allocated + draw.resources
        charge_role(state.drawn, task.role, draw.resources.quantities)


def retire(state: State, framework: Framework, task: Task) -> None:
    """Move an ended task that nobody waits for to its framework's history."""
    assert task.is_ended
    assert not task.pending
    del state.tasks[task.key]
    del framework.tasks[task.task_id]
    framework.description_bytes -= weigh_description(task.description)
    task.description = abridge(task.description)
    framework.history[task.task_id] = task
    trim_history(framework)
    if framework.is_removed and not framework.tasks:
        forget_removed(state)


def abridge(description: TaskDescription) -> TaskDescription:
    """Return what history keeps: the whole if it is small, else what a list shows of a task."""
    if weigh_description(description) <= HISTORY_BYTES_MAX:
        return description
    command: list[str] = []
    left = COMMAND_CHARS_MAX
    for argument in description.command:
        if left <= 0:
            break
        command.append(argument if len(argument) <= left else argument[: left - 1] + "…")
        left -= len(argument) + 1
    return TaskDescription(
        task_id=description.task_id,
        name=description.name,
        command=tuple(command),
        resources=Resources(description.resources.scalars),
        user=description.user,
        kill_grace_ns=description.kill_grace_ns,
        replaces=description.replaces,
        limits=description.limits,
        completion_ns=description.completion_ns,
        kill_signal=description.kill_signal,
    )


def trim_history(framework: Framework) -> None:
    """Drop the oldest tasks beyond the bound."""
    tasks_max = REMOVED_HISTORY_MAX if framework.is_removed else HISTORY_MAX
    excess = max(0, len(framework.history) - tasks_max)
    for task_id in tuple(islice(framework.history, excess)):
        del framework.history[task_id]


def forget_removed(state: State) -> None:
    """Drop the frameworks that were removed first, beyond the bound."""
    over = [each for each in state.frameworks.values() if each.is_removed and not each.tasks]
    over.sort(key=lambda each: each.removed_ns)
    for framework in over[: max(0, len(over) - REMOVED_MAX)]:
        del state.frameworks[framework.id]
        if framework.token:
            del state.tokens[framework.token]


def _end(state: State, framework: Framework, task: Task) -> None:
    """Free what the task held, exactly once."""
    framework.live -= 1
    agent = state.agents[task.agent_id]
    del agent.tasks[task.key]
    agent.allocated = agent.allocated - task.held
    if task.draws:
        _return_draws(state, agent, task)
    credit_role(framework.allocated, task.role, task.held.quantities)
    credit_role(state.allocated, task.role, task.held.quantities)
    if state.soft.ledger is not None:
        unreserved = unreserved_quantities(task)
        amounts = task.held.quantities
        state.soft.ledger.credit(framework.id, task.role, amounts, unreserved)
    task.ended_ns = state.now_ns
    task.kill = task.resize = None
    count(state.ended_counts, task)
    if not task.pending:
        retire(state, framework, task)


def _return_draws(state: State, agent: Agent, task: Task) -> None:
    for draw in task.draws:
        known = agent.reservations[draw.reservation]
        known.allocated = known.allocated - draw.resources
        credit_role(state.drawn, task.role, draw.resources.quantities)
