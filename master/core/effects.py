"""What the master's core asks the shell to send; each is a hint that may be lost.

The shell performs the effects of one decision in their order and, when the addressee has no open
link, drops them: `tick` and `reconcile` find what is outstanding again.
"""

from dataclasses import dataclass
from typing import TypeAlias

from master.core.records import Zone
from protocol.ids import AgentId, FrameworkId, OfferId
from protocol.messages.agent import (
    AgentRegistered,
    Kill,
    Launch,
    Resize,
    StatusAcknowledgement,
)
from protocol.messages.framework import ClusterView, InverseOffer, Offer, Recall
from protocol.messages.values import OperationStatus, TaskStatus, Volume
from rlog.spaces.commands import SpaceTouched


@dataclass(frozen=True, slots=True)
class SendOffers:
    framework_id: FrameworkId
    offers: tuple[Offer, ...]


@dataclass(frozen=True, slots=True)
class SendView:
    framework_id: FrameworkId
    view: ClusterView


@dataclass(frozen=True, slots=True)
class SendRescinded:
    framework_id: FrameworkId
    offers: tuple[OfferId, ...]


@dataclass(frozen=True, slots=True)
class SendInverseOffers:
    framework_id: FrameworkId
    offers: tuple[InverseOffer, ...]


@dataclass(frozen=True, slots=True)
class SendInverseRescinded:
    framework_id: FrameworkId
    offers: tuple[OfferId, ...]


@dataclass(frozen=True, slots=True)
class SendUpdates:
    """Statuses for the framework; those with sequence 0 are answers, not to be acknowledged."""

    framework_id: FrameworkId
    statuses: tuple[TaskStatus, ...]


@dataclass(frozen=True, slots=True)
class EvictFramework:
    """Say `FrameworkFailed(reason, text)` on one link of the framework, then close that link.

    `link` is the number that came with the `SubscribeFramework` of that link, so that the older
    of two schedulers is evicted and not the newer.
    """

    framework_id: FrameworkId
    reason: str
    text: str
    link: int


@dataclass(frozen=True, slots=True)
class AnswerAgent:
    """Let the link of this number speak for the agent from now on, and tell it so."""

    agent_id: AgentId
    answer: AgentRegistered
    link: int


@dataclass(frozen=True, slots=True)
class RefuseAgent:
    """Let the agent's link speak for it no more, and say so with the reason."""

    agent_id: AgentId
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class TellHeld:
    """Say to operators of which zones no agent is given up now; none: of all of them again."""

    zones: tuple[Zone, ...]


@dataclass(frozen=True, slots=True)
class SendLaunch:
    agent_id: AgentId
    launches: tuple[Launch, ...]


@dataclass(frozen=True, slots=True)
class SendKill:
    agent_id: AgentId
    kills: tuple[Kill, ...]


@dataclass(frozen=True, slots=True)
class SendResize:
    agent_id: AgentId
    resizes: tuple[Resize, ...]


@dataclass(frozen=True, slots=True)
class SendAcknowledge:
    agent_id: AgentId
    acknowledgements: tuple[StatusAcknowledgement, ...]


@dataclass(frozen=True, slots=True)
class SendRecalls:
    """Ask the framework to end preemptible tasks."""

    framework_id: FrameworkId
    recalls: tuple[Recall, ...]


@dataclass(frozen=True, slots=True)
class SendOperations:
    """How operations of the framework went."""

    framework_id: FrameworkId
    statuses: tuple[OperationStatus, ...]


@dataclass(frozen=True, slots=True)
class KeepVolumes:
    """Have the agent make these volumes, or give them another size."""

    agent_id: AgentId
    volumes: tuple[Volume, ...]


@dataclass(frozen=True, slots=True)
class RemoveVolumes:
    """Have the agent delete these volumes, and all that is in them."""

    agent_id: AgentId
    volumes: tuple[Volume, ...]


Effect: TypeAlias = (
    SendOperations
    | KeepVolumes
    | RemoveVolumes
    | SendOffers
    | SendRescinded
    | SendInverseOffers
    | SendRecalls
    | SendInverseRescinded
    | SendView
    | SendUpdates
    | EvictFramework
    | AnswerAgent
    | RefuseAgent
    | TellHeld
    | SendLaunch
    | SendKill
    | SendResize
    | SendAcknowledge
    | SpaceTouched
)
