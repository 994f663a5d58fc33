"""Classic mistakes, put back one at a time: a simulation that misses them proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from master.core import allocation, machine, updates
from master.core.events import TaskUpdated
from master.core.records import Agent
from master.core.state import State
from protocol.decision import Decision
from protocol.resources import Resources
from rlog.outbox import Answer, Outbox
from tests.simulation.loop import VirtualLoop

Patch = Callable[[], AbstractContextManager[object]]


def acknowledge_before_written() -> AbstractContextManager[object]:
    """The disk says done before it is; a kill loses what was acknowledged."""
    honest = VirtualLoop.run_in_executor

    def lie(self: VirtualLoop, executor: object, func: Callable[..., Any], *args: Any) -> Any:
        honest(self, executor, func, *args)
        done = self.create_future()
        done.set_result(None)
        return done

    return mock.patch.object(VirtualLoop, "run_in_executor", lie)


def release_before_commit() -> AbstractContextManager[object]:
    """Answers and effects leave when they are decided, not when they are committed."""
    hold = Outbox.put

    def put(self: Outbox[Any], index: int, answers: Sequence[Answer[Any]]) -> None:
        hold(self, index, answers)
        self.release(index)

    return mock.patch.object(Outbox, "put", put)


def acknowledge_unlogged() -> AbstractContextManager[object]:
    """A master acknowledges agents' statuses without logging them."""
    honest = updates.decide_update

    def decide(*arguments: Any) -> Any:
        decided = honest(*arguments)
        return Decision(effects=decided.effects) if isinstance(decided, Decision) else decided

    return mock.patch.dict(machine._DECIDE, {updates.UpdateStatuses: decide})


def fold_by_soft_state() -> AbstractContextManager[object]:
    """An event's fold depends on what only a leader knows."""
    honest = machine._APPLY[TaskUpdated]

    def apply(state: State, event: Any) -> None:
        honest(state, event)
        if state.soft.offers:
            state.launches_next += 1

    return mock.patch.dict(machine._APPLY, {TaskUpdated: apply})


def lend_twice() -> AbstractContextManager[object]:
    """The allocator does not see what is lent out already."""

    def free_of(state: State, agent: Agent) -> Resources:
        return agent.total - agent.allocated

    return mock.patch.object(allocation, "free_of", free_of)


MUTATIONS: dict[str, Patch] = {
    "acknowledge-before-written": acknowledge_before_written,
    "release-before-commit": release_before_commit,
    "acknowledge-unlogged": acknowledge_unlogged,
    "fold-by-soft-state": fold_by_soft_state,
    "lend-twice": lend_twice,
}
