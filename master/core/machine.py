"""The master's state machine: which function decides which command and folds which event."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from master.core import (
    absence,
    agents,
    bookings,
    disks,
    duty,
    frameworks,
    inverse,
    keeping,
    leadership,
    maintenance,
    offers,
    operations,
    policies,
    quotas,
    requests,
    reservations,
    resizes,
    roles,
    soft,
    tasks,
    transactions,
    updates,
    versions,
    volumes,
)
from master.core import events as of
from master.core.absence import LiftGuard
from master.core.agents import AgentUnlinked, RegisterAgent
from master.core.bookings import RemoveBooking, SetBooking
from master.core.draft import Outcome, Reply
from master.core.duty import ActivateAgent, DeactivateAgent, DeclareGone, DrainAgent
from master.core.effects import Effect
from master.core.events import Event
from master.core.frameworks import (
    FrameworkUnlinked,
    LeaveFramework,
    SubscribeFramework,
    TeardownFramework,
)
from master.core.inverse import AnswerInverseOffers
from master.core.leadership import TakeOver, Tick
from master.core.maintenance import EndWindow, ScheduleWindow
from master.core.offers import AcceptOffers, DeclineOffers
from master.core.operations import AcknowledgeOperations, ReconcileOperations
from master.core.policies import SetPolicy
from master.core.quotas import SetQuota
from master.core.requests import RequestResources
from master.core.reservations import ReserveByOperator, UnreserveByOperator
from master.core.resizes import ResizeTask
from master.core.roles import ReviveOffers, SetWeight, SuppressOffers
from master.core.settings import Settings
from master.core.snapshot import dump, load
from master.core.state import State
from master.core.tasks import KillByOperator, KillTasks, ReconcileTasks
from master.core.transactions import ObserveCluster, TransactLaunches
from master.core.updates import AcknowledgeUpdates, UpdateStatuses
from master.core.volumes import ChangeVolumeByOperator, ReportVolumes
from rlog.spaces.commands import APPLY as SPACE_EVENTS
from rlog.spaces.commands import ChangeSpace
from rlog.versions import needed_by

__all__ = ["Command", "Effect", "Event", "Machine", "Reply", "State"]

Command: TypeAlias = (
    TakeOver
    | Tick
    | SubscribeFramework
    | FrameworkUnlinked
    | TeardownFramework
    | LeaveFramework
    | RegisterAgent
    | AgentUnlinked
    | DeactivateAgent
    | ActivateAgent
    | DrainAgent
    | DeclareGone
    | LiftGuard
    | ScheduleWindow
    | EndWindow
    | AnswerInverseOffers
    | AcceptOffers
    | DeclineOffers
    | RequestResources
    | ObserveCluster
    | TransactLaunches
    | ReviveOffers
    | SuppressOffers
    | SetWeight
    | SetQuota
    | ReserveByOperator
    | UnreserveByOperator
    | SetPolicy
    | ChangeVolumeByOperator
    | SetBooking
    | RemoveBooking
    | ReportVolumes
    | AcknowledgeOperations
    | ReconcileOperations
    | KillTasks
    | KillByOperator
    | ResizeTask
    | ReconcileTasks
    | ChangeSpace
    | UpdateStatuses
    | AcknowledgeUpdates
)

_DECIDE: dict[type, Callable[[State, Any, int, Settings], Outcome]] = {
    TakeOver: leadership.decide_take_over,
    Tick: leadership.decide_tick,
    SubscribeFramework: frameworks.decide_subscribe,
    FrameworkUnlinked: frameworks.decide_unlinked,
    TeardownFramework: frameworks.decide_teardown,
    LeaveFramework: frameworks.decide_leave,
    RegisterAgent: agents.decide_register,
    AgentUnlinked: agents.decide_unlinked,
    DeactivateAgent: duty.decide_deactivate,
    ActivateAgent: duty.decide_activate,
    DrainAgent: duty.decide_drain,
    DeclareGone: duty.decide_gone,
    LiftGuard: absence.decide_lift,
    ScheduleWindow: maintenance.decide_schedule,
    EndWindow: maintenance.decide_end,
    AnswerInverseOffers: inverse.decide_answer,
    AcceptOffers: offers.decide_accept,
    DeclineOffers: offers.decide_decline,
    RequestResources: requests.decide_request,
    ObserveCluster: transactions.decide_observe,
    TransactLaunches: transactions.decide_transact,
    ReviveOffers: roles.decide_revive,
    SuppressOffers: roles.decide_suppress,
    SetWeight: roles.decide_weight,
    SetQuota: quotas.decide_quota,
    ReserveByOperator: reservations.decide_reserve,
    UnreserveByOperator: reservations.decide_unreserve,
    SetPolicy: policies.decide_policy,
    SetBooking: bookings.decide_booking,
    RemoveBooking: bookings.decide_no_booking,
    ChangeVolumeByOperator: volumes.decide_change_volume,
    ReportVolumes: volumes.decide_report,
    AcknowledgeOperations: operations.decide_acknowledge_operations,
    ReconcileOperations: operations.decide_reconcile_operations,
    KillTasks: tasks.decide_kill,
    KillByOperator: tasks.decide_kill_by_operator,
    ResizeTask: resizes.decide_resize,
    ReconcileTasks: tasks.decide_reconcile,
    ChangeSpace: keeping.decide_change,
    UpdateStatuses: updates.decide_update,
    AcknowledgeUpdates: updates.decide_acknowledge,
}

_APPLY: dict[type, Callable[[State, Any], None]] = {
    **dict.fromkeys(SPACE_EVENTS, keeping.apply_event),
    of.LeadershipTaken: leadership.apply_leadership_taken,
    of.ClusterFounded: leadership.apply_cluster_founded,
    of.LogRestored: leadership.apply_log_restored,
    of.FrameworkSubscribed: frameworks.apply_framework_subscribed,
    of.FrameworkDisconnected: frameworks.apply_framework_disconnected,
    of.FrameworkLeft: frameworks.apply_framework_left,
    of.FrameworkRemoved: frameworks.apply_framework_removed,
    of.RolesSuppressed: roles.apply_roles_suppressed,
    of.RolesRevived: roles.apply_roles_revived,
    of.WeightSet: roles.apply_weight_set,
    of.QuotaSet: quotas.apply_quota_set,
    of.ResourcesReserved: reservations.apply_reserved,
    of.ResourcesUnreserved: reservations.apply_unreserved,
    of.ReservationEnding: reservations.apply_ending,
    of.PolicySet: policies.apply_policy_set,
    of.BookingSet: bookings.apply_booking_set,
    of.BookingRemoved: bookings.apply_booking_removed,
    of.VolumeCreated: disks.apply_created,
    of.VolumeResizing: disks.apply_resizing,
    of.VolumeDoomed: disks.apply_doomed,
    of.VolumeSettled: disks.apply_settled,
    of.VolumeGone: disks.apply_gone,
    of.OperationUpdated: operations.apply_operation_updated,
    of.OperationAcknowledged: operations.apply_operation_acknowledged,
    of.AgentAdmitted: agents.apply_agent_admitted,
    of.AgentUnreachable: agents.apply_agent_unreachable,
    of.AgentRemoved: agents.apply_agent_removed,
    of.AgentDeactivated: duty.apply_agent_deactivated,
    of.AgentActivated: duty.apply_agent_activated,
    of.DrainBegun: duty.apply_drain_begun,
    of.AgentDeclaredGone: duty.apply_agent_declared_gone,
    of.GuardLifted: absence.apply_guard_lifted,
    of.WindowScheduled: maintenance.apply_window_scheduled,
    of.WindowBegun: maintenance.apply_window_begun,
    of.WindowEnded: maintenance.apply_window_ended,
    of.TaskLaunched: tasks.apply_task_launched,
    of.ResizeOrdered: resizes.apply_resize_ordered,
    of.ResizeSettled: resizes.apply_resize_settled,
    of.KillRequested: tasks.apply_kill_requested,
    of.TaskUpdated: updates.apply_task_updated,
    of.UpdateAcknowledged: updates.apply_update_acknowledged,
}


@dataclass(frozen=True, slots=True)
class Machine:
    """What `rlog.loop` drives, but for the encoding of events, which the shell adds."""

    settings: Settings = field(default_factory=Settings)

    def empty(self) -> State:
        return State()

    def decide(self, state: State, command: Command, now_ns: int) -> Outcome:
        return _DECIDE[type(command)](state, command, now_ns, self.settings)

    def foresee(self, state: State, command: Command) -> Outcome:
        """Return what a command would lead to now."""
        return self.decide(state, command, state.now_ns)

    def apply(self, state: State, event: Event) -> None:
        _APPLY[type(event)](state, event)
        if versions.SINCE:
            state.version = max(state.version, needed_by((event,), versions.SINCE))

    def apply_soft(self, state: State, event: object) -> None:
        soft.APPLY[type(event)](state, event)

    def drop_soft(self, state: State) -> None:
        soft.drop_soft(state)

    def take_over(self, term: int, address: str) -> Command:
        return TakeOver(term, address)

    def tick(self) -> Command:
        return Tick()

    def due(self, state: State) -> int | None:
        return state.soft.alarms.next_ns

    def reconcile(self, state: State) -> tuple[Effect, ...]:
        return leadership.reconcile(state, self.settings)

    def dump(self, state: State) -> bytes:
        return dump(state)

    def load(self, content: bytes) -> State:
        return load(content)
