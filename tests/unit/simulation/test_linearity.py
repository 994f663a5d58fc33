"""The checker of histories: good ones pass, bad ones do not, whatever was concurrent."""

import itertools
import random
from collections.abc import Hashable, Sequence

import pytest

from tests.simulation.linearity import (
    Operation,
    Step,
    find_disorder,
    is_linearizable,
    step_queue,
)


def step_register(state: object, operation: Operation) -> tuple[bool, Hashable]:
    if operation.action == "write":
        return True, operation.value
    return operation.value == state, state


def history(*lines: str) -> list[Operation]:
    """Return operations drawn as `client action value called returned`; `?` was never answered."""
    found = []
    for line in lines:
        client, action, value, called, returned = line.split()
        found.append(
            Operation(
                int(client),
                action,
                None if value == "-" else value,
                float(called),
                None if returned == "?" else float(returned),
            )
        )
    return found


GOOD_REGISTERS = [
    ["1 write a 1 2", "2 read a 3 4"],
    ["1 write a 1 4", "2 read - 2 3"],  # not yet
    ["1 write a 1 4", "2 read a 2 3"],  # already
    ["1 write a 1 ?", "2 read - 2 3", "2 read a 4 5"],  # after all
    ["1 write a 1 ?", "2 read - 2 3", "2 read - 4 5"],  # never
    ["1 write a 1 5", "2 write b 1 5", "3 read b 6 7", "3 read b 8 9"],
]
BAD_REGISTERS = [
    ["1 write a 1 2", "2 read - 3 4"],  # lost
    ["1 write a 1 4", "2 read a 2 2.5", "2 read - 3 3.5"],  # back in time
    ["1 write a 1 2", "1 write b 3 4", "2 read a 5 6"],  # stale
    ["1 write a 1 ?", "2 read a 2 3", "2 read - 4 5"],
    ["1 write a 1 5", "2 write b 1 5", "3 read b 6 7", "3 read a 8 9"],
    ["1 read a 1 2", "2 write a 3 4"],  # before it was written
]
GOOD_QUEUES = [
    ["1 put a 1 2", "2 put b 3 4", "1 take a 5 6", "1 take b 7 8", "1 take - 9 10"],
    ["1 put a 1 4", "2 put b 1 4", "1 take b 5 6", "1 take a 7 8"],
    ["1 put a 1 4", "2 take - 2 3"],
]
BAD_QUEUES = [
    ["1 put a 1 2", "2 put b 3 4", "1 take b 5 6"],
    ["1 put a 1 2", "1 take a 3 4", "2 take a 5 6"],  # twice
    ["1 put a 1 2", "2 take - 3 4"],
]


@pytest.mark.parametrize("lines", GOOD_REGISTERS)
def test_register_that_could_be_is_believed(lines: Sequence[str]) -> None:
    assert find_disorder(history(*lines), None) == ""


@pytest.mark.parametrize("lines", BAD_REGISTERS)
def test_register_that_could_not_be_is_caught(lines: Sequence[str]) -> None:
    assert find_disorder(history(*lines), None)


@pytest.mark.parametrize("lines", GOOD_QUEUES)
def test_queue_that_could_be_is_believed(lines: Sequence[str]) -> None:
    assert is_linearizable(history(*lines), step_queue, ())


@pytest.mark.parametrize("lines", BAD_QUEUES)
def test_queue_that_could_not_be_is_caught(lines: Sequence[str]) -> None:
    assert not is_linearizable(history(*lines), step_queue, ())


def by_all_orders(history: Sequence[Operation], step: Step, first: Hashable) -> bool:
    """Return the same by trying every order of every choice of unanswered operations."""
    sure = [each for each in history if each.returned is not None]
    unsure = [each for each in history if each.returned is None]
    for count in range(len(unsure) + 1):
        for chosen in itertools.combinations(unsure, count):
            for order in itertools.permutations((*sure, *chosen)):
                if _fits(order, step, first):
                    return True
    return False


def _fits(order: Sequence[Operation], step: Step, state: Hashable) -> bool:
    for at, operation in enumerate(order):
        if any(
            later.returned is not None and later.returned < operation.called
            for later in order[at + 1 :]
        ):
            return False
        fits, state = step(state, operation)
        if not fits:
            return False
    return True


def random_history(rng: random.Random, action: tuple[str, str]) -> list[Operation]:
    """Return what three clients may have seen; every value is given once."""
    found, values = [], iter("abcdef")
    for client in range(3):
        time = rng.random()
        for _ in range(2):
            called, time = time, time + rng.random()
            kind = rng.choice(action)
            value = next(values) if kind == action[0] else rng.choice((*"abc", None))
            returned = None if kind == action[0] and rng.random() < 0.2 else time
            found.append(Operation(client, kind, value, called, returned))
            time += rng.random() * 0.5
            if returned is None:
                break  # who waits does nothing else
    return found


def test_search_of_a_queue_agrees_with_trying_every_order() -> None:
    rng, verdicts = random.Random(3), []
    for _ in range(600):
        found = random_history(rng, ("put", "take"))
        verdict = is_linearizable(found, step_queue, ())
        assert verdict == by_all_orders(found, step_queue, ()), found
        verdicts.append(verdict)
    assert 30 < sum(verdicts) < 570  # both kinds were among them


def test_zones_of_a_register_agree_with_trying_every_order() -> None:
    rng, verdicts = random.Random(4), []
    for _ in range(600):
        found = random_history(rng, ("write", "read"))
        verdict = find_disorder(found, None) == ""
        assert verdict == by_all_orders(found, step_register, None), found
        verdicts.append(verdict)
    assert 30 < sum(verdicts) < 570
