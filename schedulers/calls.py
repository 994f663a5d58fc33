"""Calls that wait for their answer, and what becomes of them when the link breaks."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from protocol.errors import Overloaded
from protocol.messages.framework import (
    Accept,
    Decline,
    KillTask,
    KillTasksCall,
    LaunchTask,
    Leave,
    Operation,
    Reconcile,
    Request,
    Revive,
    Suppress,
    Teardown,
)
from protocol.messages.values import TaskDescription

CALLS_MAX = 4096  # without an answer; beyond it the scheduler is faster than its masters
RECONCILE_MAX = 1000  # tasks asked after in one call

Call = Accept | Decline | Request | Revive | Suppress | KillTasksCall | Reconcile | Teardown | Leave


def operations_of(
    launches: Sequence[TaskDescription], kills: Sequence[str]
) -> tuple[Operation, ...]:
    """Return the operations of an accept, in the order in which they make sense."""
    return (*map(LaunchTask, launches), *map(KillTask, kills))


def tasks_launched(accept: Accept) -> tuple[str, ...]:
    """Return the ids of the tasks that an accept launches."""
    return tuple(
        operation.description.task_id
        for operation in accept.operations
        if isinstance(operation, LaunchTask)
    )


class Calls:
    """Owns calls from the moment they are made until their outcome is certain."""

    def __init__(self) -> None:
        self._number = 0
        self._waiting: dict[int, Call] = {}
        self._doubtful: dict[str, int] = {}  # task → the accept whose answer was lost
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
            for task in tasks_launched(call):
                self._doubtful.pop(task, None)
        return call

    def is_internal(self, number: int) -> bool:
        """Whether the driver made this call for itself."""
        return number in self._internal

    def interrupt(self) -> None:
        """The link broke: nobody knows what became of what was sent over it.

        Offers end with the link, so declines are void, and launches are in doubt until the tasks
        are found or known not to exist. Everything else can be repeated.
        """
        for number, call in tuple(self._waiting.items()):
            if isinstance(call, Decline) or number in self._internal:
                self.settle(number)
            elif isinstance(call, Accept):
                if launched := tasks_launched(call):
                    self._doubtful.update(dict.fromkeys(launched, number))
                else:
                    self._waiting[number] = _kills_of(call)

    def repeatable(self) -> list[Call]:
        """Return what to send again on a new link, in order."""
        return [call for call in self._waiting.values() if not isinstance(call, Accept | Decline)]

    def believe(self, tasks: Iterable[str]) -> list[int]:
        """These tasks exist: settle the accepts in doubt that launch them, return their numbers."""
        numbers = dict.fromkeys(self._doubtful[task] for task in tasks if task in self._doubtful)
        for number in numbers:
            self.settle(number)
        return list(numbers)

    def disbelieve(self, task: str) -> int | None:
        """This task does not exist: settle the accept in doubt that launches it, if any."""
        number = self._doubtful.get(task)
        if number is not None:
            self.settle(number)
        return number

    def questions(self) -> list[Reconcile]:
        """Return what to ask to learn of the accepts in doubt; one task tells of each."""
        firsts: dict[int, str] = {}
        for task, number in self._doubtful.items():
            firsts.setdefault(number, task)
        tasks = tuple(firsts.values())
        return [
            Reconcile(tasks=tasks[start : start + RECONCILE_MAX])
            for start in range(0, len(tasks), RECONCILE_MAX)
        ]


def _kills_of(accept: Accept) -> KillTasksCall:
    """A kill needs no offer, so it can be repeated without."""
    kills = tuple(each for each in accept.operations if isinstance(each, KillTask))
    return KillTasksCall(accept.call, kills)
