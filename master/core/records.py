"""What the master remembers of each thing: plain records that snapshots can hold."""

from dataclasses import dataclass, field

from protocol.ids import AgentId, FrameworkId, OfferId, TaskId, TaskKey, task_key
from protocol.messages.values import (
    Attribute,
    Label,
    TaskDescription,
    TaskReason,
    TaskState,
    TaskStatus,
)
from protocol.resources import EMPTY, Resources
from protocol.states import is_ended


@dataclass(frozen=True, slots=True)
class KillOrder:
    """Somebody wants the task dead; it stands until the task has ended."""

    reason: TaskReason
    grace_ns: int
    ordered_ns: int


@dataclass(slots=True)
class Task:
    """One launch of a framework's task."""

    task_id: TaskId
    framework_id: FrameworkId
    agent_id: AgentId
    role: str
    launch: int
    description: TaskDescription
    status: TaskStatus  # the newest; its sequence is the framework's
    launched_ns: int
    reported: TaskState = TaskState.STAGING  # by the agent itself, whatever we think since
    agent_sequence: int = 0  # newest status of the agent's that is folded in
    updates_made: int = 0  # newest sequence given to the framework
    pending: tuple[TaskStatus, ...] = ()  # not acknowledged by the framework, oldest first
    kill: KillOrder | None = None
    ended_ns: int = 0

    @property
    def key(self) -> TaskKey:
        return task_key(self.framework_id, self.task_id)

    @property
    def is_ended(self) -> bool:
        return is_ended(self.status.state)

    @property
    def resources(self) -> Resources:
        return self.description.resources


@dataclass(slots=True)
class Framework:
    """A scheduler's identity and what is on its account."""

    id: FrameworkId
    token: str
    name: str
    principal: str
    user: str
    hostname: str
    roles: tuple[str, ...]
    failover_timeout_ns: int
    labels: tuple[Label, ...]
    subscribed_ns: int
    is_connected: bool = True
    disconnected_ns: int = 0
    is_removed: bool = False  # remembered until its tasks have ended, and a while after
    removed_ns: int = 0
    removal: str = ""  # why it was removed
    suppressed: tuple[str, ...] = ()  # roles that want no offers
    tasks: dict[TaskId, int] = field(default_factory=dict)  # launch of each in `State.tasks`
    allocated: dict[str, dict[str, int]] = field(default_factory=dict)  # role → scalar amounts
    history: dict[TaskId, Task] = field(default_factory=dict)  # ended, oldest first
    live: int = 0  # of `tasks`, those that have not ended
    description_bytes: int = 0  # of `tasks`, by weight
    has_left: bool = False  # it ends with its last task


@dataclass(frozen=True, slots=True)
class Drain:
    """An agent is to be empty, and is offered to nobody until the drain is ended."""

    by: str
    began_ns: int
    kill_ns: int  # from then on its tasks are killed
    grace_ns: int  # the longest between SIGTERM and SIGKILL; 0: each task's own
    marks_gone: bool = False  # when its last task has ended


@dataclass(frozen=True, slots=True)
class Declaration:
    """An operator said that an agent is gone for good."""

    by: str
    declared_ns: int


@dataclass(slots=True)
class Agent:
    """One machine and what runs there."""

    id: AgentId
    hostname: str
    address: str
    principal: str
    total: Resources
    attributes: tuple[Attribute, ...]
    boot_id: str
    version: str
    isolation: tuple[str, ...]
    registered_ns: int
    is_unreachable: bool = False
    unreachable_ns: int = 0
    allocated: Resources = EMPTY
    tasks: dict[TaskKey, int] = field(default_factory=dict)  # launch of each that has not ended
    is_deactivated: bool = False  # by an operator: nothing of it is offered
    drain: Drain | None = None
    gone: Declaration | None = None  # until all its tasks are told of; then it is in `State.gone`

    @property
    def is_active(self) -> bool:
        """Whether it may be offered."""
        return not (self.is_deactivated or self.drain or self.gone)


@dataclass(frozen=True, slots=True)
class Offer:
    """Resources of one agent lent to one framework until it answers: soft state."""

    id: OfferId
    framework_id: FrameworkId
    agent_id: AgentId
    role: str
    resources: Resources
    made_ns: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A framework wants nothing from an agent beyond what it refused, for a while: soft state."""

    resources: Resources
    until_ns: int
