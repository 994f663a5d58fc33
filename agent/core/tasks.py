"""Tasks: launches accepted, started, asked to end, and ended."""

from dataclasses import dataclass, replace

from agent.core.effects import (
    DestroyContainer,
    Effect,
    KillContainer,
    SendStatuses,
    StartContainer,
)
from agent.core.events import (
    CheckpointEvent,
    KillAccepted,
    StateChanged,
    TaskAccepted,
    TaskForgotten,
)
from agent.core.reasons import Reason
from agent.core.records import KillIntent, TaskRecord
from agent.core.state import TASKS_MAX, State
from agent.core.updates import Outcome, next_status, plan_retry
from agent.core.volumes import fault_of_mounts
from protocol.decision import Decision, Refused
from protocol.ids import check_id, task_key
from protocol.messages.agent import Kill, Launch
from protocol.messages.values import TaskReason, TaskState, TaskStatus

SIGNAL_MAX = 64
GRACE_NS_MAX = 3600 * 1_000_000_000  # an hour: who needs longer should not call it a kill


@dataclass(frozen=True, slots=True)
class AcceptLaunch:
    """The master wants a task to run here."""

    launch: Launch


@dataclass(frozen=True, slots=True)
class AcceptKill:
    """The master wants a task to end; `default_grace_ns` is for who named no grace."""

    kill: Kill
    default_grace_ns: int


@dataclass(frozen=True, slots=True)
class EndAll:
    """The masters have declared this agent gone: nothing may run here any more."""

    default_grace_ns: int


@dataclass(frozen=True, slots=True)
class ContainerStarted:
    """A container runs; pid and start ticks name its first process on this boot."""

    launch: int
    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """A container could not be started."""

    launch: int
    reason: TaskReason
    message: str


@dataclass(frozen=True, slots=True)
class ContainerEnded:
    """A container has ended; `is_lost` when nobody saw how."""

    launch: int
    exit_code: int = 0
    signal: int = 0
    is_out_of_memory: bool = False
    is_lost: bool = False
    message: str = ""


def decide_launch(state: State, command: AcceptLaunch, now_ns: int) -> Outcome:
    """Remember the launch, then start its container; a repetition gets its newest status.

    One that cannot be is answered with its end and never started later: its repetition may be
    under way already. The repetition of one that ended here is answered so too, for the master
    that asks again has either not heard of its end, or does not mind another one.
    """
    launch = command.launch
    known = state.tasks.get(launch.launch)
    if known is not None:
        return Decision(effects=(SendStatuses(tuple(known.pending)),) if known.pending else ())
    if fault := _fault_of(launch):
        return _turn_away(state, launch, TaskState.ERROR, fault)
    if launch.launch in state.forgotten:
        return _turn_away(state, launch, TaskState.DROPPED, "the launch is over on this agent")
    if launch.launch < 1 or len(state.tasks) >= TASKS_MAX:
        return _turn_away(state, launch, TaskState.DROPPED, f"the agent has {TASKS_MAX} tasks")
    if live := state.live.get(task_key(launch.framework_id, launch.description.task_id)):
        return _turn_away(state, launch, TaskState.DROPPED, f"the task runs as launch {live}")
    if fault := fault_of_mounts(state, launch.description):
        return _turn_away(state, launch, TaskState.DROPPED, fault)
    accepted = TaskAccepted(
        launch=launch.launch,
        framework_id=launch.framework_id,
        role=launch.role,
        description=launch.description,
        user=launch.user,
    )
    return Decision(events=(accepted,), effects=(StartContainer(launch),))


