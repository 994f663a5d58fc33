"""Waiting: offers that nobody answers are taken back early when somebody else asked for them."""

from collections.abc import Iterator
from itertools import islice

from master.allocator.demand import Want
from master.core.alarms import AlarmKind
from master.core.draft import Draft
from master.core.offers import take_back
from master.core.records import Offer
from master.core.settings import SECOND_NS
from master.core.standing import back_off_of, demand_of, is_resting
from master.core.state import State
from protocol.constraints import is_admitted

LOOK_NS = SECOND_NS // 2
OFFERS_MAX = 1000  # looked at in one turn, oldest first
WANTS_MAX = 64  # of those that wait: as some are served, others come


def ring_demand_waits(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """Take back what is held too long by those that never said what they want."""
    waiting = list(islice(unmet_wants(state), WANTS_MAX))
    if waiting:
        draft.alarm(AlarmKind.DEMAND_WAITS, (), LOOK_NS)
    for offer in islice(state.soft.offers.values(), OFFERS_MAX):
        if not yields(draft, state, offer):
            continue
        for place, (want, left) in enumerate(waiting):
            if served := serves(state, offer, want):
                take_back(draft, state, offer)
                waiting[place] = want, left - served
                if left <= served:
                    del waiting[place]
                break


def yields(draft: Draft, state: State, offer: Offer) -> bool:
    """Whether an offer was made without being asked for, and its holder has had time enough.

    Who used nothing of what it was offered before has none.
    """
    if demand_of(state, offer.framework_id, offer.role) is not None:
        return False
    is_wasteful = back_off_of(state, offer.framework_id, offer.role) is not None
    return is_wasteful or draft.now_ns - offer.made_ns >= draft.settings.offer_yield_ns


def unmet_wants(state: State) -> Iterator[tuple[Want, int]]:
    """Return what is asked for and not offered, by those that may be offered something."""
    for framework_id, by_role in state.soft.demands.items():
        for role, demand in by_role.items():
            is_silent = role in state.frameworks[framework_id].suppressed
            if not is_silent and not is_resting(state, framework_id, role):
                for want, left in zip(demand.wants, demand.left, strict=True):
                    if left:
                        yield want, left


def serves(state: State, offer: Offer, want: Want) -> int:
    """Return how many tasks of this size could run on an offer."""
    agent = state.agents[offer.agent_id]
    is_there = is_admitted(want.constraints, agent.id, agent)
    return want.fits(offer.resources.quantities) if is_there else 0
