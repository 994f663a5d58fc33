"""The state machine of a log by itself: spaces, their leases' ends, and who leads."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from protocol.decision import Decision, Refused
from rlog.alone.core import versions
from rlog.alone.core.events import LeadershipTaken, LogEvent, LogFounded, LogRestored
from rlog.alone.core.state import AlarmKind, Soft, State, dump, load
from rlog.spaces import commands
from rlog.spaces.alarms import AlarmsTaken
from rlog.spaces.commands import ChangeSpace, LeaseRuns, SpaceReply, SpaceTouched
from rlog.spaces.records import SpaceLimits, skip_revisions
from rlog.versions import needed_by

TICK_ALARMS_MAX = 256  # keeps a tick's turn of the loop short, and its entry in the log small


@dataclass(frozen=True, slots=True)
class TakeOver:
    """The first command of a leadership."""

    term: int
    address: str
    origin: str = ""  # the log's own id, which becomes its origin if this is the first


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: end the leases that were not renewed."""


Command: TypeAlias = TakeOver | Tick | ChangeSpace
Outcome: TypeAlias = Decision[LogEvent, SpaceTouched, SpaceReply] | Refused


@dataclass(frozen=True, slots=True)
class Machine:
    """What `rlog.loop` drives, but for the encoding of events, which the shell adds."""

    limits: SpaceLimits = field(default_factory=SpaceLimits)

    def empty(self) -> State:
        return State()

    def decide(self, state: State, command: Command, now_ns: int) -> Outcome:
        match command:
            case ChangeSpace():
                return commands.decide(state.spaces, command, now_ns, self.limits)
            case TakeOver():
                return _decide_take_over(state, command, now_ns)
            case Tick():
                return _decide_tick(state, now_ns)

    def apply(self, state: State, event: LogEvent) -> None:
        _APPLY[type(event)](state, event)
        if versions.SINCE:
            state.version = max(state.version, needed_by((event,), versions.SINCE))

    def apply_soft(self, state: State, event: object) -> None:
        match event:
            case LeaseRuns():
                key = (event.space, event.name)
                state.soft.alarms.set(AlarmKind.LEASE_ENDS, key, event.until_ns)
            case AlarmsTaken():
                state.soft.alarms.take(event.count, event.now_ns)

    def drop_soft(self, state: State) -> None:
        state.soft = Soft()

    def take_over(self, term: int, address: str) -> Command:
        return TakeOver(term, address)

    def tick(self) -> Command:
        return Tick()

    def due(self, state: State) -> int | None:
        return state.soft.alarms.next_ns

    def dump(self, state: State) -> bytes:
        return dump(state)

    def load(self, content: bytes) -> State:
        return load(content)


def _decide_take_over(state: State, command: TakeOver, now_ns: int) -> Outcome:
    events: tuple[LogEvent, ...] = (LeadershipTaken(command.term, command.address),)
    if command.origin and not state.origin:
        events = (*events, LogFounded(command.origin))
    return Decision(events, tuple(commands.run_leases(state.spaces, now_ns)))


def _decide_tick(state: State, now_ns: int) -> Outcome:
    subjects = state.soft.alarms.upcoming(now_ns, TICK_ALARMS_MAX)
    ended = [
        event
        for subject in subjects
        if subject is not None
        for event in commands.end_lease(state.spaces, subject[1])
    ]
    touched = tuple(SpaceTouched(space) for space in dict.fromkeys(each.space for each in ended))
    return Decision(tuple(ended), (AlarmsTaken(len(subjects), now_ns),), touched)


def _apply_leadership_taken(state: State, event: LeadershipTaken) -> None:
    state.term, state.leader = event.term, event.address


def _apply_log_founded(state: State, event: LogFounded) -> None:
    state.origin = event.origin


def _apply_log_restored(state: State, event: LogRestored) -> None:
    skip_revisions(state.spaces, event.revisions_skipped)


def _apply_to_spaces(state: State, event: commands.SpaceEvent) -> None:
    commands.apply(state.spaces, event)


_APPLY: dict[type, Callable[[State, Any], None]] = {
    **dict.fromkeys(commands.APPLY, _apply_to_spaces),
    LeadershipTaken: _apply_leadership_taken,
    LogFounded: _apply_log_founded,
    LogRestored: _apply_log_restored,
}
