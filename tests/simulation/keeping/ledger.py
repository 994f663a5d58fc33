"""What keepers asked and were told, and the promises it is judged by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rlog.spaces.messages import Revision
from tests.simulation.checkers import BrokenPromiseError
from tests.simulation.linearity import Operation, is_linearizable

KEYS = ("k0", "k1", "k2")
Found = tuple[tuple[str, bytes | None], ...]  # keys and what they hold, None: nothing


@dataclass(frozen=True, slots=True)
class Transaction:
    """What keys must hold, and what they hold then; `is_done` None: nobody knows."""

    conditions: Found
    changes: Found
    is_done: bool | None


def step_keys(state: Any, operation: Operation) -> tuple[bool, Hashable]:
    """Return whether the keys may answer so, and what they hold then."""
    held = dict(state)
    if operation.action == "fetch":
        return all(held.get(key) == value for key, value in operation.value), state
    asked: Transaction = operation.value
    is_fitting = all(held.get(key) == value for key, value in asked.conditions)
    if asked.is_done is not None and asked.is_done != is_fitting:
        return False, state
    if is_fitting:
        held.update(asked.changes)
    return True, tuple(sorted(held.items()))


@dataclass(frozen=True, slots=True)
class Fenced:
    """A change under a lease, as its author was told of it."""

    token: int
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Appended:
    """Records as their writer was told of them."""

    epoch: int
    records: tuple[bytes, ...]
    last: int
    called: int
    returned: int


@dataclass(slots=True)
class Ledger:
    """Everything that keepers saw."""

    seen: Counter[str] = field(default_factory=Counter)
    operations: list[Operation] = field(default_factory=list)
    fenced: list[Fenced] = field(default_factory=list)
    appended: list[Appended] = field(default_factory=list)
    records: dict[int, bytes] = field(default_factory=dict)  # by position, whoever read it when
    watched: list[Revision] = field(default_factory=list)
    _moment: int = 0
    _open: dict[int, Operation] = field(default_factory=dict)

    def tick(self) -> int:
        """Return the number of this moment."""
        self._moment += 1
        return self._moment

    # What is asked and answered of the keys

    def call(self, action: str, value: object) -> int:
        """Note that something is asked; return what to close it by."""
        called = self.tick()
        self._open[called] = Operation(0, action, value, called)
        return called

    def close(self, called: int, value: object) -> None:
        """Note what was answered."""
        asked = self._open.pop(called)
        self.operations.append(Operation(0, asked.action, value, called, self.tick()))
        self.seen[f"{asked.action} answered"] += 1

    # What is read of the journal

    def read(self, position: int, content: bytes) -> None:
        """Check that a position holds what it always held."""
        if self.records.setdefault(position, content) != content:
            raise BrokenPromiseError(
                f"position {position} held {self.records[position]!r} and holds {content!r}"
            )

    # In the end

    def judge(self, first: int, following: int) -> None:
        """Check all promises; the journal goes from `first` to before `following` now."""
        self._judge_keys()
        self._judge_fences()
        self._judge_journal(first, following)

    def _judge_keys(self) -> None:
        unanswered = [each for each in self._open.values() if each.action != "fetch"]
        self.seen["operations judged"] += len(self.operations)
        nothing = tuple((key, None) for key in KEYS)
        if not is_linearizable([*self.operations, *unanswered], step_keys, nothing):
            raise BrokenPromiseError("what keepers were told did not happen one at a time")

    def _judge_fences(self) -> None:
        """Nothing is changed under a lease once it was changed under the next one."""
        numbers = [revision.number for revision in self.watched]
        if numbers != sorted(set(numbers)):
            raise BrokenPromiseError(f"a watcher was told of {numbers}")
        told = {revision.number: revision.changes[0].value for revision in self.watched}
        for each in self.fenced:
            if told.get(each.revision) != each.value:
                text = f"revision {each.revision} is {told.get(each.revision)!r}"
                raise BrokenPromiseError(f"{text} to a watcher, not {each.value!r}")
        tokens = [int(value.split(b":")[0]) for value in told.values()]
        if tokens != sorted(tokens):
            raise BrokenPromiseError(f"changes were made under the leases {tokens}")
        if len(set(told.values())) < len(told):
            raise BrokenPromiseError("a change under a lease was made twice")

    def _judge_journal(self, first: int, following: int) -> None:
        for position in range(first, following):
            if position not in self.records:
                raise BrokenPromiseError(f"nothing is at position {position} of the journal")
        for appended in self.appended:
            begin = appended.last + 1 - len(appended.records)
            for position, record in enumerate(appended.records, begin):
                if self.records.get(position, record) != record or position >= following:
                    found = self.records.get(position)
                    raise BrokenPromiseError(f"position {position} is {found!r}, not {record!r}")
        in_order = [self.records[position] for position in sorted(self.records)]
        if len(set(in_order)) < len(in_order):
            raise BrokenPromiseError("a record was appended twice")
        epochs = [int(record.split(b":")[0]) for record in in_order]
        if epochs != sorted(epochs):
            raise BrokenPromiseError(f"records were appended under the epochs {epochs}")
        _judge_order(self.appended)


def _judge_order(appended: Sequence[Appended]) -> None:
    """Who appends after another was answered appends behind it."""
    ordered = sorted(appended, key=lambda each: each.last)
    latest_call = 0
    for each, following in pairwise(ordered):
        latest_call = max(latest_call, each.called)
        if following.returned < latest_call:
            raise BrokenPromiseError(f"{following} is behind what was asked later")
