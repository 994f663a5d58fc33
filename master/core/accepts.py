"""Accepts: the operations of one accept, folded one at a time over the offered resources."""

from collections.abc import Sequence
from typing import TypeAlias

from master.allocator.tree import is_within
from master.core.disks import (
    check_change,
    check_new,
    check_size,
    disk,
    draft_created,
    draft_doomed,
    draft_resized,
    find_volume,
)
from master.core.draft import Draft, put
from master.core.events import (
    KillRequested,
    ResourcesUnreserved,
    TaskLaunched,
    VolumeCreated,
    VolumeDoomed,
    VolumeResizing,
)
from master.core.holdings import (
    Maker,
    check_dynamic,
    check_quotas,
    check_reserve,
    draft_reserved,
    find_reservation,
    plan_reserve,
)
from master.core.lent import NOT_RESERVED, Lent
from master.core.operations import check_operation, draft_operation, operation_key
from master.core.orders import await_kill, await_launch
from master.core.reasons import Reason
from master.core.records import Agent, Framework, Offer, Volume
from master.core.state import State
from master.core.tasks import check_kills, draft_kill, find_task
from master.core.validity import check_count, check_description, weigh_description
from protocol.decision import Refused
from protocol.ids import task_key
from protocol.messages.agent import Kill, Launch
from protocol.messages.framework import (
    CreateVolume,
    DestroyVolume,
    KillTask,
    LaunchTask,
    Operation,
    Reserve,
    ResizeVolume,
    Unreserve,
)
from protocol.messages.values import OperationState, OperationStatus, TaskDescription, TaskReason
from protocol.messages.values import Volume as WireVolume
from protocol.resources import Resources, format_amount

WAITING = (VolumeCreated, VolumeResizing, VolumeDoomed)  # for the agent to confirm
NamedOperation: TypeAlias = Reserve | Unreserve | CreateVolume | ResizeVolume | DestroyVolume

BYTES_MAX = 640 << 10  # of an accept's descriptions, which go into one entry of the log


