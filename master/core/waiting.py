"""Waiting: offers that nobody answers are taken back early when somebody else asked for them."""

from collections.abc import Iterator, Sequence
from itertools import islice

from master.allocator.allocate import Grant, Supply
from master.allocator.rations import Rations
from master.core.alarms import AlarmKind
from master.core.draft import Draft
from master.core.offers import take_back
from master.core.policies import policy_of
from master.core.records import Offer
from master.core.standing import back_off_of, demand_of, is_resting
from master.core.state import State, charged_by_role
from master.core.wishes import Wishes
from protocol.ids import FrameworkId

OFFERS_MAX = 200  # looked at in one turn, oldest first
CLAIMS_MAX = 16  # of those that wait: as some are served, others come

Claim = tuple[FrameworkId, str]


def ring_demand_waits(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """Take back what is held too long by those that never said what they want."""
    waiting = list(islice(waiting_claims(state), CLAIMS_MAX))
    rations: Rations | None = None
    if state.quotas:
        rations = Rations(state.quotas, charged_by_role(state), state.capacity)
    wishes = Wishes(state, draft.settings, draft.now_ns)
    next_ns: int | None = None
    for offer in islice(state.soft.offers.values(), OFFERS_MAX):
        if offer.is_shared or demand_of(state, offer.framework_id, offer.role) is not None:
            continue  # it was asked for, or it is a lock for nobody
        grant = find_taker(wishes, rations, offer, waiting)
        if grant is None:
            continue
        yields_ns = time_of_yield(state, offer, draft.settings.offer_yield_ns)
        if yields_ns > draft.now_ns:
            next_ns = min(next_ns or yields_ns, yields_ns)
            continue
        take_back(draft, state, offer)
        wishes.grant(grant)
        if rations is not None:
            rations.take_back(offer.role, offer.unreserved.quantities)
            rations.charge(grant.role, grant.supply.resources.quantities)
    if next_ns is not None:
        draft.alarm(AlarmKind.DEMAND_WAITS, (), next_ns - draft.now_ns)


def find_taker(
    wishes: Wishes, rations: Rations | None, offer: Offer, waiting: Sequence[Claim]
) -> Grant | None:
    """Return what one of those that wait would take of an offer, and may have.

    What is reserved stays where it is: it is hardly what the others wait for.
    """
    supply = Supply(offer.agent_id, offer.unreserved)
    for framework_id, role in waiting:
        part = wishes.part_for(framework_id, role, supply, {})
        if part is None:
            continue
        amounts = part.resources.quantities
        caps = rations.caps(role, amounts, is_owed=False) if rations is not None else {}
        if all(amount <= caps.get(name, amount) for name, amount in amounts.items()):
            return Grant(framework_id, role, part)
    return None


def time_of_yield(state: State, offer: Offer, yield_ns: int) -> int:
    """Return until when an offer's holder may think it over.

    Who used nothing of what it was offered before may not.
    """
    is_wasteful = back_off_of(state, offer.framework_id, offer.role) is not None
    return offer.made_ns if is_wasteful else offer.made_ns + yield_ns


def waiting_claims(state: State) -> Iterator[Claim]:
    """Return frameworks and roles that have asked for more than they are offered."""
    for framework_id, by_role in state.soft.demands.items():
        silent = state.frameworks[framework_id].suppressed
        for role in by_role:
            is_shut = role in silent or policy_of(state, role).is_open
            if not is_shut and not is_resting(state, framework_id, role):
                yield framework_id, role