def decide_kill(state: State, command: AcceptKill, now_ns: int) -> Outcome:
    """Remember that a task must end, then end it; a shorter grace than before counts at once.

    Refuses: UNKNOWN_LAUNCH; the master learns what is here from the registration.
    """
    kill = command.kill
    record = state.tasks.get(kill.launch)
    if record is None or record.key != task_key(kill.framework_id, kill.task_id):
        return Refused(Reason.UNKNOWN_LAUNCH, f"launch {kill.launch}")
    if record.is_ended:
        return Decision(effects=(SendStatuses(tuple(record.pending)),))
    grace_ns = kill.grace_ns or record.description.kill_grace_ns or command.default_grace_ns
    grace_ns = max(0, min(grace_ns, GRACE_NS_MAX))
    if record.kill and record.kill.deadline_ns <= now_ns + grace_ns:
        return Decision()  # the earlier kill is at least as strict, and the tick repeats it
    accepted = KillAccepted(
        framework_id=kill.framework_id,
        task_id=kill.task_id,
        launch=kill.launch,
        grace_ns=grace_ns,
        reason=record.kill.reason if record.kill else kill.reason,
    )
    effect = KillContainer(kill.launch, grace_ns)
    if not record.is_started or record.newest.state is TaskState.KILLING:
        return Decision(events=(accepted,), effects=(effect,), soft=plan_retry(state, now_ns))
    status = next_status(record, TaskState.KILLING, accepted.reason, "", now_ns)
    return Decision(
        events=(accepted, StateChanged(status, record.start_ticks)),
        effects=(effect, SendStatuses((status,))),
        soft=plan_retry(state, now_ns),
    )


def decide_end_all(state: State, command: EndAll, now_ns: int) -> Outcome:
    """Kill every task that is here, as `decide_kill` does each."""
    events: list[CheckpointEvent] = []
    effects: list[Effect] = []
    for launch in state.live.values():
        record = state.tasks[launch]
        kill = Kill(
            framework_id=record.framework_id,
            task_id=record.description.task_id,
            launch=launch,
            reason=TaskReason.AGENT_GONE,
        )
        outcome = decide_kill(state, AcceptKill(kill, command.default_grace_ns), now_ns)
        assert isinstance(outcome, Decision)
        events += outcome.events
        effects += outcome.effects
    return Decision(tuple(events), soft=plan_retry(state, now_ns), effects=tuple(effects))


def decide_started(state: State, command: ContainerStarted, now_ns: int) -> Outcome:
    """The task runs, or is being ended when a kill came before its container.

    Refuses: UNKNOWN_LAUNCH, ENDED_LAUNCH, KNOWN_LAUNCH for a repetition.
    """
    record = state.tasks.get(command.launch)
    if record is None:
        return Refused(Reason.UNKNOWN_LAUNCH, f"launch {command.launch}")
    if record.is_ended:
        return Refused(Reason.ENDED_LAUNCH, f"launch {command.launch}")
    if record.is_started:
        return Refused(Reason.KNOWN_LAUNCH, f"launch {command.launch}")
    kill = record.kill
    if kill is None:
        status = next_status(record, TaskState.RUNNING, TaskReason.NONE, "", now_ns)
    else:
        status = next_status(record, TaskState.KILLING, kill.reason, "", now_ns)
    status = replace(status, pid=command.pid)
    kills = (KillContainer(record.launch, kill.grace_ns),) if kill else ()
    return Decision(
        events=(StateChanged(status, command.start_ticks),),
        effects=(SendStatuses((status,)), *kills),
        soft=plan_retry(state, now_ns),
    )


def decide_failed(state: State, command: LaunchFailed, now_ns: int) -> Outcome:
    """The task has failed before it ran, or was ended in time.

    Refuses: UNKNOWN_LAUNCH, ENDED_LAUNCH.
    """
    record = state.tasks.get(command.launch)
    if record is None:
        return Refused(Reason.UNKNOWN_LAUNCH, f"launch {command.launch}")
    if record.is_ended:
        return Refused(Reason.ENDED_LAUNCH, f"launch {command.launch}")
    if record.kill:
        message = "ended before its container started"
        status = next_status(record, TaskState.KILLED, record.kill.reason, message, now_ns)
    else:
        status = next_status(record, TaskState.FAILED, command.reason, command.message, now_ns)
    return end_task(state, record, status, now_ns)


def decide_ended(state: State, command: ContainerEnded, now_ns: int) -> Outcome:
    """The task has its last status: killed when that was asked for, else what its exit says.

    Refuses: UNKNOWN_LAUNCH, ENDED_LAUNCH.
    """
    record = state.tasks.get(command.launch)
    if record is None:
        return Refused(Reason.UNKNOWN_LAUNCH, f"launch {command.launch}")
    if record.is_ended:
        return Refused(Reason.ENDED_LAUNCH, f"launch {command.launch}")
    return end_task(state, record, ended_status(record, command, now_ns), now_ns)


