"""Reservations: resources of an agent bound to a role by an operator, and how they all end."""

from dataclasses import dataclass

from master.core.alarms import AlarmKind
from master.core.draft import Draft, Outcome, Said
from master.core.events import (
    ReservationEnding,
    ResourcesReserved,
    ResourcesUnreserved,
)
from master.core.holdings import (
    Maker,
    check_dynamic,
    check_quotas,
    check_reserve,
    children_of,
    draft_reserved,
    find_reservation,
    plan_reserve,
    reserve,
    unreserve,
)
from master.core.offers import close_offers
from master.core.reasons import Reason
from master.core.records import Agent, Offer, Reservation, part_of
from master.core.rivals import group_of
from master.core.settings import Settings
from master.core.soft import OfferMade
from master.core.state import (
    State,
    charge_role,
    credit_role,
    free_of,
    idle_of,
)
from protocol.decision import Refused
from protocol.ids import AgentId, FrameworkId
from protocol.messages.framework import Reserve
from protocol.resources import EMPTY, Resources, format_resources, sum_resources

USERS_NAMED_MAX = 5  # in a refusal, which is one line


@dataclass(frozen=True, slots=True)
class ReserveByOperator:
    """Bind resources that no task uses to a role; offers in the way are taken back."""

    agent_id: str
    request: Reserve
    principal: str = ""


@dataclass(frozen=True, slots=True)
class UnreserveByOperator:
    """Let go of so much of a reservation, or of all; `when_free`: as its tasks end."""

    agent_id: str
    reservation: str
    resources: Resources = EMPTY
    when_free: bool = False


def decide_reserve(
    state: State, command: ReserveByOperator, now_ns: int, settings: Settings
) -> Outcome:
    """Reserve them; replied to with `Said`, which names the reservation.

    Refuses: all that `check_reserve` and `plan_reserve` do, UNKNOWN_AGENT, AGENT_UNREACHABLE,
    RESOURCES_IN_USE, OVER_CLAIMED, QUOTA_EXCEEDED.
    """
    request = command.request
    agent = find_agent(state, command.agent_id)
    if isinstance(agent, Refused):
        return agent
    maker = Maker(command.principal)
    refused = check_reserve(request, len(agent.reservations), settings)
    event = refused or plan_reserve(agent, agent.reservations, request, maker, now_ns)
    if isinstance(event, Refused):
        return event
    if not request.resources and request.reservation not in agent.reservations:
        return Refused(Reason.BAD_RESOURCES, "nothing is to be reserved; name resources")
    before = agent.reservations[request.source].role if request.source else ""
    if refused := check_quotas(state, request.role, request.resources, before):
        return refused
    draft = Draft(now_ns, settings)
    closed = make_room(draft, state, agent, request.source, request.resources)
    if isinstance(closed, Refused):
        return closed
    draft_reserved(draft, event)
    draft.touch(agent.id)
    what = format_resources(request.resources) or "nothing more"
    text = f"{agent.id} {event.reservation.id}: {what} reserved for {request.role}"
    return draft.decision(Said(text + rescinded(closed)))


def decide_unreserve(
    state: State, command: UnreserveByOperator, now_ns: int, settings: Settings
) -> Outcome:
    """Give them back to what they were reserved from; replied to with `Said`.

    Refuses: UNKNOWN_AGENT, UNKNOWN_RESERVATION, STATIC_RESERVATION, OVER_CLAIMED, and
    RESOURCES_IN_USE unless it may wait.
    """
    agent = state.agents.get(AgentId(command.agent_id))
    if agent is None:
        return _unknown(command.agent_id)
    known = find_reservation(agent, agent.reservations, command.reservation)
    if isinstance(known, Refused):
        return known
    if refused := check_dynamic(known):
        return refused
    draft = Draft(now_ns, settings)
    name = f"{agent.id} {known.id}"
    if command.when_free:
        ended = draft_ending(draft, state, agent, known)
        text = f"{name}: let go"
        if known.allocated:
            text += f"; {format_resources(known.allocated)} as soon as its tasks end"
        if held := [each.id for each in agent.volumes.values() if each.reservation == known.id]:
            text += f"; what is in volumes when they are destroyed: {', '.join(held[:5])}"
        return draft.decision(Said(text + rescinded(ended)))
    resources = command.resources or known.resources
    closed = make_room(draft, state, agent, known.id, resources)
    if isinstance(closed, Refused):
        return closed
    draft.events.append(ResourcesUnreserved(agent.id, known.id, resources))
    draft.touch(agent.id)
    to = known.parent or "everybody"
    text = f"{name}: {format_resources(resources)} given back to {to}"
    return draft.decision(Said(text + rescinded(closed)))


