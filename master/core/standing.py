"""Standing: what each framework has said that it wants, and whether it is passed by for now."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from master.allocator.demand import Demand
from master.core.records import Agent, BackOff, Offer, Reclaim
from master.core.state import State, charge
from protocol.ids import AgentId, FrameworkId, TaskKey
from protocol.resources import Resources

TASKS = ""  # no resource has this name


@dataclass(frozen=True, slots=True)
class DemandStated:
    """This is what the framework wants in a role, whatever it said before."""

    framework_id: FrameworkId
    role: str
    demand: Demand


@dataclass(frozen=True, slots=True)
class DemandServed:
    """The framework has launched these tasks."""

    framework_id: FrameworkId
    role: str
    tasks: tuple[Resources, ...]


@dataclass(frozen=True, slots=True)
class BackOffSet:
    framework_id: FrameworkId
    role: str
    back_off: BackOff


@dataclass(frozen=True, slots=True)
class BackOffCleared:
    """The framework has used something of what it was offered."""

    framework_id: FrameworkId
    role: str


@dataclass(frozen=True, slots=True)
class ReclaimBegun:
    task: TaskKey
    reclaim: Reclaim


@dataclass(frozen=True, slots=True)
class ReclaimEnded:
    """The task has ended, or is not needed any more."""

    task: TaskKey


StandingEvent: TypeAlias = (
    DemandStated | DemandServed | BackOffSet | BackOffCleared | ReclaimBegun | ReclaimEnded
)


def apply_demand_stated(state: State, event: DemandStated) -> None:
    state.soft.demands.setdefault(event.framework_id, {})[event.role] = event.demand
    settle(state, event.framework_id, event.role)


def apply_demand_served(state: State, event: DemandServed) -> None:
    demand = demand_of(state, event.framework_id, event.role)
    if demand is not None:
        for each in event.tasks:
            demand.launched(each.quantities)
        settle(state, event.framework_id, event.role)


def apply_back_off_set(state: State, event: BackOffSet) -> None:
    state.soft.back_offs.setdefault(event.framework_id, {})[event.role] = event.back_off
    settle(state, event.framework_id, event.role)


def apply_back_off_cleared(state: State, event: BackOffCleared) -> None:
    by_role = state.soft.back_offs[event.framework_id]
    del by_role[event.role]
    if not by_role:
        del state.soft.back_offs[event.framework_id]
    settle(state, event.framework_id, event.role)


def apply_reclaim_begun(state: State, event: ReclaimBegun) -> None:
    state.soft.reclaims[event.task] = event.reclaim


def apply_reclaim_ended(state: State, event: ReclaimEnded) -> None:
    state.soft.reclaims.pop(event.task, None)


def cover_offers(state: State, framework_id: FrameworkId, role: str, demand: Demand) -> None:
    """Count the offers that are open for a new demand."""
    for offer_id in state.soft.offers_by_framework.get(framework_id, ()):
        offer = state.soft.offers[offer_id]
        if offer.role == role:
            demand.cover(offer.id, _agent_of(state, offer), offer.resources)


def note_made(state: State, offer: Offer) -> None:
    """Count an offer for what its framework wants."""
    demand = demand_of(state, offer.framework_id, offer.role)
    if demand is not None:
        demand.cover(offer.id, _agent_of(state, offer), offer.resources)
        settle(state, offer.framework_id, offer.role)


def note_closed(state: State, offer: Offer) -> None:
    """Count an offer no more."""
    demand = demand_of(state, offer.framework_id, offer.role)
    if demand is not None:
        demand.uncover(offer.id)
        settle(state, offer.framework_id, offer.role)


def forget(state: State, framework_id: FrameworkId) -> None:
    """Begin anew with a framework: another scheduler may want other things."""
    state.soft.demands.pop(framework_id, None)
    state.soft.back_offs.pop(framework_id, None)
    state.soft.filters.pop(framework_id, None)


def demand_of(state: State, framework_id: FrameworkId, role: str) -> Demand | None:
    """Return what a framework has said that it wants in a role, None when it never said."""
    by_role = state.soft.demands.get(framework_id)
    return None if by_role is None else by_role.get(role)


def back_off_of(state: State, framework_id: FrameworkId, role: str) -> BackOff | None:
    """Return how a framework has wasted offers in a role, None when it used the last ones."""
    by_role = state.soft.back_offs.get(framework_id)
    return None if by_role is None else by_role.get(role)


def wanted_by_role(state: State) -> dict[str, dict[str, int]]:
    """Return what is asked for in each role and not offered yet, and under `TASKS` how many."""
    wanted: dict[str, dict[str, int]] = {}
    for by_role in state.soft.demands.values():
        for role, demand in by_role.items():
            account = wanted.setdefault(role, {})
            for want, left in zip(demand.wants, demand.left, strict=True):
                sums = {name: left * amount for name, amount in want.amounts.items()}
                charge(account, sums | {TASKS: left} if left else {})
    return wanted


def is_resting(state: State, framework_id: FrameworkId, role: str) -> bool:
    """Whether a framework is given nothing in a role: it wants no more than it is offered, or it
    has been offered too much in vain.
    """
    demand = demand_of(state, framework_id, role)
    back_off = back_off_of(state, framework_id, role)
    return (demand is not None and demand.is_met) or (back_off is not None and back_off.is_paused)


def settle(state: State, framework_id: FrameworkId, role: str) -> None:
    """Let the kept ledger know."""
    if state.soft.ledger is not None:
        resting = is_resting(state, framework_id, role)
        state.soft.ledger.rest(framework_id, role, is_resting=resting)


def _agent_of(state: State, offer: Offer) -> tuple[AgentId, Agent]:
    return offer.agent_id, state.agents[offer.agent_id]


APPLY: dict[type, Callable[[State, Any], None]] = {
    DemandStated: apply_demand_stated,
    DemandServed: apply_demand_served,
    BackOffSet: apply_back_off_set,
    BackOffCleared: apply_back_off_cleared,
    ReclaimBegun: apply_reclaim_begun,
    ReclaimEnded: apply_reclaim_ended,
}
