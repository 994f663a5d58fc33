"""Resizes: other limits for tasks that run, each by its number and no more than once settled."""

from dataclasses import dataclass, replace

from agent.core.effects import ResizeContainer, SendStatuses
from agent.core.events import StateChanged
from agent.core.reasons import Reason
from agent.core.state import State
from agent.core.updates import Outcome, next_status, plan_retry
from protocol.decision import Decision, Refused
from protocol.ids import task_key
from protocol.messages.agent import Resize
from protocol.messages.values import TaskReason
from protocol.resources import Resources, format_resources

PENDING_MAX = 8  # statuses of one launch without acknowledgement; beyond it none is resized


@dataclass(frozen=True, slots=True)
class AcceptResize:
    """The master wants a task to have other resources."""

    resize: Resize


@dataclass(frozen=True, slots=True)
class ContainerResized:
    """A container has other limits now, or goes on with the old ones because of a fault."""

    launch: int
    number: int
    resources: Resources
    fault: str = ""


def decide_resize(state: State, command: AcceptResize) -> Outcome:
    """Try it; one that is settled is told of again, for the master that asks does not know.

    Refuses: UNKNOWN_LAUNCH, BAD_RESIZE; the master learns what is here from statuses.
    """
    resize = command.resize
    record = state.tasks.get(resize.launch)
    if record is None or record.key != task_key(resize.framework_id, resize.task_id):
        return Refused(Reason.UNKNOWN_LAUNCH, f"launch {resize.launch}")
    if "cpus" not in resize.resources.scalars or "mem" not in resize.resources.scalars:
        return Refused(Reason.BAD_RESIZE, format_resources(resize.resources))
    if record.is_ended:
        return Decision(effects=(SendStatuses(tuple(record.pending)),))
    if resize.number <= record.newest.resize:
        return Decision(effects=(SendStatuses((record.newest,)),))
    if not record.is_started or len(record.pending) >= PENDING_MAX:
        return Decision()  # the master asks again
    return Decision(effects=(ResizeContainer(resize.launch, resize.number, resize.resources),))


def decide_resized(state: State, command: ContainerResized, now_ns: int) -> Outcome:
    """Say what became of it, in the stream of the launch's statuses.

    Refuses: UNKNOWN_LAUNCH, ENDED_LAUNCH, KNOWN_LAUNCH for one that is settled.
    """
    record = state.tasks.get(command.launch)
    if record is None or not (record.is_started or record.is_ended):
        return Refused(Reason.UNKNOWN_LAUNCH, f"launch {command.launch}")
    if record.is_ended:
        return Refused(Reason.ENDED_LAUNCH, f"launch {command.launch}")
    if command.number <= record.newest.resize:
        return Refused(Reason.KNOWN_LAUNCH, f"launch {command.launch}")
    reason = TaskReason.RESIZE_REFUSED if command.fault else TaskReason.RESIZED
    text = command.fault or format_resources(command.resources)
    status = next_status(record, record.newest.state, reason, text, now_ns)
    status = replace(status, resize=command.number, resize_refused=bool(command.fault))
    return Decision(
        events=(StateChanged(status, record.start_ticks),),
        effects=(SendStatuses((status,)),),
        soft=plan_retry(state, now_ns),
    )
