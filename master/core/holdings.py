"""Holdings: which parts of one agent are bound to roles, and how such bonds are changed.

Reservations form a forest: one is made of what is unreserved, or refined out of another for a role
below that one's. What is in one is in none of the others.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from master.allocator.rations import Rations
from master.allocator.tree import is_within, lineage
from master.core.alarms import AlarmKind
from master.core.draft import Draft
from master.core.events import ResourcesReserved, ResourcesUnreserved
from master.core.reasons import Reason
from master.core.records import Agent, Reservation
from master.core.settings import Settings
from master.core.state import State, charged_by_role
from master.core.validity import (
    check_count,
    check_duration,
    check_labels,
    check_reservable,
    check_resources,
)
from protocol.decision import Refused
from protocol.ids import check_id
from protocol.messages import values as wire
from protocol.messages.framework import Reserve
from protocol.messages.values import StaticReservation
from protocol.quantities import format_quantities
from protocol.resources import Resources, sum_resources

STATIC = "static:"  # begins the names of reservations by configuration, and of no others
ADOPTED = "adopted-"  # and of those of volumes that agents brought back
LABELS_TOLD_MAX = 1024  # characters; an offer may name a hundred reservations, in half a frame
PARTS_TOLD_MAX = 64  # nor may the rest of an agent come to be in too many pieces
BOOKED = "booked:"  # and of those that bookings make

Reservations = dict[str, Reservation]


@dataclass(frozen=True, slots=True)
class Maker:
    """Who reserves: a framework's scheduler, or an operator."""

    principal: str
    framework_id: str = ""


def plan_reserve(
    agent: Agent, reservations: Reservations, request: Reserve, maker: Maker, now_ns: int
) -> ResourcesReserved | Refused:
    """Return the event that fulfils a request; whether the resources are there is another question.

    Taken from a reservation, they go to one for a role below its role, which is a refinement, or to
    any other role: then they leave as many reservations as do not fit that role, all at once.
    Refuses: UNKNOWN_RESERVATION, STATIC_RESERVATION, OTHER_RESERVATION, RESERVATION_ENDING.
    """
    parent = _parent_for(reservations, request.source, request.role)
    if isinstance(parent, Refused):
        return parent
    made = Reservation(
        id=request.reservation or _new_name(agent, reservations),
        role=request.role,
        parent=parent,
        principal=maker.principal,
        framework_id=maker.framework_id,
        labels=request.labels,
        expires_ns=now_ns + request.ttl_ns if request.ttl_ns else 0,
        is_kept=request.is_kept,
    )
    known = reservations.get(made.id)
    if known is not None and (refused := _check_alike(agent, known, made)):
        return refused
    return ResourcesReserved(agent.id, made.tell(request.resources), request.source)


def check_reserve(request: Reserve, count: int, settings: Settings) -> Refused | None:
    """Check what a request says, of an agent that has so many reservations."""
    name = request.reservation
    if name and ((fault := check_id(name)) or name.startswith((STATIC, ADOPTED, BOOKED))):
        fault = fault or f"names that begin with {STATIC} {ADOPTED} {BOOKED} are not for callers"
        return Refused(Reason.BAD_ID, f"reservation {name[:140]!r}: {fault}")
    return (
        check_reservable(request.role)
        or check_resources(f"a reservation for {request.role}", request.resources)
        or check_labels(request.labels)
        or check_told(f"a reservation for {request.role}", request.labels, request.resources)
        or check_duration("the ttl of a reservation", request.ttl_ns, settings.ttl_max_ns)
        or check_count("reservations of the agent", count + 1, settings.agent_reservations_max)
    )


def find_reservation(agent: Agent, reservations: Reservations, name: str) -> Reservation | Refused:
    """Return one that may be taken from. Refuses: UNKNOWN_RESERVATION."""
    found = reservations.get(name)
    if found is None:
        text = f"agent {agent.id} has no reservation {name[:140]!r}"
        return Refused(Reason.UNKNOWN_RESERVATION, text)
    return found


def check_told(what: str, labels: Iterable[wire.Label], resources: Resources) -> Refused | None:
    """Bound what each offer of an agent repeats of it."""
    size = sum(len(each.name) + len(each.value) for each in labels)
    parts = sum(map(len, (*resources.ranges.values(), *resources.sets.values())))
    return check_count(f"characters in the labels of {what}", size, LABELS_TOLD_MAX) or check_count(
        f"ranges and items in {what}", parts, PARTS_TOLD_MAX
    )


def check_quotas(state: State, role: str, resources: Resources, before: str = "") -> Refused | None:
    """Refuse to reserve for a role what it, or one above it, may not have.

    `before` is the role that the resources count for as yet.
    """
    if not state.quotas or role == before:
        return None
    rations = Rations(state.quotas, charged_by_role(state), state.capacity)
    if before:
        rations.take_back(before, resources.quantities)
    rations.charge(role, resources.quantities)
    for branch in lineage(role):
        if rations.is_over(branch):
            limit = format_quantities(state.quotas[branch].limit)
            held = format_quantities(dict(rations.held(branch)))
            text = f"{branch} would have {held}, more than its limit of {limit}"
            return Refused(Reason.QUOTA_EXCEEDED, text)
    return None


def check_dynamic(reservation: Reservation) -> Refused | None:
    """Refuse to undo what an agent's configuration says."""
    if not reservation.is_static:
        return None
    text = f"{reservation.id} is set by its agent's configuration; change it there"
    return Refused(Reason.STATIC_RESERVATION, text)


