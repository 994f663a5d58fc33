"""Inverse offers: frameworks are asked to leave agents before these are emptied."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from master.core.alarms import AlarmKind
from master.core.asked import Inverse, InverseAnswered, InverseClosed, InverseMade
from master.core.draft import Draft, Outcome, put
from master.core.reasons import Reason
from master.core.records import Agent, Framework, Unavailability
from master.core.settings import SECOND_NS, Settings
from master.core.state import State, find_framework, unavailability_of
from master.core.validity import OPERATIONS_MAX, check_count, check_duration
from protocol.decision import Refused
from protocol.ids import AgentId, FrameworkId, OfferId, TaskKey, task_key
from protocol.messages import framework as wire
from protocol.messages.framework import AnswerInverse

ASK_MIN_NS, ASK_MAX_NS = 10 * SECOND_NS, 600 * SECOND_NS  # between looks at who must be asked
ASK_PARTS = 100  # of the time that is left
REFUSE_DEFAULT_NS = 300 * SECOND_NS
TASKS_NAMED_MAX = 1000


@dataclass(frozen=True, slots=True)
class AnswerInverseOffers:
    """A framework says whether it will have left some agents in time: a word to the operator."""

    framework_id: FrameworkId
    answer: AnswerInverse


def decide_answer(
    state: State, command: AnswerInverseOffers, now_ns: int, settings: Settings
) -> Outcome:
    """Remember the answer; those that were rescinded meanwhile do not disturb the others.

    Refuses: UNKNOWN_FRAMEWORK, FRAMEWORK_REMOVED, TOO_MANY, BAD_DURATION, FOREIGN_OFFER, and
    UNKNOWN_OFFER when none of them is open any more.
    """
    framework = find_framework(state, command.framework_id)
    if isinstance(framework, Refused):
        return framework
    answer = command.answer
    refused = check_count("inverse offers", len(answer.offers), OPERATIONS_MAX) or check_duration(
        "refusal", answer.refuse_ns, settings.refuse_max_ns
    )
    if refused:
        return refused
    draft = Draft(now_ns, settings)
    for offer_id in map(OfferId, dict.fromkeys(answer.offers)):
        inverse = state.soft.asked.inverse.get(offer_id)
        if inverse is None:
            continue
        if inverse.framework_id != framework.id:
            text = f"inverse offer {offer_id} was made to somebody else"
            return Refused(Reason.FOREIGN_OFFER, text)
        again_ns = now_ns + (answer.refuse_ns or REFUSE_DEFAULT_NS)
        draft.soft.append(InverseAnswered(offer_id, answer.is_accepted, again_ns))
    if answer.offers and not draft.soft:
        text = f"inverse offer {answer.offers[0][:140]!r} is not open: it was rescinded"
        return Refused(Reason.UNKNOWN_OFFER, text)
    return draft.decision()


def ask_soon(draft: Draft, agent_id: AgentId) -> None:
    """Look who must be asked to leave the agent, or need not any more."""
    draft.alarm(AlarmKind.INVERSE, (agent_id,), 0)


def ask_again(draft: Draft, state: State, framework: Framework) -> None:
    """Ask a scheduler that has come back what it was asked before, or should have been."""
    for agent_id in dict.fromkeys(
        state.tasks[task_key(framework.id, each)].agent_id for each in framework.tasks
    ):
        agent = state.agents.get(agent_id)
        if agent is not None and unavailability_of(state, agent):
            ask_soon(draft, agent_id)


def ring_inverse(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """Ask whoever has tasks on the agent and was not asked; rescind what has no point now."""
    agent_id = AgentId(key[0])
    agent = state.agents.get(agent_id)
    absence = unavailability_of(state, agent) if agent else None
    if absence and absence.from_ns <= draft.now_ns:
        absence = None  # too late to ask
    there = _tasks_there(state, agent) if agent and absence else {}
    asked = state.soft.asked
    open_: dict[FrameworkId, None] = {}
    for framework_id, offer_id in asked.by_agent.get(agent_id, {}).items():
        inverse = asked.inverse[offer_id]
        if framework_id in there and _is_good(inverse, absence, draft.now_ns):
            open_[framework_id] = None
        else:
            draft.soft.append(InverseClosed(offer_id))
            put(draft.inverse_rescinded, framework_id, offer_id)
    if agent is None or absence is None:
        return
    made = 0
    for framework_id, keys in there.items():
        if framework_id in asked.takers and framework_id not in open_:
            made += 1
            _ask(draft, state, agent, absence, (framework_id, keys, asked.made + made))
    left_ns = absence.from_ns - draft.now_ns
    draft.alarm(AlarmKind.INVERSE, key, max(ASK_MIN_NS, min(left_ns // ASK_PARTS, ASK_MAX_NS)))


def answers_of(state: State, agent_id: AgentId) -> tuple[int, int, int]:
    """Return how many frameworks were asked to leave the agent, accepted, and declined."""
    asked = state.soft.asked
    found = [asked.inverse[each] for each in asked.by_agent.get(agent_id, {}).values()]
    accepted = sum(each.is_accepted for each in found)
    return len(found), accepted, sum(each.is_declined for each in found)


def inverse_offer_of(state: State, inverse: Inverse) -> wire.InverseOffer:
    """Return the inverse offer as the framework sees it."""
    agent = state.agents[inverse.agent_id]
    keys = _tasks_there(state, agent).get(inverse.framework_id, [])
    return wire.InverseOffer(
        offer_id=inverse.id,
        agent_id=agent.id,
        hostname=agent.hostname,
        unavailable_ns=inverse.unavailable_ns,
        available_ns=inverse.available_ns,
        tasks=tuple(state.tasks[each].task_id for each in islice(keys, TASKS_NAMED_MAX)),
    )


def open_inverse(state: State) -> Iterator[tuple[FrameworkId, wire.InverseOffer]]:
    """Return what frameworks were asked and have not answered."""
    for inverse in state.soft.asked.inverse.values():
        if not (inverse.is_accepted or inverse.is_declined):
            yield inverse.framework_id, inverse_offer_of(state, inverse)


def _is_good(inverse: Inverse, absence: Unavailability | None, now_ns: int) -> bool:
    """Whether it still says what is so, and its answer still counts."""
    said = Unavailability(inverse.unavailable_ns, inverse.available_ns)
    return said == absence and not (inverse.is_declined and inverse.again_ns <= now_ns)


def _ask(
    draft: Draft,
    state: State,
    agent: Agent,
    absence: Unavailability,
    whom: tuple[FrameworkId, list[TaskKey], int],
) -> None:
    framework_id, _, number = whom
    inverse = Inverse(
        id=OfferId(f"i{state.leaderships}-{number}"),
        framework_id=framework_id,
        agent_id=agent.id,
        unavailable_ns=absence.from_ns,
        available_ns=absence.until_ns,
    )
    draft.soft.append(InverseMade(inverse))
    put(draft.inverse_offers, framework_id, inverse_offer_of(state, inverse))


def _tasks_there(state: State, agent: Agent) -> dict[FrameworkId, list[TaskKey]]:
    there: dict[FrameworkId, list[TaskKey]] = {}
    for key in agent.tasks:
        there.setdefault(state.tasks[key].framework_id, []).append(key)
    return there
