"""Resizes: running tasks get more or less of their agent, one change of each at a time.

While one is under way the task is on all accounts with the larger of both amounts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from master.allocator.rations import Rations
from master.allocator.tree import lineage
from master.core.draft import Draft, Outcome
from master.core.events import ResizeOrdered, ResizeSettled
from master.core.offers import close_offers
from master.core.orders import order_resize
from master.core.reasons import Reason
from master.core.records import Agent, ResizeOrder, Task, unreserved_of
from master.core.rivals import group_of
from master.core.settings import Settings
from master.core.state import (
    State,
    charge,
    charge_role,
    charged_by_role,
    credit,
    credit_role,
    find_framework,
    free_of,
)
from master.core.tasks import find_task
from protocol.decision import Decision, Refused
from protocol.ids import FrameworkId, TaskId, task_key
from protocol.messages.values import Draw, TaskState
from protocol.quantities import format_quantities
from protocol.resources import Resources, format_amount, format_resources, validate

RESIZABLE = ("cpus", "mem")


@dataclass(frozen=True, slots=True)
class ResizeTask:
    """Give a running task other amounts of cpus, memory or both; what is not named stays."""

    framework_id: FrameworkId
    task_id: TaskId
    resources: Resources


def decide_resize(state: State, command: ResizeTask, now_ns: int, settings: Settings) -> Outcome:
    """Reserve what it lacks, taking offers back for it, and have its agent change the limits.

    What became of it is told by the task's next status: RESIZED, or RESIZE_REFUSED with the
    reason when it uses more memory than it shall have.
    Refuses: UNKNOWN_FRAMEWORK, FRAMEWORK_REMOVED, UNKNOWN_TASK, TASK_ENDED, BAD_RESOURCES,
    NOT_RUNNING, RESIZE_UNDERWAY, AGENT_NOT_LINKED, AGENT_TOO_OLD, OVER_CLAIMED, QUOTA_EXCEEDED.
    """
    task = _find(state, command)
    if isinstance(task, Refused):
        return task
    if refused := _check_change(task, command.resources):
        return refused
    wanted = Resources(
        {**task.resources.scalars, **command.resources.scalars},
        task.resources.ranges,
        task.resources.sets,
    )
    if wanted == (task.resize.resources if task.resize else task.resources):
        return Decision()
    if refused := _check_state(state, task) or _check_room(state, task, wanted):
        return refused
    draft = Draft(now_ns, settings)
    agent = state.agents[task.agent_id]
    close_offers(draft, state, _in_the_way(state, agent, _more(task, wanted)), is_told=True)
    order = ResizeOrder(task.resizes + 1, wanted, now_ns)
    draft.events.append(
        ResizeOrdered(task.framework_id, task.task_id, order.number, order.resources)
    )
    order_resize(draft, task, order)
    draft.touch(agent.id)
    return draft.decision()


def apply_resize_ordered(state: State, event: ResizeOrdered) -> None:
    task = state.tasks[task_key(event.framework_id, event.task_id)]
    assert not task.is_ended
    assert task.resize is None
    assert event.number == task.resizes + 1
    before = task.held
    task.resizes = event.number
    task.resize = ResizeOrder(event.number, event.resources, state.now_ns)
    _recharge(state, task, before, task.draws)


def apply_resize_settled(state: State, event: ResizeSettled) -> None:
    task = state.tasks[task_key(event.framework_id, event.task_id)]
    assert task.resize is not None
    assert task.resize.number == event.number
    before, drawn = task.held, task.draws
    if event.is_done:
        task.description = replace(task.description, resources=task.resize.resources)
        task.draws = _within(task.draws, task.resources)
    task.resize = None
    _recharge(state, task, before, drawn)


def _find(state: State, command: ResizeTask) -> Task | Refused:
    framework = find_framework(state, command.framework_id)
    if isinstance(framework, Refused):
        return framework
    task = find_task(state, framework, command.task_id)
    name = f"task {command.framework_id}/{command.task_id[:140]}"
    if task is None:
        return Refused(Reason.UNKNOWN_TASK, f"{name} is not known")
    if task.is_ended:
        return Refused(Reason.TASK_ENDED, f"{name} has ended already: {task.status.state.name}")
    return task


def _check_change(task: Task, resources: Resources) -> Refused | None:
    fault = validate(resources)
    if not fault and not resources:
        fault = "nothing is to change"
    names = [*resources.scalars, *resources.ranges, *resources.sets]
    if other := [name for name in names if name not in RESIZABLE]:
        fault = f"{other[0]} of a running task cannot change, only {' and '.join(RESIZABLE)}"
    return Refused(Reason.BAD_RESOURCES, f"resize of task {task.key}: {fault}") if fault else None


def _check_state(state: State, task: Task) -> Refused | None:
    if task.resize is not None:
        text = (
            f"task {task.key} is being resized to {format_resources(task.resize.resources)}: "
            "wait for its next status"
        )
        return Refused(Reason.RESIZE_UNDERWAY, text)
    if task.agent_id not in state.soft.agent_links:
        text = f"agent {task.agent_id} of task {task.key} is not connected"
        return Refused(Reason.AGENT_NOT_LINKED, text)
    if task.reported is not TaskState.RUNNING or task.kill:
        state_name = "being killed" if task.kill else task.reported.name
        text = f"task {task.key} is {state_name}: only a running task can be resized"
        return Refused(Reason.NOT_RUNNING, text)
    if task.agent_id not in state.soft.resizers:
        version = state.agents[task.agent_id].version
        text = f"agent {task.agent_id} of version {version} cannot resize tasks: upgrade it"
        return Refused(Reason.AGENT_TOO_OLD, text)
    return None


def _check_room(state: State, task: Task, wanted: Resources) -> Refused | None:
    """Check the agent, offers aside, and the limits of the task's role and those above it."""
    agent = state.agents[task.agent_id]
    more = _more(task, wanted)
    left = _beside_tasks(state, agent)
    for name, amount in more.items():
        has = left.get(name, 0)
        if amount > has:
            text = (
                f"task {task.key} asks for {name} {format_amount(name, amount)} more; agent "
                f"{agent.id} has {format_amount(name, has)} beside its tasks"
            )
            return Refused(Reason.OVER_CLAIMED, text)
    rations = Rations(state.quotas, charged_by_role(state, is_offered=False), state.capacity)
    for branch in lineage(task.role):
        limit = state.quotas[branch].limit if branch in state.quotas else {}
        for name, amount in more.items():
            would = rations.held(branch).get(name, 0) + amount
            if name in limit and would > limit[name]:
                text = (
                    f"tasks in {branch} would use {format_quantities({name: would})}, more than "
                    f"its limit of {format_quantities({name: limit[name]})}"
                )
                return Refused(Reason.QUOTA_EXCEEDED, text)
    return None


