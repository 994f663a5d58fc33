"""Recovery: who the agent is, and what became of its containers while it was away."""

from dataclasses import dataclass

from agent.core.effects import Effect, KillContainer, StartContainer
from agent.core.events import (
    AgentNamed,
    BootNoted,
    CheckpointEvent,
    ClusterJoined,
    StateChanged,
)
from agent.core.reasons import Reason
from agent.core.records import TaskRecord
from agent.core.state import State
from agent.core.tasks import ContainerEnded, ContainerStarted, decide_started, destroy, ended_status
from agent.core.updates import Outcome, next_status
from agent.core.volumes import unfinished
from protocol.decision import Decision, Refused
from protocol.messages.agent import Launch
from protocol.messages.values import TaskReason, TaskState


@dataclass(frozen=True, slots=True)
class NameAgent:
    """Give a new agent its identity."""

    agent_id: str


@dataclass(frozen=True, slots=True)
class JoinCluster:
    """The masters of this cluster have taken the agent in."""

    origin: str


@dataclass(frozen=True, slots=True)
class Recover:
    """What the shell found at start; a launch without a finding has no container here."""

    boot_id: str
    found: tuple[ContainerStarted | ContainerEnded, ...] = ()


def decide_name(state: State, command: NameAgent) -> Outcome:
    """Name the agent, once for ever.

    Refuses: ALREADY_NAMED.
    """
    if state.agent_id:
        return Refused(Reason.ALREADY_NAMED, f"the agent is {state.agent_id}")
    return Decision(events=(AgentNamed(command.agent_id),))


def decide_join(state: State, command: JoinCluster) -> Outcome:
    """Remember the cluster, once for ever.

    Refuses: OTHER_CLUSTER.
    """
    if state.origin == command.origin or not command.origin:
        return Decision()
    if state.origin:
        return Refused(Reason.OTHER_CLUSTER, f"the agent belongs to cluster {state.origin}")
    return Decision(events=(ClusterJoined(command.origin),))


def decide_recover(state: State, command: Recover, now_ns: int) -> Outcome:
    """Take running containers back, end what has ended, start what was only promised."""
    is_same_boot = state.boot_id == command.boot_id
    found = {finding.launch: finding for finding in command.found}
    events: list[CheckpointEvent] = [] if is_same_boot else [BootNoted(command.boot_id)]
    effects: list[Effect] = []
    for record in state.tasks.values():
        if record.is_ended:
            effects.append(destroy(record))
            continue
        finding = found.get(record.launch) if is_same_boot else None
        changed, wanted = _recover_task(state, record, finding, is_same_boot, now_ns)
        events += changed
        effects += wanted
    effects += unfinished(state)
    return Decision(events=tuple(events), effects=tuple(effects))


def _recover_task(
    state: State,
    record: TaskRecord,
    finding: ContainerStarted | ContainerEnded | None,
    is_same_boot: bool,
    now_ns: int,
) -> tuple[list[CheckpointEvent], list[Effect]]:
    """What becomes of one launch that had not ended; sending is left to the registration."""
    kill = record.kill
    if isinstance(finding, ContainerStarted):
        again: list[Effect] = [KillContainer(record.launch, kill.grace_ns)] if kill else []
        started = None if record.is_started else decide_started(state, finding, now_ns)
        return list(started.events) if isinstance(started, Decision) else [], again
    if isinstance(finding, ContainerEnded):
        status = ended_status(record, finding, now_ns)
    elif not is_same_boot:
        kind, reason = TaskState.FAILED, TaskReason.AGENT_RESTARTED
        status = next_status(record, kind, reason, "the machine restarted", now_ns)
    elif record.is_started:
        status = ended_status(record, ContainerEnded(record.launch, is_lost=True), now_ns)
    elif kill:
        message = "ended before its container started"
        status = next_status(record, TaskState.KILLED, kill.reason, message, now_ns)
    else:
        launch = Launch(
            launch=record.launch,
            framework_id=record.framework_id,
            role=record.role,
            description=record.description,
            user=record.user,
        )
        return [], [StartContainer(launch)]
    return [StateChanged(status, record.start_ticks)], [destroy(record)]


def apply_named(state: State, event: AgentNamed) -> None:
    """The agent has its identity."""
    assert not state.agent_id
    state.agent_id = event.agent_id


def apply_joined(state: State, event: ClusterJoined) -> None:
    """The agent belongs to a cluster."""
    assert not state.origin
    state.origin = event.origin


def apply_boot(state: State, event: BootNoted) -> None:
    """Pids and start ticks from now on belong to this boot of the machine."""
    state.boot_id = event.boot_id
