"""Allocation: the pass that turns free resources into offers."""

from collections.abc import Iterable
from functools import partial
from itertools import islice

from master.allocator.allocate import Allotment, Claimant, Grant, Ledger, Standings, Stock, Supply
from master.allocator.demand import Demand
from master.allocator.lottery import Lottery
from master.allocator.tree import MakeOrder
from master.core.alarms import AlarmKind
from master.core.booked import announcements_of
from master.core.disks import users_of
from master.core.draft import Draft, put
from master.core.policies import policy_of
from master.core.records import Agent, Offer
from master.core.rivals import (
    find_rivals,
    group_of,
    may_share,
    open_to_rivals,
    rival_of,
    room_of,
)
from master.core.settings import Settings
from master.core.soft import LedgerOpened, OfferMade
from master.core.standing import is_resting
from master.core.state import (
    State,
    charge,
    charged_by_role,
    free_of,
    held_by_role,
    idle_of,
    shared_capacity,
    unavailability_of,
)
from master.core.touched import AllIdleTouched, PassDone
from master.core.wishes import Wishes
from protocol.ids import AgentId, FrameworkId, OfferId
from protocol.messages import framework as wire
from protocol.messages.values import Draw
from protocol.resources import Resources


def draft_pass(draft: Draft, state: State) -> None:
    """Offer what the touched agents have free; what is too much is left to the next pass."""
    soft, settings = state.soft, draft.settings
    touched = tuple(islice(soft.touched, settings.pass_agents_max))
    withheld_before = tuple(islice(soft.withheld, settings.pass_withheld_max))
    agent_ids = tuple(dict.fromkeys((*touched, *withheld_before)))
    allotment = Allotment(())
    wishes = Wishes(state, settings, draft.now_ns)
    supplies = _supplies(state, agent_ids, wishes)
    shared = list(open_to_rivals(state, agent_ids))
    if supplies or shared:
        ledger = soft.ledger
        if ledger is None:
            ledger = open_ledger(state, settings)
            draft.soft.append(LedgerOpened(ledger))
        allotment = ledger.allocate(supplies, wishes)
        made = draft_offers(draft, state, allotment.grants)
        shared += [(each, room_of(state, each)) for each in made if each.is_shared]
        draft_rivals(draft, state, shared, (ledger, wishes))
    idle = _left_of(supplies, allotment.grants, wishes)
    draft.soft.append(PassDone(agent_ids, tuple(map(AgentId, allotment.withheld)), idle))
    is_more_withheld = len(withheld_before) < len(soft.withheld)
    if len(touched) < len(soft.touched) or (allotment.grants and is_more_withheld):
        draft.alarm(AlarmKind.ALLOCATION, (), 0)


def draft_answer(
    draft: Draft, state: State, framework_id: FrameworkId, stated: tuple[str, Demand]
) -> bool:
    """Offer a framework what it has just said that it wants, of what nobody else wanted.

    What is too much to look at is left to the next pass. Returns whether that was all it wants.
    """
    soft, settings, (role, demand) = state.soft, draft.settings, stated
    if soft.ledger is None:
        draft.soft.append(AllIdleTouched(draft.now_ns))
        return demand.is_met
    wishes = Wishes(state, settings, draft.now_ns)
    left = wishes.state_demand(framework_id, role, demand)
    looked_at = tuple(islice(soft.idle.items(), settings.request_agents_max))
    fitting = (
        agent_id
        for agent_id, rest in looked_at
        if agent_id not in soft.touched and demand.may_use(rest.quantities)
    )
    agent_ids = tuple(islice(fitting, settings.request_offers_max))
    supplies = _supplies(state, agent_ids, wishes)
    allotment = soft.ledger.allocate(supplies, wishes, only=(framework_id, role))
    draft_offers(draft, state, allotment.grants)
    _draft_shares(draft, state, (framework_id, role), wishes)
    withheld = tuple(each for each in agent_ids if each in soft.withheld)
    idle = _left_of(supplies, allotment.grants, wishes)
    draft.soft.append(PassDone(agent_ids, withheld, idle))
    is_more = len(looked_at) < len(soft.idle) or len(agent_ids) == settings.request_offers_max
    if any(left) and is_more:
        draft.soft.append(AllIdleTouched(draft.now_ns + settings.allocation_delay_ns))
    return not any(left)


