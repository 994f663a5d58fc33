"""Updates: the statuses of each launch, kept until the master has acknowledged them."""

from dataclasses import dataclass, replace

from agent.core.effects import Effect, KillContainer, SendStatuses
from agent.core.events import CheckpointEvent, StateChanged, StatusAcknowledged, TaskForgotten
from agent.core.reasons import Reason
from agent.core.records import TaskRecord
from agent.core.state import FORGOTTEN_MAX, State
from protocol.decision import Decision, Refused
from protocol.messages.agent import StatusAcknowledgement
from protocol.messages.values import TaskReason, TaskState, TaskStatus, Volume

RETRY_NS = 5_000_000_000
MESSAGE_CHARS_MAX = 500  # a registration with every task still fits one frame


@dataclass(frozen=True, slots=True)
class AcknowledgeStatus:
    """The master has committed a launch's statuses up to a sequence number."""

    acknowledgement: StatusAcknowledgement


@dataclass(frozen=True, slots=True)
class Told:
    """All that a master wants to know of an agent that registers."""

    tasks: tuple[TaskStatus, ...]
    volumes: tuple[Volume, ...]


Outcome = Decision[CheckpointEvent, Effect, Told] | Refused


@dataclass(frozen=True, slots=True)
class TellTasks:
    """A master wants to know of every launch and volume here; replied to with `Told`.

    A command and no view, so that it goes after the launches that came before it: what a
    registration leaves out never starts.
    """


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; `default_grace_ns` is for tasks whose time is over."""

    default_grace_ns: int = 0


@dataclass(frozen=True, slots=True)
class TakeOver:
    """The log is open: the agent lives again."""


@dataclass(frozen=True, slots=True)
class RetryPlanned:
    """Soft: what has no answer is repeated at `at_ns`."""

    at_ns: int


def next_status(
    record: TaskRecord, state: TaskState, reason: TaskReason, message: str, now_ns: int
) -> TaskStatus:
    """The status that follows the newest one of a launch, with its pid and without an exit."""
    return replace(
        record.newest,
        sequence=record.newest.sequence + 1,
        state=state,
        reason=reason,
        message=message[:MESSAGE_CHARS_MAX],
        stamp_ns=now_ns,
    )


def plan_retry(state: State, now_ns: int) -> tuple[RetryPlanned, ...]:
    """The soft event that makes something just sent be repeated, unless a retry is planned."""
    return (RetryPlanned(now_ns + RETRY_NS),) if state.retry_ns <= now_ns else ()


def decide_acknowledge(state: State, command: AcknowledgeStatus) -> Outcome:
    """Drop what the master has; forget the launch when it knows how it ended.

    Refuses: UNKNOWN_LAUNCH for what is forgotten, UNKNOWN_STATUS for what was never sent.
    """
    ack = command.acknowledgement
    record = state.tasks.get(ack.launch)
    if record is None:
        return Refused(Reason.UNKNOWN_LAUNCH)
    names = (record.framework_id, record.description.task_id)
    if names != (ack.framework_id, ack.task_id) or ack.sequence > record.newest.sequence:
        return Refused(Reason.UNKNOWN_STATUS, f"launch {ack.launch} sequence {ack.sequence}")
    if not record.pending or ack.sequence < record.pending[0].sequence:
        return Decision()  # a repetition
    acknowledged = StatusAcknowledged(*names, ack.launch, ack.sequence)
    if not record.is_ended or ack.sequence < record.newest.sequence:
        return Decision(events=(acknowledged,))
    return Decision(
        events=(acknowledged, TaskForgotten(*names, ack.launch)),
    )


def decide_tell(state: State) -> Outcome:
    """Tell the newest status of every launch that is remembered, and every volume."""
    tasks = tuple(record.newest for record in state.tasks.values())
    return Decision(reply=Told(tasks, tuple(state.volumes.values())))


def decide_take_over(state: State, now_ns: int) -> Outcome:
    """Repeat nothing before the containers are found again and a master is there."""
    return Decision(soft=(RetryPlanned(now_ns + RETRY_NS),))


def decide_tick(state: State, now_ns: int) -> Outcome:
    """Repeat the statuses and the overdue kills that have had no answer."""
    if now_ns < state.retry_ns:
        return Decision()
    effects = reconcile(state, now_ns)
    return Decision(effects=effects, soft=(RetryPlanned(now_ns + RETRY_NS),))


def reconcile(state: State, now_ns: int) -> tuple[Effect, ...]:
    """The outstanding effects: every status without acknowledgement, every kill that is overdue."""
    kills = [
        KillContainer(launch, 0)
        for launch in state.dying
        if (kill := state.tasks[launch].kill) and kill.deadline_ns <= now_ns
    ]
    statuses = tuple(
        status for launch in state.unacknowledged for status in state.tasks[launch].pending
    )
    return (*kills, SendStatuses(statuses)) if statuses else tuple(kills)


def due(state: State) -> int | None:
    """When a tick has work: nothing outstanding, nothing due."""
    return state.retry_ns if state.unacknowledged or state.dying else None


def apply_state_changed(state: State, event: StateChanged) -> None:
    """The newest status of a launch is this one, and the master does not know it."""
    status = event.status
    record = state.tasks[status.launch]
    assert not record.is_ended
    is_start = status.pid and not record.is_started
    if is_start and record.description.completion_ns and not record.kill:
        state.timed[status.launch] = status.stamp_ns + record.description.completion_ns
    assert status.sequence == record.newest.sequence + 1
    record.newest = status
    record.start_ticks = event.start_ticks
    record.pending.append(status)
    state.unacknowledged[record.launch] = None
    if record.is_ended:
        del state.live[record.key]
        state.dying.pop(record.launch, None)
        state.timed.pop(record.launch, None)


def apply_acknowledged(state: State, event: StatusAcknowledged) -> None:
    """Statuses up to the acknowledged one are not repeated."""
    record = state.tasks[event.launch]
    record.pending = [status for status in record.pending if status.sequence > event.sequence]
    if not record.pending:
        del state.unacknowledged[event.launch]


def apply_forgotten(state: State, event: TaskForgotten) -> None:
    """The launch is gone, or was turned away; only its number stays for a while."""
    record = state.tasks.pop(event.launch, None)
    assert record is None or (record.is_ended and not record.pending)
    state.forgotten[event.launch] = None
    if len(state.forgotten) > FORGOTTEN_MAX:
        del state.forgotten[next(iter(state.forgotten))]


def apply_retry_planned(state: State, event: RetryPlanned) -> None:
    """What has no answer is repeated then."""
    state.retry_ns = event.at_ns
