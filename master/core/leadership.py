"""Leadership: what a new leader does first, and what time makes due."""

from collections.abc import Callable
from dataclasses import dataclass

from master.core import (
    absence,
    bookings,
    duty,
    frameworks,
    inverse,
    keeping,
    maintenance,
    operations,
    reservations,
    volumes,
)
from master.core.alarms import AlarmKind
from master.core.allocation import draft_pass, offer_of
from master.core.backoff import ring_back_off_ends
from master.core.disks import order_volume
from master.core.draft import Draft, Outcome, put
from master.core.effects import Effect
from master.core.events import ClusterFounded, LeadershipTaken, LogRestored
from master.core.offers import ring_offer_old
from master.core.orders import order_kill, order_launch, order_resize, order_updates
from master.core.preemption import ring_reclaim_due
from master.core.records import Task
from master.core.settings import Settings
from master.core.soft import LeadershipBegun, RefusalEnded
from master.core.state import State
from master.core.tasks import draft_answers
from master.core.transactions import ring_views_due
from master.core.validity import format_duration
from master.core.waiting import ring_demand_waits
from protocol.ids import AgentId, FrameworkId, TaskKey
from protocol.messages.values import TaskState
from rlog.spaces.alarms import AlarmsTaken
from rlog.spaces.commands import run_leases
from rlog.spaces.records import skip_revisions


