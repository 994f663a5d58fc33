"""Waiting: offers that nobody answers are taken back early when somebody else asked for them."""

from collections.abc import Iterator, Sequence
from itertools import islice

from master.allocator.demand import Want
from master.core.alarms import AlarmKind
from master.core.draft import Draft
from master.core.offers import take_back
from master.core.records import Offer
from master.core.standing import back_off_of, demand_of, is_resting
from master.core.state import State
from protocol.constraints import is_admitted

OFFERS_MAX = 1000  # looked at in one turn, oldest first
WANTS_MAX = 64  # of those that wait: as some are served, others come


def ring_demand_waits(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """Take back what is held too long by those that never said what they want."""
    waiting = list(islice(unmet_wants(state), WANTS_MAX))
    next_ns: int | None = None
    for offer in islice(state.soft.offers.values(), OFFERS_MAX):
        place, served = find_served(state, offer, waiting)
        if not served:
            continue
        yields_ns = time_of_yield(state, offer, draft.settings.offer_yield_ns)
        if yields_ns > draft.now_ns:
            next_ns = min(next_ns or yields_ns, yields_ns)
            continue
        take_back(draft, state, offer)
        want, left = waiting[place]
        waiting[place] = want, left - served
        if left <= served:
            del waiting[place]
    if next_ns is not None:
        draft.alarm(AlarmKind.DEMAND_WAITS, (), next_ns - draft.now_ns)


def find_served(state: State, offer: Offer, waiting: Sequence[tuple[Want, int]]) -> tuple[int, int]:
    """Return which of those that wait an offer would serve, and how many of its tasks.

    An offer that was asked for, or is shared, is nobody else's.
    """
    if offer.is_shared or demand_of(state, offer.framework_id, offer.role) is not None:
        return 0, 0
    agent = state.agents[offer.agent_id]
    for place, (want, _) in enumerate(waiting):
        served = want.fits(offer.resources.quantities)
        if served and is_admitted(want.constraints, agent.id, agent):
            return place, served
    return 0, 0


def time_of_yield(state: State, offer: Offer, yield_ns: int) -> int:
    """Return until when an offer's holder may think it over.

    Who used nothing of what it was offered before may not.
    """
    is_wasteful = back_off_of(state, offer.framework_id, offer.role) is not None
    return offer.made_ns if is_wasteful else offer.made_ns + yield_ns


def unmet_wants(state: State) -> Iterator[tuple[Want, int]]:
    """Return what is asked for and not offered, by those that may be offered something."""
    for framework_id, by_role in state.soft.demands.items():
        for role, demand in by_role.items():
            is_silent = role in state.frameworks[framework_id].suppressed
            if not is_silent and not is_resting(state, framework_id, role):
                for want, left in zip(demand.wants, demand.left, strict=True):
                    if left:
                        yield want, left
