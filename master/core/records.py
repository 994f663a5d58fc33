"""What the master remembers of each thing: plain records that snapshots can hold."""

from dataclasses import dataclass, field

from protocol.ids import AgentId, FrameworkId, OfferId, TaskId, TaskKey, task_key
from protocol.messages import values as wire
from protocol.messages.values import (
    Attribute,
    Draw,
    Label,
    OperationStatus,
    StaticReservation,
    TaskDescription,
    TaskReason,
    TaskState,
    TaskStatus,
    VolumeState,
)
from protocol.resources import EMPTY, Resources, sum_resources
from protocol.states import is_ended


@dataclass(frozen=True, slots=True)
class KillOrder:
    """Somebody wants the task dead; it stands until the task has ended."""

    reason: TaskReason
    grace_ns: int
    ordered_ns: int


@dataclass(frozen=True, slots=True)
class ResizeOrder:
    """A task shall have other amounts; it stands until its agent has settled it."""

    number: int
    resources: Resources  # all that the task has then
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
    draws: tuple[Draw, ...] = ()  # the part of its resources that is reserved
    resize: ResizeOrder | None = None
    resizes: int = 0  # number of the newest

    @property
    def key(self) -> TaskKey:
        return task_key(self.framework_id, self.task_id)

    @property
    def is_ended(self) -> bool:
        return is_ended(self.status.state)

    @property
    def resources(self) -> Resources:
        return self.description.resources

    @property
    def unreserved(self) -> Resources:
        """What of its resources is not drawn of reservations."""
        return unreserved_of(self.resources, self.draws)

    @property
    def held(self) -> Resources:
        """What it is on accounts with: while it is resized, the larger of both amounts."""
        now = self.resources
        if self.resize is None:
            return now
        then = self.resize.resources.scalars
        larger = {name: max(amount, then.get(name, 0)) for name, amount in now.scalars.items()}
        return Resources({**then, **larger}, now.ranges, now.sets)


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
    operations: dict[str, OperationStatus] = field(default_factory=dict)  # not acknowledged


@dataclass(frozen=True, slots=True)
class Drain:
    """An agent is to be empty, and is offered to nobody until the drain is ended."""

    by: str
    began_ns: int
    kill_ns: int  # from then on its tasks are killed
    grace_ns: int  # the longest between SIGTERM and SIGKILL; 0: each task's own
    marks_gone: bool = False  # when its last task has ended
    window: str = ""  # that it is drained for; with its end the drain ends


@dataclass(slots=True)
class Window:
    """Agents are to be empty from a time on."""

    name: str
    agents: tuple[AgentId, ...]
    start_ns: int
    end_ns: int  # 0: until somebody ends it
    grace_ns: int
    by: str
    is_begun: bool = False


@dataclass(frozen=True, slots=True)
class Unavailability:
    """When an agent is going to be emptied, and when it will be back (0: not known)."""

    from_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class Declaration:
    """An operator said that an agent is gone for good."""

    by: str
    declared_ns: int


@dataclass(slots=True)
class Reservation:
    """Resources of one agent bound to a role; what was refined out of it is in it no more."""

    id: str
    role: str
    resources: Resources = EMPTY
    parent: str = ""  # the reservation that it was refined out of
    is_static: bool = False
    principal: str = ""
    framework_id: str = ""  # whose it is, if a framework's
    labels: tuple[Label, ...] = ()
    expires_ns: int = 0  # 0: never
    is_kept: bool = False  # when its framework has ended
    is_ending: bool = False  # never offered again, and let go as its tasks end
    made_ns: int = 0
    allocated: Resources = EMPTY  # of it, to tasks

    def tell(self, resources: Resources) -> wire.Reservation:
        """Return what others see of it, with so much in it."""
        return wire.Reservation(
            id=self.id,
            role=self.role,
            resources=resources,
            parent=self.parent,
            is_static=self.is_static,
            principal=self.principal,
            framework_id=self.framework_id,
            labels=self.labels,
            expires_ns=self.expires_ns,
            is_kept=self.is_kept,
        )