def draft_offers(draft: Draft, state: State, grants: Iterable[Grant]) -> list[Offer]:
    """Make an offer of each grant; return them."""
    made = []
    for grant in grants:
        supply = grant.supply
        offer = Offer(
            id=_next_id(draft, state),
            framework_id=FrameworkId(grant.framework_id),
            agent_id=AgentId(supply.agent_id),
            role=grant.role,
            resources=supply.everything,
            made_ns=draft.now_ns,
            draws=tuple(
                Draw(each.reservation, each.resources) for each in supply.reserved if each.resources
            ),
            volumes=tuple(name for each in supply.reserved for name in each.volumes),
            is_shared=not supply.reserved and policy_of(state, grant.role).sharers > 1,
        )
        _draft_offer(draft, state, offer)
        made.append(offer)
    if state.soft.demands and (AlarmKind.DEMAND_WAITS, ()) not in state.soft.alarms.wanted:
        draft.alarm(AlarmKind.DEMAND_WAITS, (), draft.settings.offer_yield_ns)
    return made


def draft_rivals(
    draft: Draft,
    state: State,
    offers: Iterable[tuple[Offer, int]],
    means: tuple[Ledger, Wishes],
) -> None:
    """Offer what these lend to so many others too."""
    ledger, wishes = means
    for offer, room in offers:
        for taker in find_rivals(state, ledger, wishes, offer, room):
            _draft_offer(draft, state, rival_of(offer, _next_id(draft, state), taker, draft.now_ns))


def _draft_shares(
    draft: Draft, state: State, taker: tuple[FrameworkId, str], wishes: Wishes
) -> None:
    """Offer a framework what is lent to others, where policies allow it."""
    framework_id, _ = taker
    looked_at = tuple(islice(state.soft.offers_by_agent, draft.settings.request_agents_max))
    made = 0
    for offer, _ in open_to_rivals(state, looked_at):
        is_its = any(each.framework_id == framework_id for each in group_of(state, offer))
        if not is_its and may_share(state, wishes, offer, taker):
            _draft_offer(draft, state, rival_of(offer, _next_id(draft, state), taker, draft.now_ns))
            made += 1
            if made == draft.settings.request_offers_max:
                return


def open_ledger(state: State, settings: Settings) -> Ledger:
    """Return everybody's standing as it is now."""
    make_order: MakeOrder | None = None
    if settings.sorter == "random":
        make_order = partial(Lottery, f"{state.leaderships} {state.soft.offers_made}")
    return Ledger(standings(state, settings.fairness_excludes), make_order)


def standings(state: State, excludes: frozenset[str] = frozenset()) -> Standings:
    """Return what everybody has and who wants more; what is excluded counts for nothing."""
    claimants: list[Claimant] = []
    for framework_id in state.soft.framework_links:
        framework = state.frameworks[framework_id]
        if framework.has_left:
            continue
        offered = state.soft.offered.get(framework_id, {})
        for role in framework.roles:
            if role not in framework.suppressed and not policy_of(state, role).is_open:
                amounts = dict(framework.allocated.get(role, {}))
                charge(amounts, offered.get(role, {}))
                resting = is_resting(state, framework_id, role)
                claimants.append(Claimant(framework_id, role, amounts, resting))
    return Standings(
        total={name: all_ for name, all_ in shared_capacity(state).items() if name not in excludes},
        held=held_by_role(state),
        weights_milli=state.weights,
        quotas=state.quotas,
        capacity=state.capacity,
        charged=charged_by_role(state) if state.quotas else None,
        claimants=tuple(claimants),
    )