def ended_status(record: TaskRecord, ended: ContainerEnded, now_ns: int) -> TaskStatus:
    """The last status of a launch whose container ended this way."""
    if record.kill:
        is_over = record.kill.reason is TaskReason.COMPLETION_TIME
        kind = TaskState.FAILED if is_over else TaskState.KILLED
        reason = record.kill.reason
    elif ended.is_out_of_memory:
        kind, reason = TaskState.FAILED, TaskReason.MEMORY_LIMIT
    elif ended.is_lost:
        kind, reason = TaskState.FAILED, TaskReason.SUPERVISOR_LOST
    elif ended.exit_code == 0 and ended.signal == 0:
        kind, reason = TaskState.FINISHED, TaskReason.COMMAND_EXITED
    else:
        kind, reason = TaskState.FAILED, TaskReason.COMMAND_EXITED
    status = next_status(record, kind, reason, ended.message or _exit_text(ended), now_ns)
    return replace(status, exit_code=ended.exit_code, signal=ended.signal)


def destroy(record: TaskRecord) -> DestroyContainer:
    """The effect that clears a launch's container away."""
    return DestroyContainer(record.framework_id, record.description.task_id, record.launch)


def end_task(state: State, record: TaskRecord, status: TaskStatus, now_ns: int) -> Outcome:
    """The decision that gives a launch its last status and clears its container away."""
    return Decision(
        events=(StateChanged(status, record.start_ticks),),
        effects=(SendStatuses((status,)), destroy(record)),
        soft=plan_retry(state, now_ns),
    )


def _exit_text(ended: ContainerEnded) -> str:
    if ended.is_out_of_memory:
        return "used more memory than its limit"
    if ended.is_lost:
        return "ended unseen: its supervisor was lost"
    if ended.signal:
        return f"ended by signal {ended.signal}"
    return f"exited with status {ended.exit_code}" if ended.exit_code else ""


def _fault_of(launch: Launch) -> str:
    """Why this launch can never run here, or nothing."""
    description = launch.description
    for owner, text in (("framework", launch.framework_id), ("task", description.task_id)):
        if fault := check_id(text):
            return f"{owner} id: {fault}"
    if not description.command or not description.command[0]:
        return "the task has no command"
    if any("\0" in argument for argument in description.command):
        return "the command holds a zero byte"
    if description.kill_signal > SIGNAL_MAX:
        return f"there is no signal {description.kill_signal}"
    for variable in description.environment:
        if not variable.name or "=" in variable.name or "\0" in variable.name + variable.value:
            return f"the environment variable {variable.name!r} is not a valid one"
    return ""


def _turn_away(state: State, launch: Launch, kind: TaskState, text: str) -> Outcome:
    """Answer a launch with its end for good; the answer to a repetition is the same."""
    status = TaskStatus(
        framework_id=launch.framework_id,
        task_id=launch.description.task_id,
        agent_id=state.agent_id,
        launch=launch.launch,
        sequence=1,
        state=kind,
        reason=TaskReason.INVALID_TASK if kind is TaskState.ERROR else TaskReason.LAUNCH_FAILED,
        message=text,
        stamp_ns=state.now_ns,
    )
    is_known = launch.launch in state.forgotten
    ended = TaskForgotten(launch.framework_id, launch.description.task_id, launch.launch)
    return Decision(events=() if is_known else (ended,), effects=(SendStatuses((status,)),))


def apply_accepted(state: State, event: TaskAccepted) -> None:
    """The launch is one of ours until its end is acknowledged."""
    record = TaskRecord(
        launch=event.launch,
        framework_id=event.framework_id,
        role=event.role,
        user=event.user,
        description=event.description,
        newest=TaskStatus(
            framework_id=event.framework_id,
            task_id=event.description.task_id,
            agent_id=state.agent_id,
            launch=event.launch,
            state=TaskState.STAGING,
            stamp_ns=state.now_ns,
        ),
    )
    assert event.launch not in state.tasks
    assert record.key not in state.live
    state.tasks[event.launch] = record
    state.live[record.key] = event.launch


def apply_kill(state: State, event: KillAccepted) -> None:
    """The task must end within the grace."""
    record = state.tasks[event.launch]
    assert not record.is_ended
    record.kill = KillIntent(event.grace_ns, state.now_ns + event.grace_ns, event.reason)
    state.dying[event.launch] = None
    state.timed.pop(event.launch, None)
