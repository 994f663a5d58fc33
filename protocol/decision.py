"""What a core answers to a command: a decision with its consequences, or a refusal."""

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

EventT_co = TypeVar("EventT_co", covariant=True)
EffectT_co = TypeVar("EffectT_co", covariant=True)
ReplyT_co = TypeVar("ReplyT_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Decision(Generic[EventT_co, EffectT_co, ReplyT_co]):
    """What follows from a command, in the order in which it takes hold."""

    events: tuple[EventT_co, ...] = ()  # logged; the state of every replica
    soft: tuple[object, ...] = ()  # the leader's head only, never logged
    effects: tuple[EffectT_co, ...] = ()  # performed once the events are committed
    reply: ReplyT_co | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The domain says no: nothing changes."""

    reason: Enum
    text: str = ""
