"""Agents: admission, absence, return."""

from dataclasses import dataclass

from master.core.alarms import AlarmKind
from master.core.disks import disk
from master.core.draft import Draft, Outcome, ToBeContinued
from master.core.effects import AnswerAgent
from master.core.events import AgentAdmitted, AgentRemoved, AgentUnreachable
from master.core.holdings import settle
from master.core.offers import close_offers
from master.core.orders import order_kill, order_launch, order_resize
from master.core.reasons import Reason
from master.core.records import Agent, Declaration, Task, part_of
from master.core.settings import Settings
from master.core.soft import AgentAttached, AgentDetached
from master.core.state import State, charge, charge_role, credit, credit_role
from master.core.telling import Telling
from master.core.validity import check_count, check_registration
from master.core.volumes import await_volumes, draft_adopted, strays_of
from protocol.decision import Decision, Refused
from protocol.ids import AgentId, TaskKey, task_key
from protocol.messages.agent import AgentRegistered
from protocol.messages.agent import RegisterAgent as Registration
from protocol.messages.values import TaskReason, TaskState
from protocol.resources import Resources, format_resources, sum_resources
from protocol.states import TERMINAL

TASKS_NAMED_MAX = 5  # in a refusal, which is one line of a log
GONE_MAX = 10_000  # ids that are remembered; part of what `apply` does, so no setting


@dataclass(frozen=True, slots=True)
class RegisterAgent:
    """An agent shows up on a link; answered by the effect `AnswerAgent`, or refused.

    `link` is the shell's number of that link, never used for two links.
    """

    register: Registration
    principal: str
    link: int = 0


@dataclass(frozen=True, slots=True)
class AgentUnlinked:
    """That link of the agent is gone; ignored when a newer one has taken over."""

    agent_id: AgentId
    link: int = 0


def decide_register(
    state: State, command: RegisterAgent, now_ns: int, settings: Settings
) -> Outcome:
    """Admit the agent, and bring what it says of its tasks and what we know of them together.

    Replies `ToBeContinued` when that is too much for one decision: nothing but news of tasks
    happened, and the same command goes on from there.
    Refuses: what `check_registration` does, AGENT_GONE, TOO_MANY, OTHER_PRINCIPAL,
    RESOURCES_IN_USE when the agent came back too small for the tasks that go on there.
    """
    register = command.register
    agent_id = AgentId(register.agent_id)
    refused = (
        check_registration(register)
        or refuse_gone(state, agent_id)
        or _check_known(state, command, settings)
    )
    if refused:
        return refused
    agent = state.agents.get(agent_id)
    draft = Draft(now_ns, settings)
    telling = Telling(draft, state)
    remaining = _compare(draft, telling, state, register)
    if telling.is_full:
        return draft.decision(ToBeContinued())
    if refused := _check_fit(register, remaining) or _check_reserved(agent, register, remaining):
        return refused
    draft.greetings.append(AnswerAgent(agent_id, AgentRegistered(agent_id), command.link))
    admitted = _admission(command)
    if agent is None or agent.is_unreachable or _admission_of(agent) != admitted:
        # After the tasks' updates: what has ended meanwhile must not stand in the way.
        draft.events.append(admitted)
        offer_ids = tuple(state.soft.offers_by_agent.get(agent_id, ()))
        close_offers(draft, state, offer_ids, is_told=True)
    _draft_volumes(draft, state, register, remaining)
    draft.soft.append(AgentAttached(agent_id, command.link, register.can_resize))
    draft.touch(agent_id)
    return draft.decision()


def decide_unlinked(
    state: State, command: AgentUnlinked, now_ns: int, settings: Settings
) -> Outcome:
    """Take back what is offered of the agent, and begin to wait for it."""
    agent_id = command.agent_id
    if state.soft.agent_links.get(agent_id) != command.link:
        return Decision()
    draft = Draft(now_ns, settings)
    offer_ids = tuple(state.soft.offers_by_agent.get(agent_id, ()))
    close_offers(draft, state, offer_ids, is_told=True)
    draft.soft.append(AgentDetached(agent_id))
    draft.alarm(AlarmKind.AGENT_SILENT, (agent_id,), settings.agent_timeout_ns)
    return draft.decision()


def draft_unreachable(draft: Draft, state: State, agent: Agent) -> bool:
    """Tell of all its tasks that they may run on out of sight, then count it as unreachable.

    False when that is too much for one decision, and must be gone on with.
    """
    text = f"agent {agent.id} has been silent for too long"
    reason = TaskReason.AGENT_UNREACHABLE
    if not _assume_all(draft, state, agent, TaskState.UNREACHABLE, reason=reason, text=text):
        return False
    draft.events.append(AgentUnreachable(agent.id))
    draft.alarm(AlarmKind.AGENT_REMOVAL, (agent.id,), draft.settings.agent_removal_ns)
    return True


