"""Touched: which agents the allocator, and bookings, have to look at again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from master.core.alarms import AlarmKind
from master.core.observers import note_change
from master.core.state import Soft, State
from protocol.ids import AgentId
from protocol.resources import Resources


@dataclass(frozen=True, slots=True)
class AgentsTouched:
    """Something about these agents may make an offer possible."""

    agent_ids: tuple[AgentId, ...]
    pass_ns: int  # when to look, at the latest


@dataclass(frozen=True, slots=True)
class AllTouched:
    """A framework wants more than before, so that every agent is worth a look."""

    pass_ns: int


@dataclass(frozen=True, slots=True)
class AllIdleTouched:
    """What nobody wanted before, somebody may want now."""

    pass_ns: int


@dataclass(frozen=True, slots=True)
class PassDone:
    """The allocator has looked at these agents: something of some was kept back for quotas, and
    nobody wanted what is left of others.
    """

    agent_ids: tuple[AgentId, ...]
    withheld: tuple[AgentId, ...] = ()
    idle: tuple[tuple[AgentId, Resources], ...] = ()


@dataclass(frozen=True, slots=True)
class BookingsTouched:
    """What is booked may have changed on every agent."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class BookingsSeen:
    """These agents give what is booked of them, as far as they can now."""

    agent_ids: tuple[AgentId, ...]


LookEvent: TypeAlias = (
    AgentsTouched | AllTouched | AllIdleTouched | PassDone | BookingsTouched | BookingsSeen
)


def apply_agents_touched(state: State, event: AgentsTouched) -> None:
    for agent_id in event.agent_ids:
        state.soft.touched[agent_id] = None
        note_change(state.soft, agent_id, event.pass_ns)
    _call_pass(state.soft, event.pass_ns)
    if state.bookings:
        state.soft.unbooked |= dict.fromkeys(event.agent_ids)
        _call_look(state.soft, event.pass_ns - 1)


def apply_all_touched(state: State, event: AllTouched) -> None:
    for agent_id in state.soft.agent_links:
        state.soft.touched[agent_id] = None
    _call_pass(state.soft, event.pass_ns)


def apply_all_idle_touched(state: State, event: AllIdleTouched) -> None:
    for agent_id in state.soft.idle:
        state.soft.touched[agent_id] = None
    _call_pass(state.soft, event.pass_ns)


def apply_pass_done(state: State, event: PassDone) -> None:
    soft = state.soft
    for agent_id in event.agent_ids:
        soft.touched.pop(agent_id, None)
        soft.withheld.pop(agent_id, None)
        soft.idle.pop(agent_id, None)
    soft.withheld |= dict.fromkeys(event.withheld)
    soft.idle.update(event.idle)


def apply_bookings_touched(state: State, event: BookingsTouched) -> None:
    state.soft.unbooked |= dict.fromkeys(state.agents)
    _call_look(state.soft, event.at_ns)


def apply_bookings_seen(state: State, event: BookingsSeen) -> None:
    for agent_id in event.agent_ids:
        state.soft.unbooked.pop(agent_id, None)


def _call_look(soft: Soft, at_ns: int) -> None:
    """See to bookings just before the pass would lend what they need."""
    subject = (AlarmKind.BOOKINGS_DUE, ())
    if soft.unbooked:
        soft.alarms.set(*subject, min(at_ns, soft.alarms.wanted.get(subject, at_ns)))


def _call_pass(soft: Soft, at_ns: int) -> None:
    subject = (AlarmKind.ALLOCATION, ())
    if soft.touched:
        soft.alarms.set(*subject, min(at_ns, soft.alarms.wanted.get(subject, at_ns)))


APPLY: dict[type, Callable[[State, Any], None]] = {
    AgentsTouched: apply_agents_touched,
    AllTouched: apply_all_touched,
    AllIdleTouched: apply_all_idle_touched,
    PassDone: apply_pass_done,
    BookingsTouched: apply_bookings_touched,
    BookingsSeen: apply_bookings_seen,
}
