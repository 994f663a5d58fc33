"""Views as plain objects for `-o json`: stable snake_case keys, integers with their unit's name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict

from protocol.messages.operator import (
    AgentView,
    BookingView,
    FrameworkView,
    MasterView,
    OfferView,
    PolicyView,
    QuotaView,
    ReservationView,
    RoleView,
    TaskView,
    VolumeView,
    WindowView,
)
from protocol.messages.values import Discovery, Quantity
from protocol.resources import Resources
from rlog.spaces.views import SpaceView

BYTES = ("mem", "disk")

Plain = dict[str, object]


def plain_resources(resources: Resources) -> Plain:
    """Return amounts as integers named by unit, ranges as pairs, sets as lists."""
    found: Plain = {}
    for name, amount in sorted(resources.scalars.items()):
        found[f"{name}_bytes" if name in BYTES else f"{name}_milli"] = amount
    for name, ranges in sorted(resources.ranges.items()):
        found[name] = [list(pair) for pair in ranges]
    for name, items in sorted(resources.sets.items()):
        found[name] = list(items)
    return found


def plain_master(view: MasterView) -> Plain:
    return {
        "address": view.address,
        "role": view.role,
        "member": view.member,
        "is_reachable": view.is_reachable,
        "term": view.term,
        "committed": view.committed,
        "applied": view.applied,
        "lag": view.lag,
        "cluster_id": view.cluster_id,
        "version": view.version,
        "trouble": view.trouble,
    }


def plain_agent(view: AgentView) -> Plain:
    return {
        "agent_id": view.agent_id,
        "hostname": view.hostname,
        "address": view.address,
        "state": view.state,
        "duty": view.duty,
        "drain": plain_drain(view) if view.drain_ns else None,
        "tasks": view.tasks,
        "total": plain_resources(view.total),
        "allocated": plain_resources(view.allocated),
        "offered": plain_resources(view.offered),
        "attributes": {each.name: each.value for each in view.attributes},
        "isolation": list(view.isolation),
        "registered_ns": view.registered_ns,
        "version": view.version,
    }


def plain_drain(view: AgentView) -> Plain:
    return {
        "by": view.by,
        "began_ns": view.drain_ns,
        "kill_ns": view.kill_ns,
        "marks_gone": view.marks_gone,
        "asked": view.asked,
        "accepted": view.accepted,
        "declined": view.declined,
    }


def plain_framework(view: FrameworkView) -> Plain:
    return {
        "framework_id": view.framework_id,
        "name": view.name,
        "state": view.state,
        "principal": view.principal,
        "user": view.user,
        "hostname": view.hostname,
        "roles": list(view.roles),
        "tasks": view.tasks,
        "offers": view.offers,
        "allocated": plain_resources(view.allocated),
        "subscribed_ns": view.subscribed_ns,
        "failover_timeout_ns": view.failover_timeout_ns,
    }


def plain_task(view: TaskView) -> Plain:
    status = view.status
    return {
        "framework_id": status.framework_id,
        "framework_name": view.framework_name,
        "task_id": status.task_id,
        "state": status.state.name,
        "reason": status.reason.name,
        "message": status.message,
        "exit_code": status.exit_code if is_exited(view) and not status.signal else None,
        "signal": status.signal or None,
        "pid": status.pid or None,
        "agent_id": status.agent_id,
        "agent_hostname": view.agent_hostname,
        "agent_address": view.agent_address,
        "role": view.role,
        "launch": status.launch,
        "sequence": status.sequence,
        "command": list(view.description.command),
        "resources": plain_resources(view.description.resources),
        "wanted": plain_resources(view.wanted) or None,
        "limits": plain_resources(view.description.limits) or None,
        "labels": {each.name: each.value for each in view.description.labels},
        "discovery": _plain_discovery(view.description.discovery),
        "launched_ns": view.launched_ns,
        "stamp_ns": status.stamp_ns,
    }


def _plain_discovery(discovery: Discovery) -> Plain | None:
    if not discovery.name:
        return None
    return {
        "name": discovery.name,
        "visibility": discovery.visibility,
        "ports": [asdict(port) for port in discovery.ports],
    }


def plain_offer(view: OfferView) -> Plain:
    return {
        "offer_id": view.offer_id,
        "framework_id": view.framework_id,
        "agent_id": view.agent_id,
        "hostname": view.hostname,
        "role": view.role,
        "resources": plain_resources(view.resources),
        "made_ns": view.made_ns,
        "rival_of": view.rival_of,
    }


def plain_role(view: RoleView) -> Plain:
    return {
        "role": view.role,
        "weight_milli": view.weight_milli,
        "frameworks": view.frameworks,
        "allocated": plain_resources(view.allocated),
        "dominant_share_millionths": view.dominant_share_millionths,
        "dominant_resource": view.dominant_resource,
        "wanted": _plain_quantities(view.wanted),
        "wanted_tasks": view.wanted_tasks,
    }


def plain_reservation(view: ReservationView) -> Plain:
    told = view.reservation
    return {
        "agent_id": view.agent_id,
        "hostname": view.hostname,
        "reservation": told.id,
        "role": told.role,
        "state": view.state,
        "parent": told.parent or None,
        "principal": told.principal,
        "framework_id": told.framework_id or None,
        "labels": {each.name: each.value for each in told.labels},
        "resources": plain_resources(told.resources),
        "allocated": plain_resources(view.allocated),
        "offered": plain_resources(view.offered),
        "expires_ns": told.expires_ns or None,
        "made_ns": view.made_ns,
    }


def plain_volume(view: VolumeView) -> Plain:
    told = view.volume
    return {
        "agent_id": view.agent_id,
        "hostname": view.hostname,
        "volume": told.id,
        "number": told.number,
        "state": told.state.name,
        "fault": view.fault or None,
        "size_bytes": told.size_bytes,
        "is_shared": told.is_shared,
        "reservation": told.reservation,
        "role": told.role,
        "principal": told.principal,
        "framework_id": told.framework_id or None,
        "tasks": list(view.tasks),
        "made_ns": view.made_ns,
    }


def plain_booking(view: BookingView) -> Plain:
    told = view.booking
    return {
        "booking": told.id,
        "role": told.role,
        "state": view.state,
        "share_millionths": told.share_millionths or None,
        "resources": plain_resources(told.resources),
        "attributes": {each.name: each.value for each in told.attributes},
        "cron": told.cron or None,
        "duration_ns": told.duration_ns or None,
        "lead_ns": told.lead_ns,
        "is_killing": told.is_killing,
        "begin_ns": told.begin_ns,
        "end_ns": told.end_ns or None,
        "labels": {each.name: each.value for each in told.labels},
        "principal": told.principal,
        "agents": view.agents,
        "wanted": plain_resources(view.wanted),
        "reserved": plain_resources(view.reserved),
    }


def plain_quota(view: QuotaView) -> Plain:
    parts = ("guarantee", "limit", "used", "offered")
    return {"role": view.role} | {part: _plain_quantities(getattr(view, part)) for part in parts}


def plain_policy(view: PolicyView) -> Plain:
    least = _plain_quantities(view.least)
    return {
        "role": view.role,
        "least": least,
        "sharers": view.sharers,
        "is_open": view.is_open,
        "reclaims": view.reclaims,
    }


def _plain_quantities(quantities: Iterable[Quantity]) -> Plain:
    return plain_resources(Resources({each.name: each.amount for each in quantities}))


def is_exited(view: TaskView) -> bool:
    """Whether the task ran and its first process ended, so that an exit status is known."""
    return view.status.reason.name == "COMMAND_EXITED" or view.status.signal != 0


PLAIN: Mapping[type, Callable[..., Plain]] = {
    MasterView: plain_master,
    AgentView: plain_agent,
    FrameworkView: plain_framework,
    TaskView: plain_task,
    OfferView: plain_offer,
    RoleView: plain_role,
    QuotaView: plain_quota,
    ReservationView: plain_reservation,
    PolicyView: plain_policy,
    VolumeView: plain_volume,
    WindowView: asdict,
    BookingView: plain_booking,
    SpaceView: asdict,
}