def draft_ending(draft: Draft, state: State, agent: Agent, known: Reservation) -> list[Offer]:
    """Let go of what is not in use of it, and of the rest later; return the offers taken back.

    What was refined out of it ends with it.
    """
    for child in children_of(agent.reservations, known.id):
        draft.alarm(AlarmKind.RESERVATION_ENDS, (agent.id, child.id), 0)
    closed = [
        each
        for each in offers_of(state, agent)
        if any(draw.reservation == known.id for draw in each.draws)
    ]
    close_offers(draft, state, [each.id for each in closed], is_told=True)
    idle = idle_of(state, agent)[known.id]
    idle = idle + sum_resources(part_of(each.resources, each.draws, known.id) for each in closed)
    is_whole = idle == known.resources and not any(children_of(agent.reservations, known.id))
    if not known.is_ending and not is_whole:
        draft.events.append(ReservationEnding(agent.id, known.id))
    if idle:
        draft.events.append(ResourcesUnreserved(agent.id, known.id, idle))
        draft.touch(agent.id)
        parent = agent.reservations.get(known.parent)
        if parent is not None and is_over(state, agent, parent, draft.now_ns):
            draft.alarm(AlarmKind.RESERVATION_ENDS, (agent.id, parent.id), 0)
    return closed


def ring_reservation_ends(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """End a reservation whose time, or whose framework's time, is over; others were put off."""
    agent = state.agents.get(AgentId(key[0]))
    known = agent.reservations.get(key[1]) if agent is not None else None
    if agent is None or known is None or known.is_static:
        return
    if not is_over(state, agent, known, draft.now_ns):
        await_end(draft, agent, known)
    elif any(
        isinstance(each, OfferMade) and each.offer.agent_id == agent.id for each in draft.soft
    ):
        draft.alarm(AlarmKind.RESERVATION_ENDS, key, 0)  # this tick's pass may just have lent it
    else:
        draft_ending(draft, state, agent, known)


def is_over(state: State, agent: Agent, known: Reservation, now_ns: int) -> bool:
    """Whether a reservation has nothing to stand for any more."""
    if known.is_ending or (known.parent and agent.reservations[known.parent].is_ending):
        return True
    if known.expires_ns and known.expires_ns <= now_ns:
        return True
    if known.is_kept or not known.framework_id:
        return False
    if any(volume.reservation == known.id for volume in agent.volumes.values()):
        return False  # what is in them is its role's
    framework = state.frameworks.get(FrameworkId(known.framework_id))
    return framework is None or framework.is_removed


def await_end(draft: Draft, agent: Agent, known: Reservation) -> None:
    """Wake up at a reservation's time, if it has one."""
    if known.expires_ns:
        after_ns = known.expires_ns - draft.now_ns
        draft.alarm(AlarmKind.RESERVATION_ENDS, (agent.id, known.id), after_ns)


def await_ends(draft: Draft, state: State) -> None:
    """Set a new leader's alarms."""
    for agent in state.agents.values():
        for known in agent.reservations.values():
            if is_over(state, agent, known, draft.now_ns):
                draft.alarm(AlarmKind.RESERVATION_ENDS, (agent.id, known.id), 0)
            else:
                await_end(draft, agent, known)


def await_framework(draft: Draft, state: State, framework_id: FrameworkId) -> None:
    """Have what a framework that ends had reserved end with it."""
    for agent in state.agents.values():
        for known in agent.reservations.values():
            if known.framework_id == framework_id and not known.is_kept:
                draft.alarm(AlarmKind.RESERVATION_ENDS, (agent.id, known.id), 0)


def apply_reserved(state: State, event: ResourcesReserved) -> None:
    agent = state.agents[AgentId(event.agent_id)]
    told = event.reservation
    if not agent.is_unreachable:
        if event.source:
            source = agent.reservations[event.source]
            credit_role(state.reserved, source.role, told.resources.quantities)
        charge_role(state.reserved, told.role, told.resources.quantities)
    agent.reservations_made += told.id not in agent.reservations
    reserve(agent.reservations, event, state.now_ns)
    state.soft.ledger = None


def apply_unreserved(state: State, event: ResourcesUnreserved) -> None:
    agent = state.agents[AgentId(event.agent_id)]
    known = agent.reservations[event.reservation]
    if not agent.is_unreachable:
        amounts = event.resources.quantities
        credit_role(state.reserved, known.role, amounts)
        if known.parent:
            charge_role(state.reserved, agent.reservations[known.parent].role, amounts)
    unreserve(agent.reservations, event)
    state.soft.ledger = None


def apply_ending(state: State, event: ReservationEnding) -> None:
    agent = state.agents[AgentId(event.agent_id)]
    agent.reservations[event.reservation].is_ending = True


def find_agent(state: State, agent_id: str) -> Agent | Refused:
    agent = state.agents.get(AgentId(agent_id))
    if agent is None:
        return _unknown(agent_id)
    if agent.is_unreachable:
        return Refused(Reason.AGENT_UNREACHABLE, f"agent {agent_id} is unreachable")
    return agent


def _unknown(agent_id: str) -> Refused:
    return Refused(Reason.UNKNOWN_AGENT, f"agent {agent_id[:140]!r} is not known")


def make_room(
    draft: Draft, state: State, agent: Agent, source: str, wanted: Resources
) -> list[Offer] | Refused:
    """Take back as many offers as lend what is wanted of a reservation, or of no one's."""
    free = idle_of(state, agent)[source] if source else free_of(state, agent)
    closed: list[Offer] = []
    for offer in offers_of(state, agent):
        if free.contains(wanted):
            break
        part = part_of(offer.resources, offer.draws, source)
        if not offer.rival_of and part & wanted:
            closed += group_of(state, offer)
            free = free + part
    if not free.contains(wanted):
        return _refuse_room(state, agent, source, wanted, free)
    close_offers(draft, state, [each.id for each in closed], is_told=True)
    return closed


def _refuse_room(
    state: State, agent: Agent, source: str, wanted: Resources, free: Resources
) -> Refused:
    tasks = (state.tasks[key] for key in agent.tasks)
    users: list[str] = [
        each.key for each in tasks if part_of(each.held, each.draws, source) & wanted
    ]
    where = f"reservation {source} of agent {agent.id}" if source else f"agent {agent.id}"
    text = f"{format_resources(free) or 'nothing'} is free of {where}, not "
    text += format_resources(wanted)
    if "disk" in wanted.scalars:
        users += [
            f"volume {each.id}" for each in agent.volumes.values() if each.reservation == source
        ]
    if not users:
        return Refused(Reason.OVER_CLAIMED, text)
    more = f" and {len(users) - USERS_NAMED_MAX} more" if len(users) > USERS_NAMED_MAX else ""
    text += f"; in use by {', '.join(users[:USERS_NAMED_MAX])}{more}"
    return Refused(Reason.RESOURCES_IN_USE, text)


def offers_of(state: State, agent: Agent) -> list[Offer]:
    return [state.soft.offers[each] for each in state.soft.offers_by_agent.get(agent.id, ())]


def rescinded(closed: list[Offer]) -> str:
    count = len(closed)
    return f"; {count} offer{'s are' if count > 1 else ' is'} taken back" if count else ""