def _supplies(state: State, agent_ids: Iterable[AgentId], wishes: Wishes) -> list[Supply]:
    """Return what is worth offering; an agent whose link is gone may be gone itself."""
    supplies = []
    for agent_id in agent_ids:
        if agent_id in state.soft.agent_links and state.agents[agent_id].is_active:
            supply = supply_of(state, state.agents[agent_id])
            if supply.reserved or wishes.is_worth_offering(supply.resources):
                supplies.append(supply)
    return supplies


def supply_of(state: State, agent: Agent) -> Supply:
    """Return what an agent has to offer: to everybody, and to those it is reserved for."""
    free = free_of(state, agent)
    if not agent.reservations:
        return Supply(agent.id, free)
    volumes = _free_volumes(state, agent) if agent.volumes else {}
    stocks = [
        Stock(name, agent.reservations[name].role, idle, *volumes.get(name, ((), 0)))
        for name, idle in idle_of(state, agent).items()
        if (idle or name in volumes) and not agent.reservations[name].is_ending
    ]
    return Supply(agent.id, free, tuple(stocks))


def _left_of(
    supplies: Iterable[Supply], grants: Iterable[Grant], wishes: Wishes
) -> tuple[tuple[AgentId, Resources], ...]:
    """Return what the grants leave of the supplies, where that is worth offering."""
    left = {AgentId(each.agent_id): each for each in supplies}
    for grant in grants:
        agent_id = AgentId(grant.supply.agent_id)
        left[agent_id] = left[agent_id].less(grant.supply)
    return tuple(
        (agent_id, rest.everything)
        for agent_id, rest in left.items()
        if rest.reserved or wishes.is_worth_offering(rest.resources)
    )


def _free_volumes(state: State, agent: Agent) -> dict[str, tuple[tuple[str, ...], int]]:
    """Return by reservation the volumes that may be lent: made, and not lent or used by others."""
    lent: dict[str, None] = {}
    for offer_id in state.soft.offers_by_agent.get(agent.id, ()):
        lent |= dict.fromkeys(state.soft.offers[offer_id].volumes)
    free: dict[str, tuple[tuple[str, ...], int]] = {}
    for name, volume in agent.volumes.items():
        if volume.is_doomed or not volume.kept_bytes or name in lent:
            continue
        if volume.is_shared or not users_of(state, agent, name):
            names, size_bytes = free.get(volume.reservation, ((), 0))
            free[volume.reservation] = ((*names, name), size_bytes + volume.held_bytes)
    return free


def _next_id(draft: Draft, state: State) -> OfferId:
    """Return an offer id that was never given: one term may be taken over twice, so no terms."""
    draft.offers_made += 1
    return OfferId(f"o{state.leaderships}-{state.soft.offers_made + draft.offers_made}")


def _draft_offer(draft: Draft, state: State, offer: Offer) -> None:
    draft.soft.append(OfferMade(offer))
    draft.alarm(AlarmKind.OFFER_OLD, (offer.id,), draft.settings.offer_timeout_ns)
    put(draft.offers, offer.framework_id, offer_of(state, offer))


def offer_of(state: State, offer: Offer) -> wire.Offer:
    """Return the offer as the framework sees it."""
    agent = state.agents[offer.agent_id]
    absence = unavailability_of(state, agent)
    return wire.Offer(
        offer_id=offer.id,
        agent_id=agent.id,
        hostname=agent.hostname,
        address=agent.address,
        role=offer.role,
        resources=offer.resources,
        attributes=agent.attributes,
        reserved=tuple(
            agent.reservations[draw.reservation].tell(draw.resources) for draw in offer.draws
        ),
        bookings=announcements_of(state, agent, offer.role) if state.bookings else (),
        volumes=tuple(
            agent.volumes[name].tell(agent.reservations[agent.volumes[name].reservation].role)
            for name in offer.volumes
        ),
        is_shared=offer.is_shared,
        unavailable_ns=absence.from_ns if absence else 0,
        available_ns=absence.until_ns if absence else 0,
    )
