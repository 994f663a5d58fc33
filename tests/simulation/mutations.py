"""Classic mistakes, put back one at a time: a simulation that misses them proves nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from master.core import allocation, leadership, machine, roles, updates
from master.core.events import FrameworkLeft, TaskUpdated
from master.core.records import Agent
from master.core.state import State
from protocol.decision import Decision
from protocol.resources import Resources
from rlog.outbox import Answer, Outbox
from rlog.spaces import changes, journals
from rlog.spaces.commands import LeaseRuns
from rlog.spaces.records import Spaces
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


def answer_unlogged() -> AbstractContextManager[object]:
    """An operator is told that a weight is set, and it is not."""
    honest = roles.decide_weight

    def decide(*arguments: Any) -> Any:
        decided = honest(*arguments)
        return Decision() if isinstance(decided, Decision) else decided

    return mock.patch.dict(machine._DECIDE, {roles.SetWeight: decide})


def keep_who_left() -> AbstractContextManager[object]:
    """A framework that left is not known to have left."""
    return mock.patch.dict(machine._APPLY, {FrameworkLeft: lambda state, event: None})


def obey_old_leases() -> AbstractContextManager[object]:
    """What is bound to a lease is done though the lease has ended."""
    return mock.patch.object(changes, "check_fences", lambda space, fences: None)


def append_under_old_epochs() -> AbstractContextManager[object]:
    """Whoever once claimed a journal writes on."""

    def find(space: Any, call: Any) -> Any:
        return space.journals[call.name]

    return mock.patch.object(journals, "_find_written", find)


def forget_requests() -> AbstractContextManager[object]:
    """A request that is repeated is done again."""
    with contextlib.ExitStack() as stack:
        for module in (changes, journals):
            patch = mock.patch.object(module, "remember", lambda space, token, answer: None)
            stack.enter_context(patch)
        return stack.pop_all()


def end_leases_at_takeover() -> AbstractContextManager[object]:
    """A new leader lets all leases end though nobody could renew them before."""

    def run(spaces: Spaces, now_ns: int) -> Iterator[LeaseRuns]:
        for name, space in spaces.by_name.items():
            for lease in space.leases:
                yield LeaseRuns(name, lease, now_ns + 1)

    return mock.patch.object(leadership, "run_leases", run)


@dataclass(frozen=True, slots=True)
class Mutation:
    """A mistake, and in which world it is looked for."""

    put_back: Patch
    world: str = "cluster"


MUTATIONS: dict[str, Mutation] = {
    "acknowledge-before-written": Mutation(acknowledge_before_written),
    "release-before-commit": Mutation(release_before_commit),
    "acknowledge-unlogged": Mutation(acknowledge_unlogged),
    "fold-by-soft-state": Mutation(fold_by_soft_state),
    "lend-twice": Mutation(lend_twice),
    "answer-unlogged": Mutation(answer_unlogged),
    "keep-who-left": Mutation(keep_who_left),
    "obey-old-leases": Mutation(obey_old_leases, "keeping"),
    "append-under-old-epochs": Mutation(append_under_old_epochs, "keeping"),
    "forget-requests": Mutation(forget_requests, "keeping"),
    "end-leases-at-takeover": Mutation(end_leases_at_takeover, "keeping"),
}
