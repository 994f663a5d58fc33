"""Operations: how those that a framework gave an id went, told until it acknowledges."""

from dataclasses import dataclass, replace

from master.core.alarms import AlarmKind
from master.core.draft import Draft, Outcome, put
from master.core.events import OperationAcknowledged, OperationUpdated
from master.core.reasons import Reason
from master.core.records import Framework
from master.core.settings import Settings
from master.core.state import State, find_framework
from master.core.validity import RECONCILED_MAX, check_count
from protocol.decision import Decision, Refused
from protocol.ids import FrameworkId, TaskKey, check_id, split_key, task_key
from protocol.messages.values import OperationState, OperationStatus

ENDED = (OperationState.FINISHED, OperationState.FAILED)
MESSAGE_CHARACTERS_MAX = 500


@dataclass(frozen=True, slots=True)
class AcknowledgeOperations:
    """A framework has taken note; nobody waits for an answer."""

    framework_id: FrameworkId
    operations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReconcileOperations:
    """Ask how these operations went, or all that the masters remember."""

    framework_id: FrameworkId
    operations: tuple[str, ...]


def decide_acknowledge_operations(
    state: State, command: AcknowledgeOperations, now_ns: int, settings: Settings
) -> Outcome:
    """Forget the operations that have ended; what is not remembered is ignored."""
    framework = state.frameworks.get(command.framework_id)
    known = {} if framework is None else framework.operations
    ended = [
        each
        for each in dict.fromkeys(command.operations[:RECONCILED_MAX])
        if each in known and known[each].state in ENDED
    ]
    return Decision(
        events=tuple(OperationAcknowledged(command.framework_id, each) for each in ended)
    )


def decide_reconcile_operations(
    state: State, command: ReconcileOperations, now_ns: int, settings: Settings
) -> Outcome:
    """Answer for each; one that is not remembered is UNKNOWN: it was refused, or acknowledged.

    Refuses: UNKNOWN_FRAMEWORK, FRAMEWORK_REMOVED, TOO_MANY.
    """
    framework = find_framework(state, command.framework_id)
    if isinstance(framework, Refused):
        return framework
    if refused := check_count("operations to reconcile", len(command.operations), RECONCILED_MAX):
        return refused
    draft = Draft(now_ns, settings)
    for name in command.operations or framework.operations:
        known = framework.operations.get(name)
        status = known or OperationStatus(name[:140], framework.id, stamp_ns=now_ns)
        put(draft.errands.operations, framework.id, status)
    return draft.decision()


def check_operation(
    framework: Framework, name: str, drafted: dict[str, None], settings: Settings
) -> Refused | None:
    """Check an operation's id: it is told apart by it from all that are not acknowledged."""
    if not name:
        return None
    if fault := check_id(name):
        return Refused(Reason.BAD_ID, f"operation id {name[:140]!r}: {fault}")
    if name in framework.operations or name in drafted:
        text = f"operation {name} exists already; acknowledge it, or use another id"
        return Refused(Reason.DUPLICATE_OPERATION, text)
    count = len(framework.operations) + len(drafted) + 1
    what = "operations that are pending or not acknowledged"
    return check_count(what, count, settings.framework_operations_max)


def draft_operation(
    draft: Draft, state: State, status: OperationStatus, *, is_known: bool = True
) -> None:
    """Note how an operation goes, and tell it when that is the end.

    Nothing is noted for one whose framework has gone.
    """
    framework = state.frameworks.get(FrameworkId(status.framework_id))
    if framework is None or framework.is_removed:
        return
    if is_known and status.operation_id not in framework.operations:
        return
    status = replace(status, message=status.message[:MESSAGE_CHARACTERS_MAX], stamp_ns=draft.now_ns)
    draft.events.append(OperationUpdated(status))
    if status.state in ENDED and framework.id in state.soft.framework_links:
        put(draft.errands.operations, framework.id, status)
        _await_acknowledgement(draft, framework.id, status.operation_id)


def end_operation(draft: Draft, state: State, key: str, agent_id: str, fault: str = "") -> None:
    """Say how the operation of this key (`framework/operation`) went; no key: nobody asked."""
    if key:
        framework_id, operation_id = split_key(TaskKey(key))
        ended = OperationState.FAILED if fault else OperationState.FINISHED
        status = OperationStatus(operation_id, framework_id, agent_id, ended, fault)
        draft_operation(draft, state, status)


def operation_key(framework_id: str, operation_id: str) -> str:
    """Return how a volume remembers whom to tell; nothing for an operation without an id."""
    return task_key(framework_id, operation_id) if operation_id else ""


def remind_of_operations(draft: Draft, framework: Framework) -> None:
    """Tell a scheduler that comes (back) soon of what it has not acknowledged."""
    for name, status in framework.operations.items():
        if status.state in ENDED:
            draft.alarm(AlarmKind.OPERATION_UNANSWERED, (framework.id, name), 0)


def ring_operation_unanswered(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    framework = state.frameworks.get(FrameworkId(key[0]))
    known = None if framework is None else framework.operations.get(key[1])
    if framework is not None and known is not None and framework.id in state.soft.framework_links:
        put(draft.errands.operations, framework.id, known)
        _await_acknowledgement(draft, framework.id, key[1])


def apply_operation_updated(state: State, event: OperationUpdated) -> None:
    status = event.status
    framework = state.frameworks[FrameworkId(status.framework_id)]
    framework.operations[status.operation_id] = status


def apply_operation_acknowledged(state: State, event: OperationAcknowledged) -> None:
    del state.frameworks[FrameworkId(event.framework_id)].operations[event.operation_id]


def _await_acknowledgement(draft: Draft, framework_id: str, name: str) -> None:
    key = (framework_id, name)
    draft.alarm(AlarmKind.OPERATION_UNANSWERED, key, draft.settings.update_resend_ns)
