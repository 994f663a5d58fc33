"""Soft events: changes of what only the leader knows, folded into its head and never logged."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from master.allocator.allocate import Ledger
from master.core import asked, lending, observers, standing, touched
from master.core.alarms import AlarmKind
from master.core.observers import ObserverEvent, forget_observer, note_change
from master.core.records import Offer, Refusal, Zone
from master.core.standing import StandingEvent
from master.core.state import Soft, State
from master.core.touched import LookEvent
from protocol.ids import AgentId, FrameworkId, OfferId
from protocol.messages.framework import OfferFilter
from rlog.spaces.alarms import AlarmsTaken
from rlog.spaces.commands import LeaseRuns

TAKEN_MAX = 10_000  # remembered, so that a late accept hears why it is refused

K = TypeVar("K")
E = TypeVar("E")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class LeadershipBegun:
    """From here on the leader's own knowledge is complete."""


@dataclass(frozen=True, slots=True)
class OfferMade:
    offer: Offer


@dataclass(frozen=True, slots=True)
class OfferClosed:
    """The offer was accepted, declined or rescinded: nothing of it is lent any more.

    `is_taken`: it was shared, and accepted by somebody else.
    """

    offer_id: OfferId
    is_taken: bool = False


@dataclass(frozen=True, slots=True)
class AgentRefused:
    framework_id: FrameworkId
    role: str
    agent_id: AgentId
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class RefusalEnded:
    framework_id: FrameworkId
    role: str
    agent_id: AgentId


@dataclass(frozen=True, slots=True)
class RefusalsCleared:
    framework_id: FrameworkId
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AgentAttached:
    agent_id: AgentId
    link: int
    can_resize: bool = False


@dataclass(frozen=True, slots=True)
class AgentDetached:
    agent_id: AgentId


