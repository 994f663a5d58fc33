"""Observers: frameworks that are told what all agents have free, the newest of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from master.core.alarms import AlarmKind
from master.core.records import Observer
from master.core.state import Soft, State
from protocol.ids import AgentId, FrameworkId


@dataclass(frozen=True, slots=True)
class ObserverSet:
    """From here on the framework observes, beginning with everything."""

    framework_id: FrameworkId
    role: str


@dataclass(frozen=True, slots=True)
class ViewSent:
    """The framework is told of these agents."""

    framework_id: FrameworkId
    role: str
    agent_ids: tuple[AgentId, ...]


@dataclass(frozen=True, slots=True)
class PlacementsCounted:
    """A transaction was decided."""

    made: int
    lost: int


ObserverEvent: TypeAlias = ObserverSet | ViewSent | PlacementsCounted


def apply_observer_set(state: State, event: ObserverSet) -> None:
    observer = Observer(pending=dict.fromkeys(state.soft.agent_links))
    state.soft.observers[event.framework_id, event.role] = observer


def apply_view_sent(state: State, event: ViewSent) -> None:
    observer = state.soft.observers.get((event.framework_id, event.role))
    if observer is not None:
        observer.is_first = False
        for agent_id in event.agent_ids:
            observer.pending.pop(agent_id, None)


def apply_placements_counted(state: State, event: PlacementsCounted) -> None:
    state.soft.placements_made += event.made
    state.soft.placements_lost += event.lost


def note_change(soft: Soft, agent_id: AgentId, at_ns: int) -> None:
    """Something about an agent is different: whoever plans with it will want to know."""
    if not soft.observers:
        return
    soft.versions[agent_id] = soft.versions.get(agent_id, 1) + 1
    for observer in soft.observers.values():
        observer.pending[agent_id] = None
    subject = (AlarmKind.VIEWS_DUE, ())
    soft.alarms.set(*subject, min(at_ns, soft.alarms.wanted.get(subject, at_ns)))


def forget_observer(soft: Soft, framework_id: FrameworkId) -> None:
    """Tell a framework nothing any more."""
    for key in [key for key in soft.observers if key[0] == framework_id]:
        del soft.observers[key]


APPLY: dict[type, Callable[[State, Any], None]] = {
    ObserverSet: apply_observer_set,
    ViewSent: apply_view_sent,
    PlacementsCounted: apply_placements_counted,
}
