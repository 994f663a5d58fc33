"""Offers: resources of one agent lent to one framework until it answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from master.allocator.rations import Rations
from master.allocator.tree import lineage
from master.core.accepts import Acceptance
from master.core.backoff import draft_used, draft_wasted
from master.core.disks import disk
from master.core.draft import Draft, Outcome, put
from master.core.reasons import Reason
from master.core.records import Offer, Refusal
from master.core.rivals import group_of
from master.core.settings import Settings
from master.core.soft import AgentRefused, OfferClosed
from master.core.standing import DemandServed, demand_of
from master.core.state import State, charge, find_framework, held_by_role
from master.core.touched import AllIdleTouched
from master.core.validity import OFFERS_MAX, OPERATIONS_MAX, check_count, check_duration
from protocol.decision import Refused
from protocol.ids import FrameworkId, OfferId
from protocol.messages.framework import Accept, Decline, KillTask
from protocol.quantities import format_quantities
from protocol.resources import Resources


@dataclass(frozen=True, slots=True)
class AcceptOffers:
    """All or nothing: a refused accept changes nothing and its offers stay open."""

    framework_id: FrameworkId
    accept: Accept


@dataclass(frozen=True, slots=True)
class DeclineOffers:
    """Give offers back; those that were rescinded meanwhile do not disturb the others."""

    framework_id: FrameworkId
    decline: Decline


def decide_accept(state: State, command: AcceptOffers, now_ns: int, settings: Settings) -> Outcome:
    """Use the offers' resources for the operations, in order, and decline the rest.

    Refuses: all that `Acceptance` does, and for the offers TOO_MANY, UNKNOWN_OFFER, FOREIGN_OFFER,
    REPEATED_OFFER, MIXED_OFFERS, BAD_DURATION, OFFER_TAKEN and, of a shared one, QUOTA_EXCEEDED.
    """
    framework = find_framework(state, command.framework_id)
    if isinstance(framework, Refused):
        return framework
    accept = command.accept
    refused = (
        check_count("offers", len(accept.offers), OFFERS_MAX)
        or check_count("operations", len(accept.operations), OPERATIONS_MAX)
        or check_duration("refusal", accept.refuse_ns, settings.refuse_max_ns)
    )
    if refused:
        return refused
    offers = _find_offers(state, command.framework_id, accept.offers)
    if isinstance(offers, Refused):
        return offers
    draft = Draft(now_ns, settings)
    acceptance = Acceptance(draft, state, framework, offers)
    for operation in accept.operations:
        if refused := acceptance.fold(operation):
            return refused
    if refused := _check_limits(state, offers, acceptance.launched):
        return refused
    _close_taken(draft, state, offers)
    close_offers(draft, state, accept.offers, is_told=False)
    if offers and (tasks := acceptance.launched):
        draft.soft.append(DemandServed(framework.id, offers[0].role, tasks))
    if all(isinstance(each, KillTask) for each in accept.operations):
        draft_wasted(draft, state, offers)
    elif offers:
        draft_used(draft, state, framework.id, offers[0].role)
    if offers:
        _refuse(draft, state, (offers[0], acceptance.left.refused), accept.refuse_ns)
    return draft.decision()


def decide_decline(
    state: State, command: DeclineOffers, now_ns: int, settings: Settings
) -> Outcome:
    """Take the offers back and leave their agents' resources to others for a while.

    A refusal of 0 is the default one. It ends early when the agent has more to give than was
    refused, or by a revive. Who declines all the time is offered less often.
    Refuses: UNKNOWN_FRAMEWORK, FRAMEWORK_REMOVED, TOO_MANY, BAD_DURATION, FOREIGN_OFFER, and
    UNKNOWN_OFFER when none of the offers is open any more.
    """
    framework = find_framework(state, command.framework_id)
    if isinstance(framework, Refused):
        return framework
    decline = command.decline
    refused = check_count("offers", len(decline.offers), OPERATIONS_MAX) or check_duration(
        "refusal", decline.refuse_ns, settings.refuse_max_ns
    )
    if refused:
        return refused
    known = [each for each in dict.fromkeys(decline.offers) if OfferId(each) in state.soft.offers]
    offers = _find_offers(state, command.framework_id, known or decline.offers, is_mixed=True)
    if isinstance(offers, Refused):
        return offers
    draft = Draft(now_ns, settings)
    close_offers(draft, state, known, is_told=False)
    for offer in offers:
        resources = offer.resources
        if offer.volumes:
            volumes = state.agents[offer.agent_id].volumes
            resources += disk(sum(volumes[name].held_bytes for name in offer.volumes))
        _refuse(draft, state, (offer, resources), decline.refuse_ns)
    draft_wasted(draft, state, offers)
    return draft.decision()


def _close_taken(draft: Draft, state: State, offers: Iterable[Offer]) -> None:
    """End the other offers of the same resources: who accepts first has them."""
    for offer in offers:
        for rival in group_of(state, offer):
            if rival.id != offer.id:
                draft.soft.append(OfferClosed(rival.id, is_taken=True))
                put(draft.rescinded, rival.framework_id, rival.id)


def _check_limits(
    state: State, offers: Sequence[Offer], launched: Iterable[Resources]
) -> Refused | None:
    """Hold launches against the limits of their role: a rival of another offer is on no account."""
    if not state.quotas or not any(offer.rival_of for offer in offers):
        return None
    wanted: dict[str, int] = {}
    for each in launched:
        charge(wanted, each.quantities)
    rations = Rations(state.quotas, held_by_role(state), state.capacity)
    for offer in offers:
        lent = group_of(state, offer)[-1]  # ends with this accept
        rations.take_back(lent.role, lent.resources.quantities)
    for branch in lineage(offers[0].role):
        quota, held = state.quotas.get(branch), rations.held(branch)
        for name, limit in quota.limit.items() if quota else ():
            if held.get(name, 0) + wanted.get(name, 0) > limit:
                text = (
                    f"{branch} would have more than its limit of {format_quantities({name: limit})}"
                )
                return Refused(Reason.QUOTA_EXCEEDED, text)
    return None


def ring_offer_old(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """Take an offer back that nobody answers, as if it had been declined."""
    take_back(draft, state, state.soft.offers[OfferId(key[0])])


def take_back(draft: Draft, state: State, offer: Offer) -> None:
    """Take an offer back from who holds it for too long, and leave it to others for a while."""
    close_offers(draft, state, (offer.id,), is_told=True)
    _refuse(draft, state, (offer, offer.resources), 0)
    draft_wasted(draft, state, (offer,))


def close_offers(draft: Draft, state: State, offer_ids: Iterable[str], *, is_told: bool) -> None:
    """End the offers, tell their frameworks if they do not know, and let others have a chance."""
    for offer_id in map(OfferId, offer_ids):
        if offer_id in draft.closed:
            continue  # two things that are due together may end it
        draft.closed[offer_id] = None
        offer = state.soft.offers[offer_id]
        draft.soft.append(OfferClosed(offer_id))
        draft.touch(offer.agent_id)
        if is_told and offer.framework_id in state.soft.framework_links:
            put(draft.rescinded, offer.framework_id, offer_id)


def _find_offers(
    state: State, framework_id: FrameworkId, offer_ids: Iterable[str], *, is_mixed: bool = False
) -> tuple[Offer, ...] | Refused:
    """Return the open offers, of one agent and role unless they may be mixed."""
    found: dict[OfferId, Offer] = {}
    for offer_id in map(OfferId, offer_ids):
        offer = state.soft.offers.get(offer_id)
        if offer is None and offer_id in state.soft.taken:
            text = f"offer {offer_id} was shared, and another framework has accepted it"
            return Refused(Reason.OFFER_TAKEN, text)
        if offer is None:
            text = f"offer {offer_id[:140]!r} is not open: it was answered or rescinded"
            return Refused(Reason.UNKNOWN_OFFER, text)
        if offer.framework_id != framework_id:
            return Refused(Reason.FOREIGN_OFFER, f"offer {offer_id} was made to somebody else")
        if offer_id in found:
            return Refused(Reason.REPEATED_OFFER, f"offer {offer_id} is named twice")
        found[offer_id] = offer
    offers = tuple(found.values())
    for offer in offers[1:]:
        first = offers[0]
        if not is_mixed and (offer.agent_id, offer.role) != (first.agent_id, first.role):
            text = (
                f"offer {first.id} is of agent {first.agent_id} for role {first.role}, "
                f"offer {offer.id} of agent {offer.agent_id} for role {offer.role}: "
                "accept the offers of each agent and role by themselves"
            )
            return Refused(Reason.MIXED_OFFERS, text)
    return offers


def _refuse(draft: Draft, state: State, refused: tuple[Offer, Resources], refuse_ns: int) -> None:
    """Remember that the framework does not want these resources of an offer for a while."""
    offer, resources = refused
    if resources:
        until_ns = draft.now_ns + (refuse_ns or draft.settings.refuse_default_ns)
        refusal = Refusal(resources, until_ns)
        draft.soft.append(AgentRefused(offer.framework_id, offer.role, offer.agent_id, refusal))
        if demand_of(state, offer.framework_id, offer.role) is not None:  # others may serve it
            draft.soft.append(AllIdleTouched(draft.now_ns + draft.settings.allocation_delay_ns))