def _more(task: Task, wanted: Resources) -> dict[str, int]:
    """Return how much more than now the task shall have, of what it shall have more of."""
    now = task.resources.scalars
    return {
        name: amount - now.get(name, 0)
        for name, amount in wanted.scalars.items()
        if amount > now.get(name, 0)
    }


def _in_the_way(state: State, agent: Agent, more: Mapping[str, int]) -> Iterable[str]:
    """Return the agent's open offers that lend what the task needs, the oldest first."""
    free = dict(free_of(state, agent).scalars)
    closed = []
    for offer_id in state.soft.offers_by_agent.get(agent.id, ()):
        offer = state.soft.offers[offer_id]
        if all(free.get(name, 0) >= amount for name, amount in more.items()):
            break
        if not offer.rival_of and offer.unreserved:
            closed += [each.id for each in group_of(state, offer)]
            charge(free, offer.unreserved.scalars)
    return closed


def _beside_tasks(state: State, agent: Agent) -> dict[str, int]:
    """Return what the agent has for anybody beside its tasks, offered or not."""
    left = dict(free_of(state, agent).scalars)
    for offer_id in state.soft.offers_by_agent.get(agent.id, ()):
        offer = state.soft.offers[offer_id]
        if not offer.rival_of:
            charge(left, offer.unreserved.scalars)
    return left


def _within(draws: tuple[Draw, ...], resources: Resources) -> tuple[Draw, ...]:
    """Return what a task goes on to draw of reservations when it has only so much in all."""
    rest, kept = resources, []
    for draw in draws:
        if part := draw.resources & rest:
            kept.append(Draw(draw.reservation, part))
            rest = rest - part
    return tuple(kept)


def _recharge(state: State, task: Task, before: Resources, drawn: tuple[Draw, ...]) -> None:
    """Put a task on all accounts with what it holds and draws now instead of before."""
    agent, framework = state.agents[task.agent_id], state.frameworks[task.framework_id]
    agent.allocated = agent.allocated - before + task.held
    for draw in task.draws:
        known = agent.reservations[draw.reservation]
        known.allocated = known.allocated + draw.resources
        charge_role(state.drawn, task.role, draw.resources.quantities)
    for draw in drawn:
        known = agent.reservations[draw.reservation]
        known.allocated = known.allocated - draw.resources
        credit_role(state.drawn, task.role, draw.resources.quantities)
    for accounts in (framework.allocated, state.allocated):
        charge(accounts[task.role], task.held.quantities)
        credit(accounts[task.role], before.quantities)
    if state.soft.ledger is not None:
        ledger, role = state.soft.ledger, task.role
        now = unreserved_of(task.held, task.draws).quantities
        then = unreserved_of(before, drawn).quantities
        ledger.charge(framework.id, role, task.held.quantities, now)
        ledger.credit(framework.id, role, before.quantities, then)