def draft_reserved(draft: Draft, event: ResourcesReserved) -> None:
    """Add the event, and wake up when the reservation ends."""
    draft.events.append(event)
    expires_ns = event.reservation.expires_ns
    key = (event.agent_id, event.reservation.id)
    if expires_ns:
        draft.alarm(AlarmKind.RESERVATION_ENDS, key, expires_ns - draft.now_ns)


def reserve(reservations: Reservations, event: ResourcesReserved, now_ns: int) -> None:
    """Let a reservation, which may be new, gain resources."""
    told = event.reservation
    known = reservations.get(told.id)
    if known is None:
        known = reservations[told.id] = _reservation_of(told, now_ns)
    known.resources = known.resources + told.resources
    known.expires_ns, known.is_kept = told.expires_ns, told.is_kept
    if event.source:
        source = reservations[event.source]
        source.resources = source.resources - told.resources
        _drop_empty(reservations, source)


def unreserve(reservations: Reservations, event: ResourcesUnreserved) -> None:
    """Let a reservation lose resources to the one that it was refined out of, if any."""
    known = reservations[event.reservation]
    known.resources = known.resources - event.resources
    if known.parent:
        parent = reservations[known.parent]
        parent.resources = parent.resources + event.resources
    _drop_empty(reservations, known)


def settle(
    agent: Agent | None, total: Resources, static: Iterable[StaticReservation]
) -> Reservations:
    """Return an agent's reservations when its configuration says this.

    Raises: ValueError with a sentence when it leaves too little to what was reserved besides.
    """
    before = {} if agent is None else agent.reservations
    after: Reservations = {
        STATIC + each.role: _static_of(before, each.role, each.resources) for each in static
    }
    for known in before.values():
        if not known.is_static:
            after[known.id] = replace(known)
        elif known.id not in after and agent is not None and _is_needed(agent, known):
            after[known.id] = replace(known, resources=sum_resources(_refined(before, known.id)))
    for known in after.values():
        if known.is_static:
            try:
                known.resources = known.resources - sum_resources(_refined(before, known.id))
            except ValueError:
                raise ValueError(f"what was refined out of {known.id} is more than that") from None
    rest = total
    for known in after.values():
        if not rest.contains(known.resources):
            raise ValueError(f"it is too little for reservation {known.id}")
        rest = rest - known.resources
    return after


def depth_first(reservations: Reservations) -> list[Reservation]:
    """Return reservations, those refined out of another before it; by name among equals."""
    return sorted(reservations.values(), key=lambda each: (-depth_of(reservations, each), each.id))


def depth_of(reservations: Mapping[str, Reservation], reservation: Reservation) -> int:
    """Return how many reservations this one was refined out of."""
    return sum(1 for _ in stack_of(reservations, reservation)) - 1


def stack_of(
    reservations: Mapping[str, Reservation], reservation: Reservation
) -> Iterator[Reservation]:
    """Return a reservation, the one that it was refined out of, and so on."""
    yield reservation
    while reservation.parent:
        reservation = reservations[reservation.parent]
        yield reservation


def children_of(reservations: Mapping[str, Reservation], name: str) -> Iterator[Reservation]:
    """Return what was refined out of a reservation itself."""
    return (each for each in reservations.values() if each.parent == name)


def _new_name(agent: Agent, reservations: Reservations) -> str:
    number = agent.reservations_made + 1
    while f"r{number}" in reservations:
        number += 1
    return f"r{number}"


def _parent_for(reservations: Reservations, source: str, role: str) -> str | Refused:
    """Return what resources stay in when they leave `source` for a role."""
    if not source:
        return ""
    if source not in reservations:
        text = f"there is no reservation {source[:140]!r} to take from"
        return Refused(Reason.UNKNOWN_RESERVATION, text)
    for each in stack_of(reservations, reservations[source]):
        if role != each.role and is_within(role, each.role):
            return each.id
        if refused := check_dynamic(each):
            return refused
    return ""


def _check_alike(agent: Agent, known: Reservation, made: Reservation) -> Refused | None:
    if known.is_ending:
        text = f"reservation {known.id} of agent {agent.id} is ending"
        return Refused(Reason.RESERVATION_ENDING, text)
    for what in ("role", "parent", "principal", "framework_id", "labels"):
        ours, theirs = getattr(known, what), getattr(made, what)
        if ours != theirs:
            text = (
                f"agent {agent.id} has a reservation {known.id} for role {known.role} already; "
                f"its {what.replace('_', ' ')} differs, so choose another name"
            )
            return Refused(Reason.OTHER_RESERVATION, text)
    return None


def _reservation_of(told: wire.Reservation, now_ns: int) -> Reservation:
    return Reservation(
        id=told.id,
        role=told.role,
        parent=told.parent,
        principal=told.principal,
        framework_id=told.framework_id,
        labels=told.labels,
        made_ns=now_ns,
    )


def _static_of(before: Reservations, role: str, resources: Resources) -> Reservation:
    name = STATIC + role
    known = before.get(name) or Reservation(id=name, role=role, is_static=True)
    return replace(known, resources=resources)


def _refined(reservations: Reservations, name: str) -> Iterator[Resources]:
    """Return what is in the reservations below one."""
    for child in children_of(reservations, name):
        yield child.resources
        yield from _refined(reservations, child.id)


def _is_needed(agent: Agent, known: Reservation) -> bool:
    return (
        bool(known.allocated)
        or any(children_of(agent.reservations, known.id))
        or any(each.reservation == known.id for each in agent.volumes.values())
    )


def _drop_empty(reservations: Reservations, known: Reservation) -> None:
    """Forget a reservation with nothing in it, and those that it leaves empty."""
    while not (known.resources or known.is_static or any(children_of(reservations, known.id))):
        del reservations[known.id]
        if not known.parent:
            return
        known = reservations[known.parent]
