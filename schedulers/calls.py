"""Calls that wait for their answer, and what becomes of them when the link breaks."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from protocol.errors import Overloaded
from protocol.messages.framework import (
    Accept,
    AnswerInverse,
    Decline,
    KillTask,
    KillTasksCall,
    LaunchTask,
    Leave,
    Observe,
    Reconcile,
    ReconcileOperations,
    Request,
    ResizeTask,
    Revive,
    Suppress,
    Teardown,
    Transact,
)

CALLS_MAX = 4096  # without an answer; beyond it the scheduler is faster than its masters
RECONCILE_MAX = 1000  # tasks asked after in one call
OPERATION = "/"  # begins no task's id

Call = (
    Accept
    | Decline
    | AnswerInverse
    | Request
    | Revive
    | Suppress
    | KillTasksCall
    | ResizeTask
    | Reconcile
    | ReconcileOperations
    | Observe
    | Transact
    | Teardown
    | Leave
)


def traces_of(accept: Accept) -> tuple[str, ...]:
    """Return what tells whether an accept took effect: its tasks, and its operations' keys."""
    return tuple(
        operation.description.task_id
        if isinstance(operation, LaunchTask)
        else operation_key(operation.operation_id)
        for operation in accept.operations
        if not isinstance(operation, KillTask)
    )


def operation_key(operation_id: str) -> str:
    """Return a name that no task has."""
    return f"{OPERATION}{operation_id}"


class Calls:
    """Owns calls from the moment they are made until their outcome is certain."""

    def __init__(self) -> None:
        self._number = 0
        self._waiting: dict[int, Call] = {}
        self._doubtful: dict[str, int] = {}  # trace → the accept whose answer was lost
        self._internal: set[int] = set()  # the driver's own, of which the scheduler is not told

    def next_number(self) -> int:
        """Return a number that no call had before."""
        self._number += 1
        return self._number

    def add(self, call: Call, *, is_internal: bool = False) -> Call:
        """Keep a call until it is answered; return it with its number.

        Raises: Overloaded.
        """
        if len(self._waiting) >= CALLS_MAX:
            raise Overloaded(f"{CALLS_MAX} calls wait for their answers")
        numbered = replace(call, call=self.next_number())
        self._waiting[numbered.call] = numbered
        if is_internal:
            self._internal.add(numbered.call)
        return numbered

    def find(self, number: int) -> Call | None:
        """Return a call that waits for its answer."""
        return self._waiting.get(number)

    def settle(self, number: int) -> Call | None:
        """Forget a call whose outcome is known; None when it was settled before."""
        call = self._waiting.pop(number, None)
        self._internal.discard(number)
        if isinstance(call, Accept):
            for trace in traces_of(call):
                self._doubtful.pop(trace, None)
        return call

    def is_internal(self, number: int) -> bool:
        """Whether the driver made this call for itself."""
        return number in self._internal

    def interrupt(self) -> list[int]:
        """The link broke: nobody knows what became of what was sent over it.

        Offers end with the link, so answers to them are void, and accepts are in doubt until a task
        or an operation of theirs is found or known not to exist. Everything else can be repeated,
        but for transactions, whose numbers are returned: parts of them may have taken effect.
        """
        uncertain: list[int] = []
        for number, call in tuple(self._waiting.items()):
            if isinstance(call, Decline | AnswerInverse | Observe) or number in self._internal:
                self.settle(number)
            elif isinstance(call, Transact):
                self.settle(number)
                uncertain.append(number)
            elif isinstance(call, Accept):
                if traces := traces_of(call):
                    self._doubtful.update(dict.fromkeys(traces, number))
                else:
                    self._waiting[number] = _kills_of(call)
        return uncertain

    def repeatable(self) -> list[Call]:
        """Return what to send again on a new link, in order."""
        void = Accept | Decline | AnswerInverse
        return [call for call in self._waiting.values() if not isinstance(call, void)]

    def believe(self, traces: Iterable[str]) -> list[int]:
        """These exist: settle the accepts in doubt that made them, return their numbers."""
        numbers = dict.fromkeys(self._doubtful[each] for each in traces if each in self._doubtful)
        for number in numbers:
            self.settle(number)
        return list(numbers)

    def disbelieve(self, trace: str) -> int | None:
        """This does not exist: settle the accept in doubt that would have made it, if any."""
        number = self._doubtful.get(trace)
        if number is not None:
            self.settle(number)
        return number

    def questions(self) -> list[Reconcile | ReconcileOperations]:
        """Return what to ask to learn of the accepts in doubt; one trace tells of each."""
        firsts: dict[int, str] = {}
        for trace, number in self._doubtful.items():
            firsts.setdefault(number, trace)
        tasks = [trace for trace in firsts.values() if not trace.startswith(OPERATION)]
        operations = [trace[1:] for trace in firsts.values() if trace.startswith(OPERATION)]
        return [
            *(Reconcile(tasks=part) for part in _parts(tasks)),
            *(ReconcileOperations(operations=part) for part in _parts(operations)),
        ]


def _parts(names: list[str]) -> Iterator[tuple[str, ...]]:
    for start in range(0, len(names), RECONCILE_MAX):
        yield tuple(names[start : start + RECONCILE_MAX])


def _kills_of(accept: Accept) -> KillTasksCall:
    """A kill needs no offer, so it can be repeated without."""
    kills = tuple(each for each in accept.operations if isinstance(each, KillTask))
    return KillTasksCall(accept.call, kills)