@dataclass(slots=True)
class Volume:
    """Reserved disk of one agent that outlives tasks: as it is wanted, and as its agent has it."""

    id: str
    number: int  # never that of another volume
    reservation: str
    wanted_bytes: int
    kept_bytes: int = 0  # 0: not made yet
    is_shared: bool = False
    is_doomed: bool = False
    principal: str = ""
    framework_id: str = ""
    operation: str = ""  # framework/operation that waits for the agent
    fault: str = ""  # why its last change failed
    made_ns: int = 0

    @property
    def held_bytes(self) -> int:
        """How much of the reservation it takes, until the agent has made it smaller, too."""
        return max(self.wanted_bytes, self.kept_bytes)

    @property
    def is_settled(self) -> bool:
        """Whether its agent has it as it is wanted."""
        return self.wanted_bytes == self.kept_bytes and not self.is_doomed

    @property
    def state(self) -> VolumeState:
        if self.is_doomed:
            return VolumeState.DESTROYING
        if not self.kept_bytes:
            return VolumeState.CREATING
        return VolumeState.READY if self.is_settled else VolumeState.RESIZING

    def tell(self, role: str) -> wire.Volume:
        """Return what others see of it."""
        return wire.Volume(
            id=self.id,
            number=self.number,
            reservation=self.reservation,
            role=role,
            size_bytes=self.wanted_bytes,
            is_shared=self.is_shared,
            principal=self.principal,
            framework_id=self.framework_id,
            state=self.state,
        )


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
    reserved: tuple[StaticReservation, ...] = ()  # by its configuration
    reservations: dict[str, Reservation] = field(default_factory=dict)  # these among them
    reservations_made: int = 0  # ever, so that no name comes again
    volumes: dict[str, Volume] = field(default_factory=dict)
    is_deactivated: bool = False  # by an operator: nothing of it is offered
    drain: Drain | None = None
    gone: Declaration | None = None  # until all its tasks are told of; then it is in `State.gone`

    @property
    def is_active(self) -> bool:
        """Whether it may be offered."""
        return not (self.is_deactivated or self.drain or self.gone)


@dataclass(frozen=True, slots=True)
class Zone:
    """How many agents of a zone there are, and how many are absent that were there just now."""

    name: str
    known: int
    absent: int
    is_held: bool  # none of them is given up


@dataclass(frozen=True, slots=True)
class Offer:
    """Resources of one agent lent to one framework until it answers: soft state."""

    id: OfferId
    framework_id: FrameworkId
    agent_id: AgentId
    role: str
    resources: Resources
    made_ns: int
    rival_of: OfferId | None = None  # the offer that lends the same; none: this one lends it
    is_shared: bool = False
    draws: tuple[Draw, ...] = ()  # the part of its resources that is reserved
    volumes: tuple[str, ...] = ()

    @property
    def held(self) -> Resources:
        """What it is on accounts with."""
        return self.resources

    @property
    def unreserved(self) -> Resources:
        return unreserved_of(self.resources, self.draws)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A framework wants nothing from an agent beyond what it refused, for a while: soft state."""

    resources: Resources
    until_ns: int


@dataclass(frozen=True, slots=True)
class Policy:
    """How a role, and all below it, are offered anything."""

    least: dict[str, int] = field(default_factory=dict)  # no smaller offer is made
    sharers: int = 1  # frameworks that may be offered the same at once
    is_open: bool = False  # nothing is offered: frameworks observe, and make transactions
    reclaims: bool = False  # preemptible tasks of others are ended for it, within its share


@dataclass(slots=True)
class Observer:
    """Whom a framework has not been told of since they changed: soft state."""

    pending: dict[AgentId, None] = field(default_factory=dict)
    is_first: bool = True


@dataclass(frozen=True, slots=True)
class Reclaim:
    """A task was asked back for a role, and is killed if it goes on: soft state."""

    role: str
    until_ns: int
    makes_room: int  # 1 for one of those that make room for one task together, 0 for the others


@dataclass(frozen=True, slots=True)
class BackOff:
    """How often in a row a framework has used nothing of what it was offered: soft state."""

    rounds: int = 0
    counted_ns: int = 0  # when the last of them was
    until_ns: int = 0
    revived_ns: int = 0  # when a revive last ended a pause
    is_paused: bool = False


def unreserved_of(resources: Resources, draws: tuple[Draw, ...]) -> Resources:
    """Return what of some resources is not taken of reservations."""
    if not draws:
        return resources
    return resources - sum_resources(draw.resources for draw in draws)


def unreserved_quantities(holder: "Offer | Task") -> dict[str, int] | None:
    """Return the quantities of what is not taken of reservations; None: that is all of it."""
    if not holder.draws:
        return None
    return unreserved_of(holder.held, holder.draws).quantities


def part_of(resources: Resources, draws: tuple[Draw, ...], reservation: str) -> Resources:
    """Return what of some resources is taken of one reservation; empty: of none."""
    if not reservation:
        return unreserved_of(resources, draws)
    return sum_resources(draw.resources for draw in draws if draw.reservation == reservation)
