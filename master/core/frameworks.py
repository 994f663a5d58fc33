"""Frameworks: who they are, when they are absent, how they end."""

from dataclasses import dataclass

from master.core.alarms import AlarmKind
from master.core.asked import TakerKnown
from master.core.draft import Draft, Outcome
from master.core.effects import EvictFramework
from master.core.events import (
    FrameworkDisconnected,
    FrameworkLeft,
    FrameworkRemoved,
    FrameworkSubscribed,
)
from master.core.filters import check_filters
from master.core.inverse import ask_again
from master.core.offers import close_offers
from master.core.operations import remind_of_operations
from master.core.reasons import Reason
from master.core.records import Framework, KillOrder
from master.core.reservations import await_framework
from master.core.settings import Settings
from master.core.soft import (
    AlarmSet,
    FrameworkAttached,
    FrameworkDetached,
    RefusalsCleared,
)
from master.core.state import State, find_framework
from master.core.tasks import PORTION_NS, PORTION_STATUSES, draft_answers
from master.core.touched import AllTouched
from master.core.updates import forget_removed, retire, trim_history
from master.core.validity import check_subscribe, check_texts
from protocol.decision import Decision, Refused
from protocol.ids import FrameworkId, task_key
from protocol.messages.framework import Subscribe, Subscribed
from protocol.messages.values import TaskReason, TaskStatus


@dataclass(frozen=True, slots=True)
class SubscribeFramework:
    """A scheduler shows up on a link; replied to with `Subscribed`.

    `link` is the shell's number of that link, never used for two links.
    """

    subscribe: Subscribe
    principal: str
    link: int = 0


@dataclass(frozen=True, slots=True)
class FrameworkUnlinked:
    """That link of the framework is gone; ignored when a newer one has taken over."""

    framework_id: FrameworkId
    link: int = 0


@dataclass(frozen=True, slots=True)
class TeardownFramework:
    """End it and its tasks; `by` names the operator, empty when it ends itself."""

    framework_id: FrameworkId
    by: str = ""


@dataclass(frozen=True, slots=True)
class LeaveFramework:
    """Its scheduler goes for good; its tasks run to their end, and it ends with them."""

    framework_id: FrameworkId


def decide_subscribe(
    state: State, command: SubscribeFramework, now_ns: int, settings: Settings
) -> Outcome:
    """Let a new framework in, or a known one back; of two schedulers the newer one counts.

    A known token finds its framework again, so a repeated first call makes no second framework.
    Refuses: what `check_subscribe` and `check_filters` do, UNKNOWN_FRAMEWORK, FRAMEWORK_REMOVED,
    OTHER_PRINCIPAL, TOO_MANY.
    """
    subscribe = command.subscribe
    refused = check_subscribe(subscribe, settings) or check_filters(
        subscribe.filters, subscribe.roles
    )
    if refused:
        return refused
    known = _find_subscriber(state, command, settings)
    if isinstance(known, Refused):
        return known
    framework_id = known.id if known else FrameworkId(f"fw-{state.frameworks_next}")
    draft = Draft(now_ns, settings)
    link = state.soft.framework_links.get(framework_id)
    if link is not None:
        if link != command.link:
            text = f"a newer scheduler has subscribed as {framework_id}"
            draft.greetings.append(EvictFramework(framework_id, Reason.REPLACED.name, text, link))
        # What one scheduler was offered another would not know; the same one is told.
        offer_ids = tuple(state.soft.offers_by_framework.get(framework_id, ()))
        close_offers(draft, state, offer_ids, is_told=link == command.link)
    draft.events.append(
        FrameworkSubscribed(
            framework_id=framework_id,
            token=known.token if known else subscribe.token,
            name=subscribe.name,
            principal=command.principal,
            user=subscribe.user,
            hostname=subscribe.hostname,
            roles=tuple(dict.fromkeys(subscribe.roles)),
            failover_timeout_ns=subscribe.failover_timeout_ns,
            labels=subscribe.labels,
        )
    )
    draft.soft.append(FrameworkAttached(framework_id, command.link, subscribe.filters))
    draft.soft.append(TakerKnown(framework_id, subscribe.takes_inverse))
    draft.soft.append(RefusalsCleared(framework_id, known.roles if known else ()))
    draft.soft.append(AllTouched(now_ns + settings.allocation_delay_ns))
    statuses: list[TaskStatus] = []
    if known:
        _send_again(draft, state, known)
        statuses = draft_answers(draft, state, known)
        if subscribe.takes_inverse:
            ask_again(draft, state, known)
    return draft.decision(Subscribed(subscribe.call, framework_id, tuple(statuses)))