def draft_removal(
    draft: Draft, state: State, agent: Agent, declaration: Declaration | None = None
) -> bool:
    """Forget an agent that stayed away; should it come back, its tasks are strays to be killed.

    One that is or is now declared gone does not come back. False as in `draft_unreachable`; an
    alarm calls for the rest.
    """
    declaration = declaration or agent.gone
    if declaration:
        text = f"agent {agent.id} was declared gone by {declaration.by}"
        reason = TaskReason.AGENT_GONE
    else:
        text, reason = f"agent {agent.id} has not come back", TaskReason.AGENT_REMOVED
    if not _assume_all(draft, state, agent, TaskState.GONE, reason=reason, text=text):
        draft.alarm(AlarmKind.AGENT_REMOVAL, (agent.id,), 0)
        return False
    draft.events.append(AgentRemoved(agent.id))
    return True


def refuse_gone(state: State, agent_id: AgentId) -> Refused | None:
    """Refuse to hear an agent that was declared gone."""
    agent = state.agents.get(agent_id)
    declaration = agent.gone if agent else state.gone.get(agent_id)
    return refusal_of_gone(agent_id, declaration) if declaration else None


def refusal_of_gone(agent_id: str, declaration: Declaration) -> Refused:
    """Return what an agent hears that was declared gone."""
    text = (
        f"agent {agent_id} was declared gone by {declaration.by}: it ends its tasks and is "
        "not taken in again; with an empty work directory its machine is a new agent"
    )
    return Refused(Reason.AGENT_GONE, text)


def apply_agent_admitted(state: State, event: AgentAdmitted) -> None:
    agent_id = AgentId(event.agent_id)
    known = state.agents.get(agent_id)
    agent = Agent(
        id=agent_id,
        hostname=event.hostname,
        address=event.address,
        principal=event.principal,
        total=event.resources,
        attributes=event.attributes,
        boot_id=event.boot_id,
        version=event.version,
        isolation=event.isolation,
        registered_ns=state.now_ns,
        reserved=event.reserved,
        reservations=settle(known, event.resources, event.reserved),
    )
    if known is not None:
        if not known.is_unreachable:
            discount(state, known)
        agent.registered_ns = known.registered_ns
        agent.allocated, agent.tasks = known.allocated, known.tasks
        agent.is_deactivated, agent.drain = known.is_deactivated, known.drain
        agent.reservations_made, agent.volumes = known.reservations_made, known.volumes
        assert agent.total.contains(agent.allocated)
    state.agents[agent_id] = agent
    charge(state.capacity, agent.total.quantities)
    for each in agent.reservations.values():
        charge_role(state.reserved, each.role, each.resources.quantities)
    state.soft.ledger = None
    state.counted |= dict.fromkeys((*agent.total.ranges, *agent.total.sets))


def apply_agent_unreachable(state: State, event: AgentUnreachable) -> None:
    agent = state.agents[AgentId(event.agent_id)]
    assert not agent.is_unreachable
    agent.is_unreachable, agent.unreachable_ns = True, state.now_ns
    discount(state, agent)
    state.soft.ledger = None


def apply_agent_removed(state: State, event: AgentRemoved) -> None:
    agent = state.agents.pop(AgentId(event.agent_id))
    assert agent.is_unreachable
    assert not agent.tasks
    if agent.gone:
        state.gone[agent.id] = agent.gone
        if len(state.gone) > GONE_MAX:  # as safe: a forgotten agent's tasks are killed as strays
            del state.gone[next(iter(state.gone))]


def discount(state: State, agent: Agent) -> None:
    """Take what it has off the accounts of the cluster."""
    credit(state.capacity, agent.total.quantities)
    for each in agent.reservations.values():
        credit_role(state.reserved, each.role, each.resources.quantities)


def _check_known(state: State, command: RegisterAgent, settings: Settings) -> Refused | None:
    register = command.register
    agent = state.agents.get(AgentId(register.agent_id))
    if agent is None:
        return check_count("agents", len(state.agents) + 1, settings.agents_max)
    if agent.principal != command.principal:
        text = f"agent {agent.id} belongs to another principal than {command.principal!r}"
        return Refused(Reason.OTHER_PRINCIPAL, text)
    return None


def _check_fit(register: Registration, tasks: list[Task]) -> Refused | None:
    held = sum_resources(task.held for task in tasks)
    if register.resources.contains(held):
        return None
    names = ", ".join(task.key for task in tasks[:TASKS_NAMED_MAX])
    more = f" and {len(tasks) - TASKS_NAMED_MAX} more" if len(tasks) > TASKS_NAMED_MAX else ""
    text = (
        f"agent {register.agent_id} has {format_resources(register.resources)}, its tasks hold "
        f"{format_resources(held)}; in the way: {names}{more}"
    )
    return Refused(Reason.RESOURCES_IN_USE, text)


