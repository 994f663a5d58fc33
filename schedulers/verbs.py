"""The verbs of a driver: what a scheduler may ask of the masters, one numbered call each."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from protocol.messages.framework import (
    Accept,
    AnswerInverse,
    Decline,
    KillTask,
    KillTasksCall,
    LaunchTask,
    Observe,
    Offer,
    Operation,
    Placement,
    Reconcile,
    ReconcileOperations,
    Request,
    ResizeTask,
    Revive,
    Suppress,
    Teardown,
    Transact,
    Want,
)
from protocol.messages.values import TaskDescription
from protocol.resources import Resources
from schedulers.calls import Call
from schedulers.offers import ids_of


class Verbs:
    """Mixed into the driver, which sends the calls.

    Verbs return the number of the call, which `done`, `refused` or `transacted` will name.
    """

    def accept(
        self,
        offers: Sequence[Offer | str],
        launches: Sequence[TaskDescription] = (),
        kills: Sequence[str] = (),
        refuse_s: float = 0.0,
        *,
        operations: Sequence[Operation] = (),
    ) -> int:
        """Use offers of one agent: launch tasks, kill others, give back what is left.

        All of it happens or none. What is left is not offered again for `refuse_s` (0: default).
        `operations` come before the launches, in their order: `Reserve`, `CreateVolume`, …, or
        `LaunchTask` where one says which reservations it takes from.
        Raises: Overloaded when too many calls wait for answers.
        """
        steps: list[Operation] = [_named(each) for each in operations]
        steps += [LaunchTask(each) for each in launches]
        steps += [KillTask(each) for each in kills]
        return self._use(offers, Accept(0, ids_of(offers), tuple(steps), _ns(refuse_s)))

    def decline(self, offers: Sequence[Offer | str], refuse_s: float = 0.0) -> int:
        """Give offers back; not offered again for `refuse_s` (0: the masters' default)."""
        return self._use(offers, Decline(0, ids_of(offers), _ns(refuse_s)))

    def answer(self, asked: Sequence[str], *, is_leaving: bool, refuse_s: float = 0.0) -> int:
        """Say of inverse offers whether we shall leave in time; if not, we are asked again."""
        return self._call(AnswerInverse(0, tuple(asked), is_leaving, _ns(refuse_s)))

    def request(self, wants: Sequence[Want], role: str = "") -> int:
        """Say what would be run by now: offers come for that, and for nothing else.

        The role is the first of the framework's unless given. Launches are taken off by the
        masters. It is forgotten with the subscription: say it again in `subscribed`.
        """
        return self._call(Request(0, role or self._first_role, tuple(wants)))

    def revive(self, roles: Sequence[str] = ()) -> int:
        """Want offers again for these roles (none: all), also those refused before."""
        return self._call(Revive(0, tuple(roles)))

    def suppress(self, roles: Sequence[str] = ()) -> int:
        """Want no offers for these roles (none: all) until revived."""
        return self._call(Suppress(0, tuple(roles)))

    def kill(self, tasks: Sequence[str], grace_s: float = 0.0) -> int:
        """Have tasks ended: SIGTERM, and SIGKILL after the grace (0: the task's own)."""
        return self._call(KillTasksCall(0, tuple(KillTask(each, _ns(grace_s)) for each in tasks)))

    def resize(self, task: str, resources: Resources) -> int:
        """Give a running task other cpus, mem or both; its next status says RESIZED or why not."""
        return self._call(ResizeTask(0, task, resources))

    def reconcile(self, tasks: Sequence[str] = ()) -> int:
        """Have the newest status of these tasks sent (none: of all that have not ended)."""
        return self._call(Reconcile(0, tuple(tasks)))

    def reconcile_operations(self, operations: Sequence[str] = ()) -> int:
        """Have it said how these operations went (none: all that the masters remember)."""
        return self._call(ReconcileOperations(0, tuple(operations)))

    def observe(self, role: str = "") -> int:
        """Have `viewed` told what every agent has free, and what changes of it.

        For roles in which nothing is offered. Forgotten with the subscription: say it again in
        `subscribed`.
        """
        return self._call(Observe(0, role or self._first_role))

    def transact(
        self, placements: Sequence[Placement], role: str = "", *, is_all_or_nothing: bool = False
    ) -> int:
        """Launch what still fits where it was planned; `transacted` tells what did not."""
        role = role or self._first_role
        return self._call(Transact(0, role, tuple(placements), is_all_or_nothing))

    def teardown(self) -> int:
        """Remove the framework and kill its tasks; `run` returns once that is durable."""
        return self._call(Teardown(0))

    @property
    def _first_role(self) -> str:
        raise NotImplementedError

    def _use(self, offers: Sequence[Offer | str], call: Accept | Decline) -> int:
        raise NotImplementedError

    def _call(self, call: Call) -> int:
        raise NotImplementedError


def _named(operation: Operation) -> Operation:
    """Return an operation with an id: by it the driver finds out what it cannot know otherwise."""
    if isinstance(operation, (LaunchTask, KillTask)) or operation.operation_id:
        return operation
    return cast(Operation, replace(operation, operation_id=f"op-{secrets.token_hex(8)}"))


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
