"""Allocation: the pass that turns free resources into offers."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import islice

from master.allocator.allocate import Claimant, Grant, Ledger, Standings, Supply
from master.allocator.lottery import Lottery
from master.allocator.tree import MakeOrder
from master.core.alarms import AlarmKind
from master.core.draft import Draft, put
from master.core.records import Offer
from master.core.settings import Settings
from master.core.soft import LedgerOpened, OfferMade, PassDone
from master.core.state import State, charge, free_of, held_by_role, shared_capacity
from protocol.ids import AgentId, FrameworkId, OfferId
from protocol.messages import framework as wire
from protocol.resources import Resources


def draft_pass(draft: Draft, state: State) -> None:
    """Offer what the touched agents have free; what is too much is left to the next pass."""
    soft, settings = state.soft, draft.settings
    touched = tuple(islice(soft.touched, settings.pass_agents_max))
    withheld_before = tuple(islice(soft.withheld, settings.pass_withheld_max))
    agent_ids = tuple(dict.fromkeys((*touched, *withheld_before)))
    grants: tuple[Grant, ...] = ()
    withheld: tuple[str, ...] = ()
    supplies = _supplies(draft, state, agent_ids)
    if supplies:
        ledger = state.soft.ledger
        if ledger is None:
            ledger = open_ledger(state, draft.settings)
            draft.soft.append(LedgerOpened(ledger))
        allotment = ledger.allocate(supplies, Wishes(state, draft.settings, draft.now_ns))
        grants, withheld = allotment.grants, allotment.withheld
        for number, grant in enumerate(grants, start=1):
            _draft_offer(draft, state, grant, state.soft.offers_made + number)
    draft.soft.append(PassDone(agent_ids, tuple(map(AgentId, withheld))))
    is_more_withheld = len(withheld_before) < len(soft.withheld)
    if len(touched) < len(soft.touched) or (grants and is_more_withheld):
        draft.alarm(AlarmKind.ALLOCATION, (), 0)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What frameworks have refused for now, and what is too little for anybody."""

    state: State
    settings: Settings
    now_ns: int

    def is_refused(self, framework_id: str, role: str, supply: Supply) -> bool:
        of_framework = self.state.soft.refusals.get(FrameworkId(framework_id))
        if of_framework is None:
            return False
        refusal = of_framework.get((role, AgentId(supply.agent_id)))
        return (
            refusal is not None
            and refusal.until_ns > self.now_ns
            and refusal.resources.contains(supply.resources)
        )

    def is_worth_offering(self, resources: Resources) -> bool:
        return _is_worth_offering(self.settings, resources)


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
        offered = state.soft.offered.get(framework_id, {})
        for role in framework.roles:
            if role not in framework.suppressed:
                amounts = dict(framework.allocated.get(role, {}))
                charge(amounts, offered.get(role, {}))
                claimants.append(Claimant(framework_id, role, amounts))
    return Standings(
        total={name: all_ for name, all_ in shared_capacity(state).items() if name not in excludes},
        held=held_by_role(state),
        weights_milli=state.weights,
        quotas=state.quotas,
        capacity=state.capacity,
        claimants=tuple(claimants),
    )


def _supplies(draft: Draft, state: State, agent_ids: Iterable[AgentId]) -> list[Supply]:
    """Return what is worth offering; an agent whose link is gone may be gone itself."""
    supplies = []
    for agent_id in agent_ids:
        if agent_id in state.soft.agent_links:
            free = free_of(state, state.agents[agent_id])
            if _is_worth_offering(draft.settings, free):
                supplies.append(Supply(agent_id, free))
    return supplies


def _is_worth_offering(settings: Settings, free: Resources) -> bool:
    scalars = free.scalars
    return (
        scalars.get("cpus", 0) >= settings.cpus_min
        and scalars.get("mem", 0) >= settings.memory_bytes_min
    )


def _draft_offer(draft: Draft, state: State, grant: Grant, number: int) -> None:
    agent = state.agents[AgentId(grant.supply.agent_id)]
    framework_id = FrameworkId(grant.framework_id)
    # Leaderships, not terms: one term may be taken over twice, and no offer id may come again.
    offer_id = OfferId(f"o{state.leaderships}-{number}")
    resources = grant.supply.resources
    offer = Offer(offer_id, framework_id, agent.id, grant.role, resources, draft.now_ns)
    draft.soft.append(OfferMade(offer))
    draft.alarm(AlarmKind.OFFER_OLD, (offer_id,), draft.settings.offer_timeout_ns)
    put(draft.offers, framework_id, offer_of(state, offer))


def offer_of(state: State, offer: Offer) -> wire.Offer:
    """Return the offer as the framework sees it."""
    agent = state.agents[offer.agent_id]
    return wire.Offer(
        offer_id=offer.id,
        agent_id=agent.id,
        hostname=agent.hostname,
        address=agent.address,
        role=offer.role,
        resources=offer.resources,
        attributes=agent.attributes,
    )
