"""Rivals: offers of the same resources to several frameworks, of which the first accept counts.

One of them lends the resources, and only that one counts as lent; when it is closed, another does.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

from master.allocator.allocate import Ledger, Supply
from master.core.policies import policy_of
from master.core.records import Offer
from master.core.state import State
from master.core.wishes import Wishes
from protocol.ids import AgentId, FrameworkId, OfferId

FRAMEWORKS_MAX = 100  # asked whether they want to share one offer, fairest first


def group_of(state: State, offer: Offer) -> tuple[Offer, ...]:
    """Return all open offers of the same resources, the one that lends them last."""
    soft = state.soft
    holder = soft.offers[offer.rival_of] if offer.rival_of else offer
    return (*(soft.offers[each] for each in soft.rivals.get(holder.id, ())), holder)


def open_to_rivals(state: State, agent_ids: Iterable[AgentId]) -> Iterator[tuple[Offer, int]]:
    """Return offers that lend resources of these agents, and to how many more they may be made."""
    if not any(policy.sharers > 1 for policy in state.policies.values()):
        return
    soft = state.soft
    for agent_id in agent_ids:
        for offer_id in soft.offers_by_agent.get(agent_id, ()):
            offer = soft.offers[offer_id]
            if not offer.rival_of and (room := room_of(state, offer)):
                yield offer, room


def room_of(state: State, offer: Offer) -> int:
    """Return to how many more the resources of an offer may be offered."""
    if offer.draws or offer.volumes:
        return 0  # what is reserved is not everybody's
    sharers = policy_of(state, offer.role).sharers
    return max(0, sharers - 1 - len(state.soft.rivals.get(offer.id, ())))


def find_rivals(
    state: State, ledger: Ledger, wishes: Wishes, offer: Offer, room: int
) -> list[tuple[FrameworkId, str]]:
    """Return frameworks that want what an offer lends, and their roles, fairest first."""
    holders = [each.framework_id for each in group_of(state, offer)]
    found: list[tuple[FrameworkId, str]] = []
    if not room:
        return found
    for role, framework_id in islice(ledger.in_order(), FRAMEWORKS_MAX):
        if len(found) == room:
            break
        taker = FrameworkId(framework_id)
        if taker not in holders and may_share(state, wishes, offer, (taker, role)):
            holders.append(taker)
            found.append((taker, role))
    return found


def may_share(state: State, wishes: Wishes, offer: Offer, taker: tuple[FrameworkId, str]) -> bool:
    """Whether a framework in a role wants some of what an offer lends, and may have all of it."""
    framework_id, role = taker
    if policy_of(state, role).sharers < 2:
        return False
    supply = Supply(offer.agent_id, offer.resources)
    return wishes.part_for(framework_id, role, supply, {}) is not None


def rival_of(offer: Offer, offer_id: OfferId, taker: tuple[FrameworkId, str], now_ns: int) -> Offer:
    """Return the offer of the same resources to another framework."""
    framework_id, role = taker
    return Offer(
        id=offer_id,
        framework_id=framework_id,
        agent_id=offer.agent_id,
        role=role,
        resources=offer.resources,
        made_ns=now_ns,
        rival_of=offer.id,
        is_shared=True,
    )
