"""Whether a history of concurrent operations could have happened one at a time.

The search of Wing and Gong with the memory of Lowe: take operations in every order that real time
allows, go back when a result does not fit, and never look twice at the same set and state.
Source: G. Lowe, Testing for linearizability, 2017.
"""

import bisect
import itertools
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Step: TypeAlias = Callable[[Any, "Operation"], tuple[bool, Hashable]]
STEPS_MAX = 40_000_000  # a history that needs more is not judged, and that is an error of the test


@dataclass(frozen=True, slots=True)
class Operation:
    """One call: when it was made and when it was answered, in any order that only grows."""

    client: int
    action: str
    value: Any  # given, or answered
    called: float
    returned: float | None = None  # None: nobody knows whether it ever took effect


def step_queue(state: Any, operation: Operation) -> tuple[bool, Hashable]:
    """Return whether a queue may answer so (None: it is empty), and what it holds then."""
    if operation.action == "put":
        return True, (*state, operation.value)
    if not state:
        return operation.value is None, state
    return operation.value == state[0], state[1:]


def find_disorder(history: Sequence[Operation], first: Hashable) -> str:
    """Return what a register that begins with `first` cannot have done; empty: it could have.

    Every write must have a value of its own. Each value then has a zone of time between its
    first answer and its last call; zones in which it surely was the register's must not meet.
    Source: P. Gibbons, E. Korach, Testing shared memories, 1997.
    """
    written = {each.value: each for each in history if each.action == "write"}
    written[first] = Operation(0, "write", first, -math.inf, -math.inf)
    begins, ends = {}, {}
    for value, write in written.items():
        begins[value], ends[value] = _answer(write), write.called
    was_read = {first}
    for read in history:
        if read.action == "read":
            if read.value not in written or _answer(read) < written[read.value].called:
                return f"{read.value} was read before it was written"
            was_read.add(read.value)
            begins[read.value] = min(begins[read.value], _answer(read))
            ends[read.value] = max(ends[read.value], read.called)
    known = [v for v, write in written.items() if write.returned is not None or v in was_read]
    zones = sorted((begins[v], ends[v], v) for v in known if begins[v] < ends[v])
    for (_, end, one), (begin, _, other) in itertools.pairwise(zones):
        if begin < end:
            return f"{other} was there between two moments of {one}"
    for value in known:
        at = bisect.bisect_right(zones, ends[value], key=lambda zone: zone[0]) - 1
        if at >= 0 and ends[value] <= begins[value] < zones[at][1]:
            return f"{value} was written and gone within the time of {zones[at][2]}"
    return ""


def _answer(operation: Operation) -> float:
    return math.inf if operation.returned is None else operation.returned


class _Node:
    """A call or an answer in the list of those that are still to be placed."""

    __slots__ = ("answer", "bit", "following", "operation", "previous")

    def __init__(self, operation: Operation, bit: int) -> None:
        self.operation, self.bit = operation, bit
        self.answer: _Node | None = None  # of a call
        self.previous: _Node
        self.following: _Node | None = None

    def lift(self) -> None:
        for node in (self, self.answer):
            if node is not None:
                node.previous.following = node.following
                if node.following is not None:
                    node.following.previous = node.previous

    def put_back(self) -> None:
        for node in (self.answer, self):
            if node is not None:
                node.previous.following = node
                if node.following is not None:
                    node.following.previous = node


def is_linearizable(history: Sequence[Operation], step: Step, state: Hashable) -> bool:
    """Return whether the history fits a thing that begins in `state` and does one `step` a time."""
    head = _link(history)
    left = sum(1 << at for at, each in enumerate(history) if each.returned is not None)
    seen: set[tuple[int, Hashable]] = set()
    placed: list[tuple[_Node, Hashable]] = []
    done = 0
    node = head.following
    for _ in range(STEPS_MAX):
        if not left & ~done:
            return True
        if node is not None and node.answer is not node:
            fits, after = step(state, node.operation)
            if fits and (done | node.bit, after) not in seen:
                seen.add((done | node.bit, after))
                placed.append((node, state))
                state, done = after, done | node.bit
                node.lift()
                node = head.following
            else:
                node = node.following
            continue
        if not placed:
            return False
        node, state = placed.pop()
        done &= ~node.bit
        node.put_back()
        node = node.following
    raise AssertionError(f"the history needs more than {STEPS_MAX} steps to be judged")


def _link(history: Sequence[Operation]) -> _Node:
    """Return the head of a list of calls and answers in the order of their times."""
    events: list[tuple[float, int, _Node]] = []
    for at, operation in enumerate(history):
        call = _Node(operation, 1 << at)
        events.append((operation.called, 0, call))
        if operation.returned is not None:
            answer = _Node(operation, 0)
            answer.answer = answer  # marks it as one
            call.answer = answer
            events.append((operation.returned, 1, answer))
    events.sort(key=lambda each: each[:2])
    head = node = _Node(Operation(0, "", None, 0.0), 0)
    for _, _, following in events:
        node.following, following.previous = following, node
        node = following
    return head