def decide_unlinked(
    state: State, command: FrameworkUnlinked, now_ns: int, settings: Settings
) -> Outcome:
    """Take back what is offered, and wait for the framework as long as it asked for."""
    framework_id = command.framework_id
    if state.soft.framework_links.get(framework_id) != command.link:
        return Decision()
    draft = Draft(now_ns, settings)
    offer_ids = tuple(state.soft.offers_by_framework.get(framework_id, ()))
    close_offers(draft, state, offer_ids, is_told=False)
    draft.soft.append(FrameworkDetached(framework_id))
    framework = state.frameworks[framework_id]
    if not framework.is_removed:
        draft.events.append(FrameworkDisconnected(framework_id))
        draft.alarm(AlarmKind.FRAMEWORK_ABSENT, (framework_id,), framework.failover_timeout_ns)
    return draft.decision()


def decide_teardown(
    state: State, command: TeardownFramework, now_ns: int, settings: Settings
) -> Outcome:
    """End the framework and want its tasks dead.

    Refuses: UNKNOWN_FRAMEWORK, FRAMEWORK_REMOVED, BAD_NAME.
    """
    framework = find_framework(state, command.framework_id)
    if isinstance(framework, Refused):
        return framework
    if refused := check_texts((("operator", command.by),)):
        return refused
    draft = Draft(now_ns, settings)
    by = f"torn down by {command.by}" if command.by else "torn down by itself"
    link = state.soft.framework_links.get(framework.id)
    if link is not None and command.by:
        draft.greetings.append(EvictFramework(framework.id, Reason.TORN_DOWN.name, by, link))
    draft_removal(draft, state, framework, by)
    return draft.decision()


def decide_leave(state: State, command: LeaveFramework, now_ns: int, settings: Settings) -> Outcome:
    """Lend it nothing more, and let its last task be its end.

    Refuses: UNKNOWN_FRAMEWORK, FRAMEWORK_REMOVED.
    """
    framework = find_framework(state, command.framework_id)
    if isinstance(framework, Refused):
        return framework
    draft = Draft(now_ns, settings)
    offer_ids = tuple(state.soft.offers_by_framework.get(framework.id, ()))
    close_offers(draft, state, offer_ids, is_told=False)
    draft.events.append(FrameworkLeft(framework.id))
    if framework.live == 0:
        draft.alarm(AlarmKind.FRAMEWORK_IDLE, (framework.id,), 0)
    return draft.decision()


def draft_removal(draft: Draft, state: State, framework: Framework, reason: str) -> None:
    """End the framework; its agents are told by and by, however many tasks it has."""
    offer_ids = tuple(state.soft.offers_by_framework.get(framework.id, ()))
    close_offers(draft, state, offer_ids, is_told=False)
    draft.soft.append(RefusalsCleared(framework.id, framework.roles))
    draft.soft.append(FrameworkDetached(framework.id))
    draft.events.append(FrameworkRemoved(framework.id, reason))
    await_framework(draft, state, framework.id)
    for task_id in framework.tasks:
        key = task_key(framework.id, task_id)
        if not state.tasks[key].is_ended:
            draft.alarm(AlarmKind.KILL_UNANSWERED, (key,), 0)


def absence_alarm(
    framework: Framework, disconnected_ns: int, taken_over_ns: int, settings: Settings
) -> AlarmSet:
    """Return when a framework ends that a new leader does not find and that stays away.

    Nobody could come back while there was no leader, so a new one gives everybody some time.
    """
    at_ns = max(
        disconnected_ns + framework.failover_timeout_ns,
        taken_over_ns + settings.framework_grace_ns,
    )
    return AlarmSet(AlarmKind.FRAMEWORK_ABSENT, (framework.id,), at_ns)


