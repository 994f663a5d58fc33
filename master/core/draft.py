"""A decision while it is being put together: what goes to one addressee is gathered."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from master.core.alarms import AlarmKind
from master.core.effects import (
    AnswerAgent,
    Effect,
    EvictFramework,
    KeepVolumes,
    RefuseAgent,
    RemoveVolumes,
    SendAcknowledge,
    SendInverseOffers,
    SendInverseRescinded,
    SendKill,
    SendLaunch,
    SendOffers,
    SendOperations,
    SendRecalls,
    SendRescinded,
    SendResize,
    SendUpdates,
    SendView,
    TellHeld,
)
from master.core.events import Event
from master.core.settings import Settings
from master.core.soft import AlarmSet, SoftEvent
from master.core.touched import AgentsTouched
from master.core.validity import weigh_description
from protocol.decision import Decision, Refused
from protocol.ids import AgentId, FrameworkId, OfferId
from protocol.messages.agent import Kill, Launch, Resize, StatusAcknowledgement
from protocol.messages.framework import InverseOffer, Offer, Recall, Subscribed, Transacted
from protocol.messages.values import OperationStatus, TaskStatus, Volume
from rlog.spaces.commands import SpaceReply, SpaceTouched

ITEMS_MAX = 500  # of one effect, so that its frame stays small
BYTES_MAX = 256 << 10  # of launches in one effect; a frame takes 1 MiB


@dataclass(frozen=True, slots=True)
class ToBeContinued:
    """Replied when there is more to do than one entry of the log holds: decide it once more."""


@dataclass(frozen=True, slots=True)
class Said:
    """Replied to an operator: what was done."""

    text: str


Reply: TypeAlias = Subscribed | Transacted | ToBeContinued | SpaceReply | Said
Outcome: TypeAlias = Decision[Event, Effect, Reply] | Refused
K = TypeVar("K")
T = TypeVar("T")


@dataclass(slots=True)
class Errands:
    """What few decisions have to say."""

    operations: dict[FrameworkId, list[OperationStatus]] = field(default_factory=dict)
    kept: dict[AgentId, list[Volume]] = field(default_factory=dict)
    removed: dict[AgentId, list[Volume]] = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """Fill the lists, then take the decision."""

    now_ns: int
    settings: Settings
    events: list[Event] = field(default_factory=list)
    soft: list[SoftEvent] = field(default_factory=list)
    greetings: list[EvictFramework | AnswerAgent | RefuseAgent] = field(default_factory=list)
    rescinded: dict[FrameworkId, list[OfferId]] = field(default_factory=dict)
    acknowledgements: dict[AgentId, list[StatusAcknowledgement]] = field(default_factory=dict)
    updates: dict[FrameworkId, list[TaskStatus]] = field(default_factory=dict)
    launches: dict[AgentId, list[Launch]] = field(default_factory=dict)
    kills: dict[AgentId, list[Kill]] = field(default_factory=dict)
    resizes: dict[AgentId, list[Resize]] = field(default_factory=dict)
    offers: dict[FrameworkId, list[Offer]] = field(default_factory=dict)
    inverse_offers: dict[FrameworkId, list[InverseOffer]] = field(default_factory=dict)
    inverse_rescinded: dict[FrameworkId, list[OfferId]] = field(default_factory=dict)
    recalls: dict[FrameworkId, list[Recall]] = field(default_factory=dict)
    views: list[SendView] = field(default_factory=list)
    touched: list[SpaceTouched] = field(default_factory=list)
    closed: dict[OfferId, None] = field(default_factory=dict)
    notices: list[TellHeld] = field(default_factory=list)
    offers_made: int = 0
    _errands: Errands | None = None

    @property
    def errands(self) -> Errands:
        if self._errands is None:
            self._errands = Errands()
        return self._errands

    def decision(self, reply: Reply | None = None) -> Decision[Event, Effect, Reply]:
        return Decision(tuple(self.events), tuple(self.soft), tuple(self.effects()), reply)

    def alarm(self, kind: AlarmKind, key: tuple[str, ...], after_ns: int) -> None:
        """Be reminded."""
        self.soft.append(AlarmSet(kind, key, self.now_ns + after_ns))

    def touch(self, *agent_ids: AgentId) -> None:
        """Have the next allocation pass look at these agents."""
        pass_ns = self.now_ns + self.settings.allocation_delay_ns
        self.soft.append(AgentsTouched(agent_ids, pass_ns))

    def effects(self) -> Iterator[Effect]:
        """Return the effects in the order in which they make sense: volumes before the launches
        that use them, launches before kills.
        """
        yield from self.notices
        yield from self.greetings
        yield from _parcels(SendRescinded, self.rescinded)
        yield from _parcels(SendAcknowledge, self.acknowledgements)
        yield from _parcels(SendUpdates, self.updates)
        if self._errands is not None:
            yield from _parcels(SendOperations, self._errands.operations)
            yield from _parcels(KeepVolumes, self._errands.kept)
            yield from _parcels(RemoveVolumes, self._errands.removed)
        for agent_id, launches in self.launches.items():
            for part in _by_size(launches):
                yield SendLaunch(agent_id, part)
        yield from _parcels(SendKill, self.kills)
        yield from _parcels(SendResize, self.resizes)
        yield from _parcels(SendOffers, self.offers)
        yield from _parcels(SendInverseRescinded, self.inverse_rescinded)
        yield from _parcels(SendInverseOffers, self.inverse_offers)
        yield from _parcels(SendRecalls, self.recalls)
        yield from self.views
        yield from self.touched


def put(parcels: dict[K, list[T]], to: K, item: T) -> None:
    """Add to what goes to one addressee."""
    parcels.setdefault(to, []).append(item)


def _parcels(
    make: Callable[[K, tuple[T, ...]], Effect], parcels: dict[K, list[T]]
) -> Iterator[Effect]:
    for to, items in parcels.items():
        for begin in range(0, len(items), ITEMS_MAX):
            yield make(to, tuple(items[begin : begin + ITEMS_MAX]))


def _by_size(launches: Sequence[Launch]) -> Iterator[tuple[Launch, ...]]:
    part: list[Launch] = []
    size = 0
    for launch in launches:
        weight = weigh_description(launch.description)
        if part and (size + weight > BYTES_MAX or len(part) >= ITEMS_MAX):
            yield tuple(part)
            part, size = [], 0
        part.append(launch)
        size += weight
    if part:
        yield tuple(part)