class Acceptance:
    """What is left of the offers, and the launches so far."""

    def __init__(
        self,
        draft: Draft,
        state: State,
        framework: Framework,
        offers: Sequence[Offer],
        launched: dict[str, TaskLaunched] | None = None,
    ) -> None:
        """`launched` is what the same decision has launched before, and gets what this does."""
        self._draft = draft
        self._state = state
        self._framework = framework
        self._offers = offers
        self._operations: dict[str, None] = {}
        self._volumes_made = 0
        self._launched = {} if launched is None else launched
        self._bytes = 0
        self._agent = state.agents[offers[0].agent_id] if offers else None
        self.left = Lent(self._agent, offers)

    @property
    def launched(self) -> tuple[Resources, ...]:
        """What each task takes that is launched."""
        return tuple(event.description.resources for event in self._launched.values())

    def fold(self, operation: Operation) -> Refused | None:
        """Add one operation to the draft.

        Refuses: NO_OFFERS, DUPLICATE_TASK, MAY_STILL_RUN, OVER_CLAIMED, TOO_MANY, BAD_DURATION,
        NOT_ITS_ROLE, and all that `check_description`, `check_reserve` and `plan_reserve` do.
        """
        match operation:
            case LaunchTask():
                return self._launch(operation)
            case KillTask():
                return self._kill(operation)
        name, settings = operation.operation_id, self._draft.settings
        refused = check_operation(self._framework, name, self._operations, settings)
        before = len(self._draft.events)
        refused = refused or self._fold_named(operation)
        if refused is None and name:
            self._operations[name] = None
            waits = any(isinstance(each, WAITING) for each in self._draft.events[before:])
            ended = OperationState.PENDING if waits else OperationState.FINISHED
            status = OperationStatus(name, self._framework.id, self._offers[0].agent_id, ended)
            draft_operation(self._draft, self._state, status, is_known=False)
        return refused

    def _fold_named(self, operation: NamedOperation) -> Refused | None:
        if self._agent is None:
            text = f"{type(operation).__name__} is for what is offered, but no offer is accepted"
            return Refused(Reason.NO_OFFERS, text)
        match operation:
            case Reserve():
                return self._reserve(self._agent, operation)
            case Unreserve():
                return self._unreserve(self._agent, operation)
            case CreateVolume():
                return self._create_volume(self._agent, operation)
            case ResizeVolume():
                return self._resize_volume(self._agent, operation)
            case DestroyVolume():
                return self._destroy_volume(self._agent, operation)

    def _launch(self, operation: LaunchTask) -> Refused | None:
        description = operation.description
        refused = self._check_launch(operation)
        if refused:
            return refused
        offer = self._offers[0]
        for name in operation.reservations:
            if name != NOT_RESERVED and name not in self.left.reservations:
                text = f"task {description.task_id} names reservation {name[:140]!r}"
                text = f"{text}, which agent {offer.agent_id} does not have"
                return Refused(Reason.UNKNOWN_RESERVATION, text)
        if description.volumes and (fault := self.left.mount(description.volumes)):
            text = f"task {description.task_id} cannot be given what it wants: {fault}"
            return Refused(Reason.UNKNOWN_VOLUME, text)
        draws = self.left.take(description.resources, operation.reservations)
        if draws is None:
            lack = self._lack(f"task {description.task_id}", description.resources)
            if self.left.resources.contains(description.resources):
                lack = f"task {description.task_id} names too few reservations to take from"
            return Refused(Reason.OVER_CLAIMED, lack)
        event = TaskLaunched(
            launch=self._state.launches_next + len(self._launched),
            framework_id=self._framework.id,
            agent_id=offer.agent_id,
            role=offer.role,
            description=description,
            draws=draws,
        )
        self._launched[description.task_id] = event
        self._draft.events.append(event)
        user = description.user or self._framework.user
        order = Launch(event.launch, event.framework_id, event.role, description, user)
        put(self._draft.launches, offer.agent_id, order)
        await_launch(self._draft, task_key(self._framework.id, description.task_id))
        return None

    def _check_launch(self, operation: LaunchTask) -> Refused | None:
        description = operation.description
        task_id = description.task_id
        if not self._offers:
            text = f"task {task_id[:140]!r} is to be launched, but no offer is accepted"
            return Refused(Reason.NO_OFFERS, text)
        if refused := check_description(description, self._draft.settings):
            return refused
        if task_id in self._launched:
            return Refused(Reason.DUPLICATE_TASK, f"task {task_id} is launched twice")
        known = find_task(self._state, self._framework, task_id)
        if known is not None:
            text = f"task {task_id} exists already: {known.status.state.name}"
            return Refused(Reason.DUPLICATE_TASK, text)
        if refused := self._check_replaced(description):
            return refused
        self._bytes += weigh_description(description)
        if refused := check_count("bytes of descriptions in one accept", self._bytes, BYTES_MAX):
            return refused
        return self._check_room()

    def _reserve(self, agent: Agent, operation: Reserve) -> Refused | None:
        known, framework = self.left.reservations, self._framework
        maker = Maker(framework.principal, framework.id)
        refused = (
            check_reserve(operation, len(known), self._draft.settings)
            or self._check_role(operation.role)
            or (self._check_source(operation.source) if operation.source else None)
        )
        event = refused or plan_reserve(agent, known, operation, maker, self._draft.now_ns)
        if isinstance(event, Refused):
            return event
        wanted = operation.resources
        if not wanted and operation.reservation not in known:
            return Refused(Reason.BAD_RESOURCES, f"nothing is reserved for {operation.role}")
        if not self.left.part(operation.source).contains(wanted):
            whose = f"reservation {event.reservation.id}"
            return Refused(Reason.OVER_CLAIMED, self._lack(whose, wanted, operation.source))
        before = known[operation.source].role if operation.source else self._offers[0].role
        if refused := check_quotas(self._state, operation.role, wanted, before):
            return refused
        self.left.reserve(event, self._draft.now_ns)
        draft_reserved(self._draft, event)
        return None

    def _unreserve(self, agent: Agent, operation: Unreserve) -> Refused | None:
        if refused := self._check_source(operation.reservation):
            return refused
        left = self.left.part(operation.reservation)
        wanted = operation.resources or left
        if not wanted or not left.contains(wanted):
            lack = self._lack(f"reservation {operation.reservation}", wanted, operation.reservation)
            return Refused(Reason.OVER_CLAIMED, lack)
        event = ResourcesUnreserved(agent.id, operation.reservation, wanted)
        self.left.unreserve(event)
        self._draft.events.append(event)
        return None

    def _create_volume(self, agent: Agent, operation: CreateVolume) -> Refused | None:
        source, size_bytes = operation.reservation, operation.size_bytes
        known = find_reservation(agent, self.left.reservations, source)
        if isinstance(known, Refused):
            return known
        number = self._state.volumes_next + self._volumes_made
        name = operation.volume or f"v{number}"
        refused = (
            self._check_role(known.role)
            or check_new(agent, self.left.names, name, self._draft.settings)
            or check_size(name, size_bytes)
            or self._check_disk(name, source, size_bytes)
        )
        if refused:
            return refused
        volume = WireVolume(
            id=name,
            number=number,
            reservation=source,
            role=known.role,
            size_bytes=size_bytes,
            is_shared=operation.is_shared,
            principal=self._framework.principal,
            framework_id=self._framework.id,
        )
        self._volumes_made += 1
        key = operation_key(self._framework.id, operation.operation_id)
        self.left.create(draft_created(self._draft, agent, volume, key))
        return None

    def _resize_volume(self, agent: Agent, operation: ResizeVolume) -> Refused | None:
        found = self._find_volume(agent, operation.volume, "resize")
        if isinstance(found, Refused):
            return found
        volume, role = found
        if operation.size_bytes == volume.wanted_bytes:
            return None
        more_bytes = max(0, operation.size_bytes - volume.held_bytes)
        if refused := check_size(volume.id, operation.size_bytes) or self._check_disk(
            volume.id, volume.reservation, more_bytes
        ):
            return refused
        self.left.give(volume, more_bytes)
        key = operation_key(self._framework.id, operation.operation_id)
        draft_resized(self._draft, agent, volume, role, operation.size_bytes, key)
        return None

    def _destroy_volume(self, agent: Agent, operation: DestroyVolume) -> Refused | None:
        found = self._find_volume(agent, operation.volume, "destroy")
        if isinstance(found, Refused):
            return found
        volume, role = found
        if volume.id in self.left.mounted:
            text = f"volume {volume.id} is to be destroyed, and used by a task"
            return Refused(Reason.VOLUME_IN_USE, text)
        del self.left.volumes[volume.id]
        key = operation_key(self._framework.id, operation.operation_id)
        draft_doomed(self._draft, agent, volume, role, key)
        return None

    def _find_volume(self, agent: Agent, name: str, verb: str) -> tuple[Volume, str] | Refused:
        """Return an offered volume that may be changed like this, and its role."""
        volume = find_volume(agent, self.left.volumes, name)
        if isinstance(volume, Refused):
            return volume
        role = self.left.reservations[volume.reservation].role
        refused = self._check_role(role) or check_change(self._state, agent, volume, verb)
        return refused or (volume, role)

    def _check_disk(self, name: str, source: str, size_bytes: int) -> Refused | None:
        if self.left.part(source).contains(disk(size_bytes)):
            return None
        return Refused(Reason.OVER_CLAIMED, self._lack(f"volume {name}", disk(size_bytes), source))

    def _check_source(self, name: str) -> Refused | None:
        """Refuse to take from what the framework may use, but not give away."""
        assert self._agent is not None
        known = find_reservation(self._agent, self.left.reservations, name)
        if isinstance(known, Refused):
            return known
        return check_dynamic(known) or self._check_role(known.role)

    def _check_role(self, role: str) -> Refused | None:
        if any(is_within(role, mine) for mine in self._framework.roles):
            return None
        text = f"role {role[:140]!r} is none of framework {self._framework.id}, and below none"
        return Refused(Reason.NOT_ITS_ROLE, text)

    def _check_replaced(self, description: TaskDescription) -> Refused | None:
        """Refuse to start a task beside the one that it replaces."""
        if not (replaced := description.replaces):
            return None
        name = f"task {description.task_id} replaces {replaced[:140]}"
        if replaced == description.task_id or replaced in self._launched:
            return Refused(Reason.MAY_STILL_RUN, f"{name}, which is launched with it")
        task = find_task(self._state, self._framework, replaced)
        if task is None or task.is_ended:
            return None
        text = (
            f"{name}, which may still run: it is {task.status.state.name} on agent "
            f"{task.agent_id}; wait for its end, or have the agent declared gone"
        )
        return Refused(Reason.MAY_STILL_RUN, text)

    def _check_room(self) -> Refused | None:
        settings, launched = self._draft.settings, len(self._launched)
        for whose, count, count_max in (
            ("the framework", len(self._framework.tasks), settings.framework_tasks_max),
            ("the cluster", len(self._state.tasks), settings.tasks_max),
        ):
            if count + launched >= count_max:
                text = f"{whose} has {count + launched} tasks, at most {count_max} are allowed"
                return Refused(Reason.TOO_MANY, text)
        held = self._framework.description_bytes + self._bytes
        what = "bytes of descriptions of the framework's tasks"
        return check_count(what, held, settings.framework_bytes_max)

    def _lack(self, whose: str, wanted: Resources, source: str | None = None) -> str:
        """Say what is missing of all that is offered, or of one reservation."""
        left = self.left.resources if source is None else self.left.part(source)
        of = f"of reservation {source} in the offers" if source else "of the offers"
        for name, amount in wanted.scalars.items():
            rest = left.scalars.get(name, 0)
            if amount > rest:
                return (
                    f"{whose} asks for {name} {format_amount(name, amount)}, "
                    f"{format_amount(name, rest)} is left {of}"
                )
        for name, spans in wanted.ranges.items():
            part = Resources(ranges={name: spans})
            if not left.contains(part):
                ranges = ",".join(f"{first}-{last}" for first, last in spans[:8])
                return f"{whose} asks for {name} {ranges} that the offers do not have"
        return f"{whose} asks for items that the offers do not have"

    def _kill(self, operation: KillTask) -> Refused | None:
        if refused := check_kills((operation,), self._draft.settings):
            return refused
        launched = self._launched.get(operation.task_id)
        if launched is None:
            draft_kill(self._draft, self._state, self._framework, operation)
            return None
        key = task_key(self._framework.id, operation.task_id)
        reason, grace_ns = TaskReason.KILLED_BY_FRAMEWORK, operation.grace_ns
        self._draft.events.append(
            KillRequested(self._framework.id, operation.task_id, grace_ns, reason)
        )
        grace_ns = grace_ns or launched.description.kill_grace_ns
        kill = Kill(self._framework.id, operation.task_id, launched.launch, grace_ns, reason)
        put(self._draft.kills, self._offers[0].agent_id, kill)
        await_kill(self._draft, key)
        return None