def _check_reserved(
    agent: Agent | None, register: Registration, tasks: list[Task]
) -> Refused | None:
    """Refuse an agent whose resources, or configuration, break what is reserved of it."""
    try:
        reservations = settle(agent, register.resources, register.reserved)
    except ValueError as error:
        fault = str(error)
    else:
        if not reservations:
            return None
        rest = register.resources
        for each in reservations.values():
            used = _used_of(agent, tasks, each.id)
            if not each.resources.contains(used):
                fault = f"{format_resources(used)} of reservation {each.id} is in use"
                break
            rest = rest - each.resources
        else:
            used = _used_of(agent, tasks, "")
            if rest.contains(used):
                return None
            fault = f"{format_resources(used)} of what is not reserved is in use"
    has = format_resources(register.resources)
    text = f"agent {register.agent_id} has {has}, but {fault}"
    return Refused(Reason.RESOURCES_IN_USE, text)


def _used_of(agent: Agent | None, tasks: list[Task], reservation: str) -> Resources:
    """Return what tasks and volumes take of one of the agent's reservations, or of none."""
    used = sum_resources(part_of(task.held, task.draws, reservation) for task in tasks)
    for volume in () if agent is None else agent.volumes.values():
        if volume.reservation == reservation:
            used = used + disk(volume.held_bytes)
    return used


def _draft_volumes(draft: Draft, state: State, register: Registration, tasks: list[Task]) -> None:
    """Take up what the agent keeps, and go on with what it has not done yet."""
    agent_id = AgentId(register.agent_id)
    agent = state.agents.get(agent_id)
    if agent is not None:
        await_volumes(draft, agent)
    if strays := strays_of(agent, register.volumes):
        close_offers(draft, state, state.soft.offers_by_agent.get(agent_id, ()), is_told=True)
        reservations = settle(agent, register.resources, register.reserved)
        free = register.resources - _used_of(agent, tasks, "")
        for each in reservations.values():
            free = free - each.resources
        draft_adopted(draft, agent_id, strays, free)


def _admission(command: RegisterAgent) -> AgentAdmitted:
    register = command.register
    return AgentAdmitted(
        agent_id=register.agent_id,
        hostname=register.hostname,
        address=register.address,
        principal=command.principal,
        resources=register.resources,
        attributes=register.attributes,
        boot_id=register.boot_id,
        version=register.version,
        isolation=register.isolation,
        reserved=register.reserved,
    )


def _admission_of(agent: Agent) -> AgentAdmitted:
    """Return the event that would admit the agent as it is: coming back unchanged is no news."""
    return AgentAdmitted(
        agent_id=agent.id,
        hostname=agent.hostname,
        address=agent.address,
        principal=agent.principal,
        resources=agent.total,
        attributes=agent.attributes,
        boot_id=agent.boot_id,
        version=agent.version,
        isolation=agent.isolation,
        reserved=agent.reserved,
    )


def _assume_all(
    draft: Draft, state: State, agent: Agent, assumed: TaskState, *, reason: TaskReason, text: str
) -> bool:
    """Tell the same of all the agent's tasks; False when some must wait for another decision."""
    telling = Telling(draft, state)
    for key in agent.tasks:
        task = state.tasks[key]
        if telling.is_full:
            return False
        if task.status.state is not assumed:
            telling.assume(task, assumed, reason, text)
    return True


def _compare(draft: Draft, telling: Telling, state: State, register: Registration) -> list[Task]:
    """Hear what the agent has, see to what it should have, return the tasks that go on there."""
    agent_id = AgentId(register.agent_id)
    reported: dict[tuple[TaskKey, int], None] = {}
    for status in register.tasks:
        reported[task_key(status.framework_id, status.task_id), status.launch] = None
        telling.hear(agent_id, status)
    agent = state.agents.get(agent_id)
    tasks = [state.tasks[key] for key in agent.tasks] if agent else []
    for task in tasks:
        if telling.is_full:
            break
        if (task.key, task.launch) in reported:
            _restore(telling, task)
            if task.kill and telling.progress_of(task).state not in TERMINAL:
                order_kill(draft, task, task.kill)
            if task.resize and not telling.is_settled(task):
                order_resize(draft, task, task.resize)
        elif task.reported is not TaskState.STAGING:
            text = f"agent {agent_id} came back without it"
            telling.assume(task, TaskState.LOST, TaskReason.AGENT_FORGOT, text)
        elif task.kill:
            # What was sent on an older link can no longer arrive: the task has never begun.
            telling.assume(task, TaskState.KILLED, task.kill.reason, "it was never launched")
        else:
            _restore(telling, task)
            order_launch(draft, state, task)
    return [task for task in tasks if telling.progress_of(task).state not in TERMINAL]


def _restore(telling: Telling, task: Task) -> None:
    """Tell that a task is within reach again, unless its agent has just told more."""
    progress = telling.progress_of(task)
    if progress.state is TaskState.UNREACHABLE:
        text = f"agent {task.agent_id} is back"
        telling.assume(task, progress.reported, TaskReason.AGENT_RETURNED, text)
