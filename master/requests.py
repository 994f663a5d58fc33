"""Operators' requests that change something: what the core is asked to decide."""

from typing import TypeAlias

from master.core.absence import LiftGuard
from master.core.bookings import RemoveBooking, SetBooking
from master.core.draft import Reply, Said
from master.core.duty import ActivateAgent, DeactivateAgent, DeclareGone, DrainAgent
from master.core.effects import Effect
from master.core.events import Event
from master.core.frameworks import TeardownFramework
from master.core.machine import Command
from master.core.maintenance import EndWindow, ScheduleWindow
from master.core.policies import SetPolicy
from master.core.quotas import SetQuota
from master.core.reservations import ReserveByOperator, UnreserveByOperator
from master.core.resizes import ResizeTask
from master.core.roles import SetWeight
from master.core.soft import OfferClosed
from master.core.tasks import KillByOperator
from master.core.volumes import ChangeVolumeByOperator
from master.sessions import Link
from protocol.decision import Decision
from protocol.ids import AgentId, FrameworkId, TaskId
from protocol.messages.framework import Reserve
from protocol.messages.operator import ActivateAgent as ActivateCall
from protocol.messages.operator import (
    ChangeVolume,
    KillTaskByOperator,
    RemoveFramework,
    ResizeTaskByOperator,
)
from protocol.messages.operator import DeactivateAgent as DeactivateCall
from protocol.messages.operator import DeclareGone as DeclareGoneCall
from protocol.messages.operator import DrainAgent as DrainCall
from protocol.messages.operator import EndWindow as EndWindowCall
from protocol.messages.operator import LiftGuard as LiftGuardCall
from protocol.messages.operator import RemoveBooking as RemoveBookingCall
from protocol.messages.operator import ReserveByOperator as ReserveCall
from protocol.messages.operator import ScheduleWindow as ScheduleWindowCall
from protocol.messages.operator import SetBooking as SetBookingCall
from protocol.messages.operator import SetPolicy as SetPolicyCall
from protocol.messages.operator import SetQuota as SetQuotaCall
from protocol.messages.operator import SetWeight as SetWeightCall
from protocol.messages.operator import UnreserveByOperator as UnreserveCall
from protocol.quantities import amounts_of

DutyCall: TypeAlias = DeactivateCall | ActivateCall | DrainCall | DeclareGoneCall
Change: TypeAlias = (
    KillTaskByOperator
    | ResizeTaskByOperator
    | RemoveFramework
    | SetWeightCall
    | SetQuotaCall
    | SetPolicyCall
    | ReserveCall
    | UnreserveCall
    | ChangeVolume
    | SetBookingCall
    | RemoveBookingCall
    | LiftGuardCall
    | ScheduleWindowCall
    | EndWindowCall
    | DutyCall
)


def tell_plan(decision: Decision[Event, Effect, Reply]) -> Said:
    """Return what a command would do, in its own words or by its effect on open offers."""
    if isinstance(decision.reply, Said):
        return decision.reply
    closed = sum(isinstance(each, OfferClosed) for each in decision.soft)
    offers = "no offer" if not closed else "1 offer" if closed == 1 else f"{closed} offers"
    change = "changed" if decision.events else "nothing to change"
    return Said(f"{change}; {offers} taken back")


def command_of(request: Change, peer: Link) -> Command:
    """Return what the core is asked to decide."""
    match request:
        case KillTaskByOperator():
            framework, task = FrameworkId(request.framework_id), TaskId(request.task_id)
            return KillByOperator(framework, task, request.grace_ns)
        case ResizeTaskByOperator():
            framework, task = FrameworkId(request.framework_id), TaskId(request.task_id)
            return ResizeTask(framework, task, request.resources)
        case RemoveFramework():
            by = peer.principal or peer.name
            return TeardownFramework(FrameworkId(request.framework_id), by=by)
        case SetWeightCall():
            return SetWeight(request.role, request.weight_milli)
        case SetQuotaCall():
            guarantee, limit = amounts_of(request.guarantee), amounts_of(request.limit)
            return SetQuota(request.role, guarantee, limit, request.force)
        case SetPolicyCall():
            return SetPolicy(
                request.role,
                amounts_of(request.least),
                max(1, request.sharers),
                request.is_open,
                request.reclaims,
            )
        case ReserveCall():
            return ReserveByOperator(request.agent_id, _reserve_of(request), peer.principal)
        case UnreserveCall():
            name, resources = request.reservation, request.resources
            return UnreserveByOperator(request.agent_id, name, resources, request.when_free)
        case SetBookingCall():
            return SetBooking(request.booking, peer.principal)
        case RemoveBookingCall():
            return RemoveBooking(request.booking_id)
        case ChangeVolume():
            return ChangeVolumeByOperator(request, peer.principal)
        case ScheduleWindowCall():
            return ScheduleWindow(
                name=request.name,
                agents=request.agents,
                start_ns=request.start_ns,
                end_ns=request.end_ns,
                grace_ns=request.grace_ns,
                by=peer.principal or peer.name,
            )
        case EndWindowCall():
            return EndWindow(request.name, peer.principal or peer.name)
        case LiftGuardCall():
            return LiftGuard(peer.principal or peer.name, request.for_ns)
        case _:
            return _duty_of(request, peer.principal or peer.name)


def _duty_of(request: DutyCall, by: str) -> Command:
    agent_id = AgentId(request.agent_id)
    match request:
        case DeactivateCall():
            return DeactivateAgent(agent_id, by)
        case ActivateCall():
            return ActivateAgent(agent_id, by)
        case DeclareGoneCall():
            return DeclareGone(agent_id, by)
        case DrainCall():
            grace_ns, deadline_ns = request.grace_ns, request.deadline_ns
            return DrainAgent(agent_id, by, grace_ns, deadline_ns, request.marks_gone)


def _reserve_of(request: ReserveCall) -> Reserve:
    return Reserve(
        reservation=request.reservation,
        role=request.role,
        resources=request.resources,
        source=request.source,
        labels=request.labels,
        ttl_ns=request.ttl_ns,
    )
