"""Machine: the agent's whole core as two functions, decide and apply."""

from agent.core import deadlines, recovery, resizes, tasks, updates, volumes
from agent.core.events import (
    AgentNamed,
    BootNoted,
    CheckpointEvent,
    ClusterJoined,
    KillAccepted,
    StateChanged,
    StatusAcknowledged,
    TaskAccepted,
    TaskForgotten,
    VolumeDropped,
    VolumeKept,
    VolumeWiped,
)
from agent.core.recovery import JoinCluster, NameAgent, Recover
from agent.core.resizes import AcceptResize, ContainerResized
from agent.core.state import State
from agent.core.tasks import (
    AcceptKill,
    AcceptLaunch,
    ContainerEnded,
    ContainerStarted,
    EndAll,
    LaunchFailed,
)
from agent.core.updates import (
    AcknowledgeStatus,
    Outcome,
    RetryPlanned,
    TakeOver,
    TellTasks,
    Tick,
)
from agent.core.volumes import (
    KeepVolume,
    RemoveVolume,
    VolumeDeleted,
    VolumeMade,
    VolumeNotMade,
)

Command = (
    NameAgent
    | JoinCluster
    | Recover
    | AcceptLaunch
    | AcceptKill
    | EndAll
    | AcceptResize
    | ContainerResized
    | ContainerStarted
    | LaunchFailed
    | ContainerEnded
    | AcknowledgeStatus
    | TellTasks
    | TakeOver
    | Tick
    | KeepVolume
    | RemoveVolume
    | VolumeMade
    | VolumeNotMade
    | VolumeDeleted
)


def decide(state: State, command: Command, now_ns: int) -> Outcome:
    """The events and effects a command leads to, or why not; changes nothing."""
    match command:
        case KeepVolume():
            return volumes.decide_keep(state, command)
        case RemoveVolume():
            return volumes.decide_remove(state, command)
        case VolumeMade():
            return volumes.decide_made(state, command)
        case VolumeNotMade():
            return volumes.decide_not_made(state, command)
        case VolumeDeleted():
            return volumes.decide_deleted(state, command)
        case AcceptLaunch():
            return tasks.decide_launch(state, command, now_ns)
        case AcceptKill():
            return tasks.decide_kill(state, command, now_ns)
        case AcceptResize():
            return resizes.decide_resize(state, command)
        case ContainerResized():
            return resizes.decide_resized(state, command, now_ns)
        case EndAll():
            return tasks.decide_end_all(state, command, now_ns)
        case ContainerStarted():
            return tasks.decide_started(state, command, now_ns)
        case LaunchFailed():
            return tasks.decide_failed(state, command, now_ns)
        case ContainerEnded():
            return tasks.decide_ended(state, command, now_ns)
        case AcknowledgeStatus():
            return updates.decide_acknowledge(state, command)
        case TellTasks():
            return updates.decide_tell(state)
        case Tick():
            return deadlines.decide_tick(state, command, now_ns)
        case TakeOver():
            return updates.decide_take_over(state, now_ns)
        case NameAgent():
            return recovery.decide_name(state, command)
        case JoinCluster():
            return recovery.decide_join(state, command)
        case Recover():
            return recovery.decide_recover(state, command, now_ns)


def apply(state: State, event: CheckpointEvent) -> None:
    """Make a durable event part of the state."""
    match event:
        case TaskAccepted():
            tasks.apply_accepted(state, event)
        case StateChanged():
            updates.apply_state_changed(state, event)
        case StatusAcknowledged():
            updates.apply_acknowledged(state, event)
        case KillAccepted():
            tasks.apply_kill(state, event)
        case TaskForgotten():
            updates.apply_forgotten(state, event)
        case VolumeKept():
            volumes.apply_kept(state, event)
        case VolumeDropped():
            volumes.apply_dropped(state, event)
        case VolumeWiped():
            volumes.apply_wiped(state, event)
        case AgentNamed():
            recovery.apply_named(state, event)
        case ClusterJoined():
            recovery.apply_joined(state, event)
        case BootNoted():
            recovery.apply_boot(state, event)


def apply_soft(state: State, event: object) -> None:
    """Make a soft event part of the head state."""
    assert isinstance(event, RetryPlanned)
    updates.apply_retry_planned(state, event)


def drop_soft(state: State) -> None:
    """Forget what is not in the log."""
    state.retry_ns = 0