def apply_framework_subscribed(state: State, event: FrameworkSubscribed) -> None:
    framework_id = FrameworkId(event.framework_id)
    framework = state.frameworks.get(framework_id)
    if framework is None:
        assert framework_id == f"fw-{state.frameworks_next}"
        state.frameworks_next += 1
        framework = Framework(
            id=framework_id,
            token=event.token,
            name=event.name,
            principal=event.principal,
            user=event.user,
            hostname=event.hostname,
            roles=event.roles,
            failover_timeout_ns=event.failover_timeout_ns,
            labels=event.labels,
            subscribed_ns=state.now_ns,
        )
        state.frameworks[framework_id] = framework
        if event.token:
            state.tokens[event.token] = framework_id
        return
    assert framework.principal == event.principal
    assert not framework.is_removed
    state.soft.ledger = None
    framework.name, framework.user, framework.hostname = event.name, event.user, event.hostname
    framework.roles, framework.labels = event.roles, event.labels
    framework.failover_timeout_ns = event.failover_timeout_ns
    framework.suppressed = tuple(role for role in framework.suppressed if role in event.roles)
    framework.subscribed_ns = state.now_ns
    framework.is_connected, framework.disconnected_ns = True, 0
    if framework.has_left:
        framework.has_left, framework.suppressed = False, ()


def apply_framework_disconnected(state: State, event: FrameworkDisconnected) -> None:
    framework = state.frameworks[FrameworkId(event.framework_id)]
    framework.is_connected, framework.disconnected_ns = False, state.now_ns


def apply_framework_left(state: State, event: FrameworkLeft) -> None:
    framework = state.frameworks[FrameworkId(event.framework_id)]
    framework.has_left = True
    framework.suppressed = framework.roles
    state.soft.ledger = None


def apply_framework_removed(state: State, event: FrameworkRemoved) -> None:
    """End the framework, and order all its tasks dead; nobody is left to acknowledge updates."""
    framework = state.frameworks[FrameworkId(event.framework_id)]
    assert not framework.is_removed
    framework.is_removed, framework.removed_ns = True, state.now_ns
    framework.removal = event.reason
    framework.is_connected = False
    framework.operations.clear()
    for task_id in tuple(framework.tasks):
        task = state.tasks[task_key(framework.id, task_id)]
        task.pending = ()
        if task.is_ended:
            retire(state, framework, task)
        elif task.kill is None:
            task.kill = KillOrder(TaskReason.FRAMEWORK_REMOVED, 0, state.now_ns)
    trim_history(framework)
    forget_removed(state)


def _find_subscriber(
    state: State, command: SubscribeFramework, settings: Settings
) -> Framework | Refused | None:
    """Return the framework that subscribes again, None when it is a new one."""
    subscribe = command.subscribe
    framework_id = subscribe.framework_id or state.tokens.get(subscribe.token, "")
    if not framework_id:
        living = len(state.frameworks)
        if living < settings.frameworks_max:
            return None
        text = f"{living} frameworks are known, at most {settings.frameworks_max} are allowed"
        return Refused(Reason.TOO_MANY, text)
    framework = state.frameworks.get(FrameworkId(framework_id))
    if framework is not None and framework.principal != command.principal:
        text = f"framework {framework_id} belongs to another principal than {command.principal!r}"
        return Refused(Reason.OTHER_PRINCIPAL, text)
    return find_framework(state, framework_id)


def _send_again(draft: Draft, state: State, framework: Framework) -> None:
    """Remind soon of all updates without acknowledgement: after the reply, and by portions."""
    remind_of_operations(draft, framework)
    before = 0
    for task_id in framework.tasks:
        key = task_key(framework.id, task_id)
        if pending := state.tasks[key].pending:
            after_ns = before // PORTION_STATUSES * PORTION_NS
            draft.alarm(AlarmKind.UPDATE_UNANSWERED, (key,), after_ns)
            before += len(pending)