@dataclass(frozen=True, slots=True)
class TakeOver:
    """The first command of a leadership."""

    term: int
    address: str
    origin: str = ""  # the log's own id, which becomes the cluster's if this is the first


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: do what is due."""


def decide_take_over(state: State, command: TakeOver, now_ns: int, settings: Settings) -> Outcome:
    """Begin to wait for everybody: no agent and no framework is linked to this leader yet."""
    draft = Draft(now_ns, settings)
    draft.events.append(LeadershipTaken(command.term, command.address))
    if command.origin and not state.origin:
        draft.events.append(ClusterFounded(command.origin))
    draft.soft.append(LeadershipBegun())
    for agent in state.agents.values():
        if agent.drain:
            draft.alarm(AlarmKind.AGENT_DRAIN, (agent.id,), 0)
        if agent.drain or agent.id in state.window_of:
            inverse.ask_soon(draft, agent.id)
        if agent.gone:
            draft.alarm(AlarmKind.AGENT_REMOVAL, (agent.id,), 0)
        elif agent.is_unreachable:
            removal_ns = agent.unreachable_ns + settings.agent_removal_ns - now_ns
            after_ns = max(removal_ns, settings.agent_timeout_ns)
            draft.alarm(AlarmKind.AGENT_REMOVAL, (agent.id,), after_ns)
        else:
            draft.alarm(AlarmKind.AGENT_SILENT, (agent.id,), settings.agent_timeout_ns)
    for window in state.windows.values():
        if (after_ns := maintenance.window_alarm(window, now_ns)) >= 0:
            draft.alarm(AlarmKind.WINDOW, (window.name,), after_ns)
    draft.soft.extend(run_leases(state.spaces, now_ns))
    reservations.await_ends(draft, state)
    bookings.await_bookings(draft, state)
    for framework in state.frameworks.values():
        if not framework.is_removed:
            away_ns = now_ns if framework.is_connected else framework.disconnected_ns
            draft.soft.append(frameworks.absence_alarm(framework, away_ns, now_ns, settings))
            if framework.has_left and framework.live == 0:
                draft.alarm(AlarmKind.FRAMEWORK_IDLE, (framework.id,), 0)
    return draft.decision()


def decide_tick(state: State, command: Tick, now_ns: int, settings: Settings) -> Outcome:
    """Do what is due, a bounded part of it at a time.

    The allocation pass goes first: it saw nothing of what the other alarms change.
    """
    subjects = state.soft.alarms.upcoming(now_ns, settings.tick_alarms_max)
    draft = Draft(now_ns, settings)
    if (AlarmKind.ALLOCATION, ()) in subjects:
        draft_pass(draft, state)
    count = 0
    while count < len(subjects) and len(draft.events) < settings.tick_events_max:
        subject = subjects[count]
        count += 1
        if subject and subject[0] is not AlarmKind.ALLOCATION:
            _RING[subject[0]](draft, state, subject[1])
    draft.soft.insert(0, AlarmsTaken(count, now_ns))
    return draft.decision()


def reconcile(state: State, settings: Settings) -> tuple[Effect, ...]:
    """Return every effect that is outstanding: what a lost one would have said."""
    draft = Draft(state.now_ns, settings)
    for task in state.tasks.values():
        _order_again(draft, state, task)
    for agent_id in state.soft.agent_links:
        agent = state.agents[agent_id]
        for volume in agent.volumes.values():
            if not volume.is_settled:
                role = agent.reservations[volume.reservation].role
                order_volume(draft, agent_id, volume, role)
    for offer in state.soft.offers.values():
        put(draft.offers, offer.framework_id, offer_of(state, offer))
    for framework_id, asked in inverse.open_inverse(state):
        put(draft.inverse_offers, framework_id, asked)
    return tuple(draft.effects())


def apply_cluster_founded(state: State, event: ClusterFounded) -> None:
    state.origin = event.origin


def apply_log_restored(state: State, event: LogRestored) -> None:
    """Leave out the numbers that the log gave after its backup: agents and schedulers know them."""
    state.launches_next += event.launches_skipped
    state.frameworks_next += event.frameworks_skipped
    state.volumes_next += event.launches_skipped
    skip_revisions(state.spaces, event.launches_skipped)


def apply_leadership_taken(state: State, event: LeadershipTaken) -> None:
    state.term, state.leader = event.term, event.address
    state.leaderships += 1
    state.taken_over_ns = state.now_ns
    for framework in state.frameworks.values():
        if framework.is_connected:
            framework.is_connected, framework.disconnected_ns = False, state.now_ns


def _order_again(draft: Draft, state: State, task: Task) -> None:
    if task.agent_id in state.soft.agent_links and not task.is_ended:
        if task.reported is TaskState.STAGING:
            order_launch(draft, state, task)
        if task.kill:
            order_kill(draft, task, task.kill)
        if task.resize:
            order_resize(draft, task, task.resize)
    if task.pending and task.framework_id in state.soft.framework_links:
        order_updates(draft, task)


def _ring_framework_absent(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    framework = state.frameworks.get(FrameworkId(key[0]))
    if framework is not None and not framework.is_removed:
        assert not framework.is_connected
        timeout = format_duration(framework.failover_timeout_ns)
        text = f"absent for longer than its failover timeout of {timeout}"
        frameworks.draft_removal(draft, state, framework, text)


def _ring_framework_idle(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    framework = state.frameworks.get(FrameworkId(key[0]))
    is_known = framework is not None and not framework.is_removed
    if framework is not None and is_known and framework.has_left and framework.live == 0:
        text = "it had left, and its last task has ended"
        frameworks.draft_removal(draft, state, framework, text)


def _ring_refusal_ends(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    framework_id, role, agent_id = key
    draft.soft.append(RefusalEnded(FrameworkId(framework_id), role, AgentId(agent_id)))
    draft.touch(AgentId(agent_id))


def _ring_launch_unanswered(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    task = state.tasks.get(TaskKey(key[0]))
    if task and task.reported is TaskState.STAGING and _is_within_reach(state, task):
        order_launch(draft, state, task)


def _ring_kill_unanswered(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    task = state.tasks.get(TaskKey(key[0]))
    if task and task.kill and _is_within_reach(state, task):
        order_kill(draft, task, task.kill)


def _ring_resize_unanswered(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    task = state.tasks.get(TaskKey(key[0]))
    if task and task.resize and _is_within_reach(state, task):
        order_resize(draft, task, task.resize)


def _ring_update_unanswered(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    task = state.tasks.get(TaskKey(key[0]))
    if task and task.pending and task.framework_id in state.soft.framework_links:
        order_updates(draft, task)


def _ring_answer_unfinished(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    framework_id, after = FrameworkId(key[0]), int(key[1])
    if framework_id in state.soft.framework_links:
        framework = state.frameworks[framework_id]
        answers = draft_answers(draft, state, framework, after)
        draft.updates.setdefault(framework_id, []).extend(answers)


def _is_within_reach(state: State, task: Task) -> bool:
    return not task.is_ended and task.agent_id in state.soft.agent_links


_RING: dict[AlarmKind, Callable[[Draft, State, tuple[str, ...]], None]] = {
    AlarmKind.AGENT_SILENT: absence.ring_silent,
    AlarmKind.AGENT_REMOVAL: absence.ring_removal,
    AlarmKind.ABSENCE: absence.ring_absence,
    AlarmKind.INVERSE: inverse.ring_inverse,
    AlarmKind.WINDOW: maintenance.ring_window,
    AlarmKind.AGENT_DRAIN: duty.ring_drain,
    AlarmKind.FRAMEWORK_ABSENT: _ring_framework_absent,
    AlarmKind.FRAMEWORK_IDLE: _ring_framework_idle,
    AlarmKind.LEASE_ENDS: keeping.ring_lease_ends,
    AlarmKind.OFFER_OLD: ring_offer_old,
    AlarmKind.BACK_OFF_ENDS: ring_back_off_ends,
    AlarmKind.DEMAND_WAITS: ring_demand_waits,
    AlarmKind.VIEWS_DUE: ring_views_due,
    AlarmKind.RECLAIM_DUE: ring_reclaim_due,
    AlarmKind.REFUSAL_ENDS: _ring_refusal_ends,
    AlarmKind.LAUNCH_UNANSWERED: _ring_launch_unanswered,
    AlarmKind.KILL_UNANSWERED: _ring_kill_unanswered,
    AlarmKind.RESIZE_UNANSWERED: _ring_resize_unanswered,
    AlarmKind.UPDATE_UNANSWERED: _ring_update_unanswered,
    AlarmKind.ANSWER_UNFINISHED: _ring_answer_unfinished,
    AlarmKind.RESERVATION_ENDS: reservations.ring_reservation_ends,
    AlarmKind.BOOKING_TURNS: bookings.ring_booking_turns,
    AlarmKind.BOOKINGS_DUE: bookings.ring_bookings_due,
    AlarmKind.VOLUME_UNANSWERED: volumes.ring_volume_unanswered,
    AlarmKind.OPERATION_UNANSWERED: operations.ring_operation_unanswered,
}
