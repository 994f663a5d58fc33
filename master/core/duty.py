"""Duty: agents that operators take out of service, empty, bring back, or give up for good."""

from dataclasses import dataclass

from master.core.agents import discount, draft_removal, refusal_of_gone, refuse_gone
from master.core.alarms import AlarmKind
from master.core.draft import Draft, Outcome
from master.core.effects import RefuseAgent
from master.core.events import (
    AgentActivated,
    AgentDeactivated,
    AgentDeclaredGone,
    DrainBegun,
)
from master.core.inverse import ask_soon
from master.core.offers import close_offers
from master.core.reasons import Reason
from master.core.records import Agent, Declaration, Drain, Task
from master.core.settings import DAY_NS, Settings
from master.core.soft import AgentDetached, AgentHandled
from master.core.state import State
from master.core.tasks import want_dead
from master.core.validity import check_duration, check_texts
from protocol.decision import Decision, Refused
from protocol.ids import AgentId
from protocol.messages.values import TaskReason

DEADLINE_MAX_NS = 30 * DAY_NS
KILLS_MAX = 500  # ordered in one decision; an agent may have more tasks than an entry should hold


@dataclass(frozen=True, slots=True)
class DeactivateAgent:
    """Offer nothing of the agent any more; `by` names the operator, as below."""

    agent_id: AgentId
    by: str


@dataclass(frozen=True, slots=True)
class ActivateAgent:
    """End a deactivation or a drain; kills that were ordered stand."""

    agent_id: AgentId
    by: str


@dataclass(frozen=True, slots=True)
class DrainAgent:
    """Deactivate the agent, and kill its tasks once `deadline_ns` have passed.

    `grace_ns` bounds each task's own grace (0: it does not); with `marks_gone` the agent is
    declared gone when its last task has ended.
    """

    agent_id: AgentId
    by: str
    grace_ns: int = 0
    deadline_ns: int = 0
    marks_gone: bool = False


@dataclass(frozen=True, slots=True)
class DeclareGone:
    """An agent that is away will not come back, and nothing runs there any more."""

    agent_id: AgentId
    by: str


def decide_deactivate(
    state: State, command: DeactivateAgent, now_ns: int, settings: Settings
) -> Outcome:
    """Refuses: UNKNOWN_AGENT, AGENT_GONE, BAD_NAME, AGENT_DRAINING for one that does more."""
    agent = _find(state, command)
    if isinstance(agent, Refused):
        return agent
    if agent.drain:
        text = f"agent {agent.id} is being drained, and is offered to nobody already"
        return Refused(Reason.AGENT_DRAINING, text)
    if agent.is_deactivated:
        return Decision()
    draft = Draft(now_ns, settings)
    draft.events.append(AgentDeactivated(agent.id, command.by))
    _close_all(draft, state, agent)
    return draft.decision()


def decide_activate(
    state: State, command: ActivateAgent, now_ns: int, settings: Settings
) -> Outcome:
    """Refuses: UNKNOWN_AGENT, AGENT_GONE, BAD_NAME."""
    agent = _find(state, command)
    if isinstance(agent, Refused):
        return agent
    if agent.is_active:
        return Decision()
    draft = Draft(now_ns, settings)
    draft.events.append(AgentActivated(agent.id, command.by))
    ask_soon(draft, agent.id)
    draft.touch(agent.id)
    return draft.decision()


def decide_drain(state: State, command: DrainAgent, now_ns: int, settings: Settings) -> Outcome:
    """Begin to empty the agent, or go on under other terms.

    Refuses: UNKNOWN_AGENT, AGENT_GONE, BAD_NAME, BAD_DURATION.
    """
    agent = _find(state, command)
    if isinstance(agent, Refused):
        return agent
    refused = check_duration("kill grace", command.grace_ns, settings.grace_max_ns)
    refused = refused or check_duration("deadline", command.deadline_ns, DEADLINE_MAX_NS)
    if refused:
        return refused
    draft = Draft(now_ns, settings)
    draft.events.append(
        DrainBegun(
            agent_id=agent.id,
            by=command.by,
            kill_ns=now_ns + command.deadline_ns,
            grace_ns=command.grace_ns,
            marks_gone=command.marks_gone,
        )
    )
    _close_all(draft, state, agent)
    draft.alarm(AlarmKind.AGENT_DRAIN, (agent.id,), 0)
    if command.deadline_ns:
        ask_soon(draft, agent.id)
    return draft.decision()