@dataclass(frozen=True, slots=True)
class FrameworkAttached:
    framework_id: FrameworkId
    link: int
    filters: tuple[OfferFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class FrameworkDetached:
    framework_id: FrameworkId


@dataclass(frozen=True, slots=True)
class AlarmSet:
    kind: AlarmKind
    key: tuple[str, ...]
    at_ns: int


@dataclass(frozen=True, slots=True)
class AgentOverdue:
    """The agent has been silent for too long, and waits to be given up."""

    agent_id: AgentId


@dataclass(frozen=True, slots=True)
class AgentHandled:
    """The agent was given up."""

    agent_id: AgentId


@dataclass(frozen=True, slots=True)
class ZonesHeld:
    """No agent of these zones is given up for now."""

    zones: tuple[Zone, ...]


@dataclass(frozen=True, slots=True)
class RemovalsCounted:
    counted_ns: int


@dataclass(frozen=True, slots=True)
class LedgerOpened:
    """Standings are kept from here on, until something closes the ledger."""

    ledger: Ledger


SoftEvent: TypeAlias = (
    LeadershipBegun
    | OfferMade
    | OfferClosed
    | AgentRefused
    | RefusalEnded
    | RefusalsCleared
    | AgentAttached
    | AgentDetached
    | AgentOverdue
    | AgentHandled
    | ZonesHeld
    | RemovalsCounted
    | FrameworkAttached
    | FrameworkDetached
    | AlarmSet
    | AlarmsTaken
    | StandingEvent
    | LookEvent
    | ObserverEvent
    | LedgerOpened
    | LeaseRuns
    | asked.AskedEvent
)


def apply_leadership_begun(state: State, event: LeadershipBegun) -> None:
    state.soft.is_leading = True


def apply_offer_made(state: State, event: OfferMade) -> None:
    soft, offer = state.soft, event.offer
    assert offer.id not in soft.offers
    soft.offers[offer.id] = offer
    soft.offers_made += 1
    soft.offers_by_agent.setdefault(offer.agent_id, {})[offer.id] = None
    soft.offers_by_framework.setdefault(offer.framework_id, {})[offer.id] = None
    if offer.rival_of:
        soft.rivals.setdefault(offer.rival_of, {})[offer.id] = None
    else:
        lending.lend(state, offer)
    standing.note_made(state, offer)
    note_change(soft, offer.agent_id, offer.made_ns)


def apply_offer_closed(state: State, event: OfferClosed) -> None:
    soft = state.soft
    offer = soft.offers.pop(event.offer_id)
    _drop(soft.offers_by_agent, offer.agent_id, offer.id)
    _drop(soft.offers_by_framework, offer.framework_id, offer.id)
    soft.alarms.cancel(AlarmKind.OFFER_OLD, (offer.id,))
    if offer.rival_of:
        _drop(soft.rivals, offer.rival_of, offer.id)
    else:
        lending.take_back(state, offer)
    standing.note_closed(state, offer)
    if event.is_taken:
        soft.offers_taken += 1
        soft.taken[offer.id] = None
        if len(soft.taken) > TAKEN_MAX:
            del soft.taken[next(iter(soft.taken))]


def apply_agent_refused(state: State, event: AgentRefused) -> None:
    refusals = state.soft.refusals.setdefault(event.framework_id, {})
    refusals[event.role, event.agent_id] = event.refusal
    key = (event.framework_id, event.role, event.agent_id)
    state.soft.alarms.set(AlarmKind.REFUSAL_ENDS, key, event.refusal.until_ns)


def apply_refusal_ended(state: State, event: RefusalEnded) -> None:
    soft = state.soft
    if (event.role, event.agent_id) in soft.refusals.get(event.framework_id, {}):
        _drop(soft.refusals, event.framework_id, (event.role, event.agent_id))
    key = (event.framework_id, event.role, event.agent_id)
    soft.alarms.cancel(AlarmKind.REFUSAL_ENDS, key)


def apply_refusals_cleared(state: State, event: RefusalsCleared) -> None:
    for role, agent_id in tuple(state.soft.refusals.get(event.framework_id, ())):
        if role in event.roles:
            apply_refusal_ended(state, RefusalEnded(event.framework_id, role, agent_id))


def apply_agent_attached(state: State, event: AgentAttached) -> None:
    state.soft.agent_links[event.agent_id] = event.link
    state.soft.resizers.pop(event.agent_id, None)
    if event.can_resize:
        state.soft.resizers[event.agent_id] = None
    state.soft.alarms.cancel(AlarmKind.AGENT_SILENT, (event.agent_id,))
    state.soft.alarms.cancel(AlarmKind.AGENT_REMOVAL, (event.agent_id,))
    state.soft.overdue.pop(event.agent_id, None)


def apply_agent_detached(state: State, event: AgentDetached) -> None:
    state.soft.agent_links.pop(event.agent_id, None)
    state.soft.idle.pop(event.agent_id, None)
    state.soft.resizers.pop(event.agent_id, None)
    note_change(state.soft, event.agent_id, state.now_ns)


def apply_agent_overdue(state: State, event: AgentOverdue) -> None:
    state.soft.overdue[event.agent_id] = None


def apply_agent_handled(state: State, event: AgentHandled) -> None:
    state.soft.overdue.pop(event.agent_id, None)


def apply_zones_held(state: State, event: ZonesHeld) -> None:
    state.soft.held = event.zones


def apply_removals_counted(state: State, event: RemovalsCounted) -> None:
    state.soft.removals_counted_ns = event.counted_ns


def apply_framework_attached(state: State, event: FrameworkAttached) -> None:
    state.soft.framework_links[event.framework_id] = event.link
    state.soft.ledger = None
    standing.forget(state, event.framework_id)
    forget_observer(state.soft, event.framework_id)
    if event.filters:
        state.soft.filters[event.framework_id] = event.filters
    state.soft.alarms.cancel(AlarmKind.FRAMEWORK_ABSENT, (event.framework_id,))


def apply_framework_detached(state: State, event: FrameworkDetached) -> None:
    state.soft.framework_links.pop(event.framework_id, None)
    apply_asked(state, asked.TakerKnown(event.framework_id, takes_inverse=False))
    state.soft.ledger = None
    standing.forget(state, event.framework_id)
    forget_observer(state.soft, event.framework_id)


def apply_alarm_set(state: State, event: AlarmSet) -> None:
    state.soft.alarms.set(event.kind, event.key, event.at_ns)


def apply_alarms_taken(state: State, event: AlarmsTaken) -> None:
    state.soft.alarms.take(event.count, event.now_ns)


def apply_ledger_opened(state: State, event: LedgerOpened) -> None:
    state.soft.ledger = event.ledger


def apply_lease_runs(state: State, event: LeaseRuns) -> None:
    state.soft.alarms.set(AlarmKind.LEASE_ENDS, (event.space, event.name), event.until_ns)


def apply_asked(state: State, event: asked.AskedEvent) -> None:
    asked.APPLY[type(event)](state.soft.asked, event)


def drop_soft(state: State) -> None:
    """Forget all of it, at gain or loss of leadership."""
    state.soft = Soft()


def _drop(index: dict[K, dict[E, V]], key: K, entry: E) -> None:
    """Take an entry out of an index, and the whole list with its last entry."""
    del index[key][entry]
    if not index[key]:
        del index[key]


APPLY: dict[type, Callable[[State, Any], None]] = {
    **standing.APPLY,
    **observers.APPLY,
    **touched.APPLY,
    LeadershipBegun: apply_leadership_begun,
    OfferMade: apply_offer_made,
    OfferClosed: apply_offer_closed,
    AgentRefused: apply_agent_refused,
    RefusalEnded: apply_refusal_ended,
    RefusalsCleared: apply_refusals_cleared,
    AgentAttached: apply_agent_attached,
    AgentDetached: apply_agent_detached,
    AgentOverdue: apply_agent_overdue,
    AgentHandled: apply_agent_handled,
    ZonesHeld: apply_zones_held,
    RemovalsCounted: apply_removals_counted,
    FrameworkAttached: apply_framework_attached,
    FrameworkDetached: apply_framework_detached,
    AlarmSet: apply_alarm_set,
    AlarmsTaken: apply_alarms_taken,
    LedgerOpened: apply_ledger_opened,
    LeaseRuns: apply_lease_runs,
    **dict.fromkeys(asked.APPLY, apply_asked),
}
