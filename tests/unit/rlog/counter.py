"""A machine that counts, and can be told to fail in every place where a machine can."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import msgspec

from protocol.decision import Decision, Refused


class Reason(Enum):
    NEGATIVE = 1


@dataclass
class Count:
    now_ns: int = 0
    total: int = 0
    applied: list[int] = field(default_factory=list)
    terms: list[int] = field(default_factory=list)
    ticked_ns: list[int] = field(default_factory=list)
    due_ns: int | None = None
    soft: list[int] = field(default_factory=list)

    def durable(self) -> tuple[object, ...]:
        return self.now_ns, self.total, tuple(self.applied), tuple(self.terms), self.due_ns


@dataclass(frozen=True)
class Add:
    amount: int
    times: int = 1


@dataclass(frozen=True)
class Lend:
    """Only soft."""

    amount: int


@dataclass(frozen=True)
class Look:
    """Changes nothing."""


@dataclass(frozen=True)
class SetDue:
    due_ns: int


@dataclass(frozen=True)
class Fail:
    stage: str


@dataclass(frozen=True)
class TakeOver:
    term: int


@dataclass(frozen=True)
class Tick:
    pass


Command = Add | Lend | Look | SetDue | Fail | TakeOver | Tick
Event = tuple[str, int]


class Counter:
    """Events are (verb, number); effects are numbers; replies are the total so far."""

    def __init__(self) -> None:
        self.is_apply_broken = False
        self.take_over_refusal: Refused | None = None

    def empty(self) -> Count:
        return Count()

    def decide(
        self, state: Count, command: Command, now_ns: int
    ) -> Decision[Event, int, int] | Refused:
        assert state.now_ns == now_ns
        match command:
            case Add(amount, times):
                if amount < 0:
                    return Refused(Reason.NEGATIVE, "only up")
                events = tuple(("add", amount) for _ in range(times))
                return Decision(events, (), (amount,), state.total + amount * times)
            case Lend(amount):
                return Decision((), (amount,), (amount,), state.total)
            case Look():
                return Decision(reply=state.total)
            case SetDue(due_ns):
                return Decision((("due", due_ns),))
            case Fail("decide"):
                raise AssertionError("decide fails")
            case Fail(stage):
                return Decision((("add", 1), (stage, 0)), effects=(666,))
            case TakeOver(term):
                return self.take_over_refusal or Decision((("term", term),))
            case Tick():
                return Decision((("tick", 0),))

    def apply(self, state: Count, event: Event) -> None:
        verb, number = event
        assert not self.is_apply_broken
        match verb:
            case "add":
                state.total += number
                state.applied.append(number)
            case "term":
                state.terms.append(number)
            case "due":
                state.due_ns = number
            case "tick":
                state.ticked_ns.append(state.now_ns)
                state.due_ns = None
            case "encode":
                pass
            case _:
                raise AssertionError("apply fails")

    def apply_soft(self, state: Count, event: object) -> None:
        assert isinstance(event, int)
        state.soft.append(event)

    def drop_soft(self, state: Count) -> None:
        state.soft.clear()

    def take_over(self, term: int, address: str) -> Command:
        return TakeOver(term)

    def tick(self) -> Command:
        return Tick()

    def due(self, state: Count) -> int | None:
        return state.due_ns

    def encode(self, stamp_ns: int, events: Sequence[Event]) -> bytes:
        assert all(verb != "encode" for verb, _ in events)
        return msgspec.json.encode([stamp_ns, events])

    def decode(self, content: bytes) -> tuple[int, Sequence[Event]]:
        stamp_ns, events = msgspec.json.decode(content, type=tuple[int, list[Event]])
        return stamp_ns, events

    def dump(self, state: Count) -> bytes:
        return msgspec.json.encode(Count(**{**vars(state), "soft": []}))

    def load(self, content: bytes) -> Count:
        return msgspec.json.decode(content, type=Count)