def decide_gone(state: State, command: DeclareGone, now_ns: int, settings: Settings) -> Outcome:
    """Tell that the agent's tasks are gone, forget it, and let it never return.

    Refuses: UNKNOWN_AGENT, BAD_NAME, AGENT_CONNECTED for one that is plainly there.
    """
    if command.agent_id in state.gone:
        return Decision()
    agent = state.agents.get(command.agent_id)
    if agent is None:
        return _unknown(command.agent_id)
    if refused := check_texts((("operator", command.by),)):
        return refused
    if agent.gone:
        return Decision()
    if agent.id in state.soft.agent_links:
        text = (
            f"agent {agent.id} is connected, and its tasks run: drain it, "
            "and have it marked as gone when it is empty"
        )
        return Refused(Reason.AGENT_CONNECTED, text)
    draft = Draft(now_ns, settings)
    _draft_gone(draft, state, agent, command.by)
    return draft.decision()


def ring_drain(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """Kill what is left at the deadline, some of it at a time; see whether it was the last."""
    agent = state.agents.get(AgentId(key[0]))
    if agent is None or agent.drain is None:
        return
    drain = agent.drain
    if not agent.tasks:
        if drain.marks_gone and not agent.gone:
            _draft_gone(draft, state, agent, drain.by)
        return
    if drain.kill_ns > draft.now_ns:
        draft.alarm(AlarmKind.AGENT_DRAIN, key, drain.kill_ns - draft.now_ns)
        return
    killed = 0
    for task_key in agent.tasks:
        task = state.tasks[task_key]
        grace_ns = _grace_of(task, drain)
        if task.kill is None or task.kill.grace_ns != grace_ns:
            if killed == KILLS_MAX:
                draft.alarm(AlarmKind.AGENT_DRAIN, key, 0)
                return
            want_dead(draft, state, task, TaskReason.AGENT_DRAINING, grace_ns)
            killed += 1


def apply_agent_deactivated(state: State, event: AgentDeactivated) -> None:
    state.agents[AgentId(event.agent_id)].is_deactivated = True


def apply_agent_activated(state: State, event: AgentActivated) -> None:
    agent = state.agents[AgentId(event.agent_id)]
    agent.is_deactivated, agent.drain = False, None


def apply_drain_begun(state: State, event: DrainBegun) -> None:
    agent = state.agents[AgentId(event.agent_id)]
    began_ns = agent.drain.began_ns if agent.drain else state.now_ns
    agent.drain = Drain(event.by, began_ns, event.kill_ns, event.grace_ns, event.marks_gone)


def apply_agent_declared_gone(state: State, event: AgentDeclaredGone) -> None:
    agent = state.agents[AgentId(event.agent_id)]
    assert not agent.gone
    agent.gone = Declaration(event.by, state.now_ns)
    if not agent.is_unreachable:
        agent.is_unreachable, agent.unreachable_ns = True, state.now_ns
        discount(state, agent)
        state.soft.ledger = None


def _draft_gone(draft: Draft, state: State, agent: Agent, by: str) -> None:
    declaration = Declaration(by, draft.now_ns)
    if agent.id in state.soft.agent_links:
        refusal = refusal_of_gone(agent.id, declaration)
        draft.soft.append(AgentDetached(agent.id))
        draft.greetings.append(RefuseAgent(agent.id, refusal.reason.name, refusal.text))
    draft.soft.append(AgentHandled(agent.id))
    draft.events.append(AgentDeclaredGone(agent.id, by))
    draft_removal(draft, state, agent, declaration)


def _find(state: State, command: DeactivateAgent | ActivateAgent | DrainAgent) -> Agent | Refused:
    if refused := check_texts((("operator", command.by),)):
        return refused
    agent = state.agents.get(command.agent_id)
    if refused := refuse_gone(state, command.agent_id):
        return refused
    return agent or _unknown(command.agent_id)


def _unknown(agent_id: str) -> Refused:
    return Refused(Reason.UNKNOWN_AGENT, f"agent {agent_id[:140]!r} is not known")


def _close_all(draft: Draft, state: State, agent: Agent) -> None:
    offer_ids = tuple(state.soft.offers_by_agent.get(agent.id, ()))
    close_offers(draft, state, offer_ids, is_told=True)


def _grace_of(task: Task, drain: Drain) -> int:
    """Return the grace of a kill: the task's own, or what the drain allows if that is less."""
    own_ns = task.kill.grace_ns if task.kill else task.description.kill_grace_ns
    return min(own_ns, drain.grace_ns) if own_ns and drain.grace_ns else own_ns or drain.grace_ns
