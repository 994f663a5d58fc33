"""Asked: which frameworks were asked to leave which agents, and what they said; soft state."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from protocol.ids import AgentId, FrameworkId, OfferId


@dataclass(frozen=True, slots=True)
class Inverse:
    """A framework is asked to have nothing on an agent from some time on."""

    id: OfferId
    framework_id: FrameworkId
    agent_id: AgentId
    unavailable_ns: int
    available_ns: int  # 0: not known
    is_accepted: bool = False
    is_declined: bool = False
    again_ns: int = 0  # when one that declined is asked again


@dataclass(slots=True)
class Asked:
    """One open inverse offer for each framework and agent."""

    inverse: dict[OfferId, Inverse] = field(default_factory=dict)
    by_agent: dict[AgentId, dict[FrameworkId, OfferId]] = field(default_factory=dict)
    made: int = 0
    takers: dict[FrameworkId, None] = field(default_factory=dict)  # linked, and able to answer


@dataclass(frozen=True, slots=True)
class InverseMade:
    inverse: Inverse


@dataclass(frozen=True, slots=True)
class InverseAnswered:
    offer_id: OfferId
    is_accepted: bool
    again_ns: int


@dataclass(frozen=True, slots=True)
class InverseClosed:
    """The framework has left the agent, or need not, or is gone itself."""

    offer_id: OfferId


@dataclass(frozen=True, slots=True)
class TakerKnown:
    """A linked framework can be asked, or cannot."""

    framework_id: FrameworkId
    takes_inverse: bool


AskedEvent: TypeAlias = InverseMade | InverseAnswered | InverseClosed | TakerKnown


def apply_inverse_made(asked: Asked, event: InverseMade) -> None:
    inverse = event.inverse
    of_agent = asked.by_agent.setdefault(inverse.agent_id, {})
    assert inverse.framework_id not in of_agent
    of_agent[inverse.framework_id] = inverse.id
    asked.inverse[inverse.id] = inverse
    asked.made += 1


def apply_inverse_answered(asked: Asked, event: InverseAnswered) -> None:
    inverse = asked.inverse[event.offer_id]
    asked.inverse[event.offer_id] = Inverse(
        id=inverse.id,
        framework_id=inverse.framework_id,
        agent_id=inverse.agent_id,
        unavailable_ns=inverse.unavailable_ns,
        available_ns=inverse.available_ns,
        is_accepted=event.is_accepted,
        is_declined=not event.is_accepted,
        again_ns=event.again_ns,
    )


def apply_inverse_closed(asked: Asked, event: InverseClosed) -> None:
    inverse = asked.inverse.pop(event.offer_id)
    of_agent = asked.by_agent[inverse.agent_id]
    del of_agent[inverse.framework_id]
    if not of_agent:
        del asked.by_agent[inverse.agent_id]


def apply_taker_known(asked: Asked, event: TakerKnown) -> None:
    """What a scheduler was asked over its last link, it is asked again over the next one."""
    if event.takes_inverse:
        asked.takers[event.framework_id] = None
    else:
        asked.takers.pop(event.framework_id, None)
    for inverse in tuple(asked.inverse.values()):
        if inverse.framework_id == event.framework_id:
            apply_inverse_closed(asked, InverseClosed(inverse.id))


APPLY: dict[type, Callable[[Asked, Any], None]] = {
    InverseMade: apply_inverse_made,
    InverseAnswered: apply_inverse_answered,
    InverseClosed: apply_inverse_closed,
    TakerKnown: apply_taker_known,
}
