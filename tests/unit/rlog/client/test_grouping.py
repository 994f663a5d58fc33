"""Groups: what is asked together, in which order, and whose answer is whose."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import pytest

from protocol.errors import Disconnected, Fault, Overloaded
from rlog.client import grouping
from rlog.client.grouping import UNDER_WAY_MAX, Grouping


class No(Fault):
    """The answer to a group that holds a question that is refused."""


class Oracle:
    """Answers each number with its square; refuses a group with a negative one."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.is_free = asyncio.Event()
        self.is_free.set()
        self.error: Fault | None = None

    async def answer(self, numbers: Sequence[int]) -> list[int]:
        self.groups.append(list(numbers))
        await self.is_free.wait()
        if self.error is not None:
            raise self.error
        if min(numbers) < 0:
            raise No(f"{min(numbers)} is negative")
        return [number**2 for number in numbers]

    def grouping(self, questions_max: int = 4, bytes_max: int = 1000) -> Grouping[int, int]:
        return Grouping(self.answer, No, questions_max=questions_max, bytes_max=bytes_max)


def play(scene: Callable[[Oracle], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        await scene(Oracle())

    asyncio.run(run())


def gather(*asked: Awaitable[int]) -> Awaitable[list[int | BaseException]]:
    return asyncio.gather(*asked, return_exceptions=True)


def test_questions_of_one_turn_are_asked_together_and_answered_each() -> None:
    async def scene(oracle: Oracle) -> None:
        group = oracle.grouping()
        assert await gather(*(group.ask(number, 1) for number in (3, 1, 2))) == [9, 1, 4]
        assert await group.ask(5, 1) == 25
        assert oracle.groups == [[3, 1, 2], [5]]

    play(scene)


def test_full_groups_are_followed_by_others_in_order() -> None:
    async def scene(oracle: Oracle) -> None:
        by_number, by_size = oracle.grouping(2), oracle.grouping(9, 10)
        await gather(*(by_number.ask(number, 1) for number in range(5)))
        assert oracle.groups == [[0, 1], [2, 3], [4]]
        oracle.groups.clear()
        await gather(by_size.ask(1, 6), by_size.ask(2, 4), by_size.ask(3, 1), by_size.ask(4, 99))
        assert oracle.groups == [[1, 2], [3], [4]]

    play(scene)


def test_questions_of_one_mark_are_never_in_one_group() -> None:
    async def scene(oracle: Oracle) -> None:
        group = oracle.grouping()
        await gather(group.ask(1, 1, "a"), group.ask(2, 1, "b"), group.ask(3, 1, "a"))
        assert oracle.groups == [[1, 2], [3]]

    play(scene)


def test_questions_gather_while_as_many_groups_as_may_be_are_under_way() -> None:
    async def scene(oracle: Oracle) -> None:
        group = oracle.grouping(4)
        oracle.is_free.clear()
        asked = []
        for number in range(UNDER_WAY_MAX + 3):
            asked.append(group.ask(number, 1))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert oracle.groups == [[number] for number in range(UNDER_WAY_MAX)]
        oracle.is_free.set()
        assert await gather(*asked) == [number**2 for number in range(UNDER_WAY_MAX + 3)]
        assert oracle.groups[-1] == [UNDER_WAY_MAX, UNDER_WAY_MAX + 1, UNDER_WAY_MAX + 2]

    play(scene)


def test_refused_group_is_asked_again_one_by_one() -> None:
    async def scene(oracle: Oracle) -> None:
        group = oracle.grouping()
        answers = await gather(group.ask(2, 1), group.ask(-1, 1), group.ask(3, 1))
        assert (answers[0], str(answers[1]), answers[2]) == (4, "-1 is negative", 9)
        assert oracle.groups == [[2, -1, 3], [2], [-1], [3]]

    play(scene)


def test_group_whose_outcome_is_unknown_is_not_asked_again() -> None:
    async def scene(oracle: Oracle) -> None:
        group, oracle.error = oracle.grouping(), Disconnected("closed")
        assert await gather(group.ask(1, 1), group.ask(2, 1)) == [oracle.error] * 2
        assert oracle.groups == [[1, 2]]

    play(scene)


def test_caller_that_gives_up_takes_nothing_from_the_others() -> None:
    async def scene(oracle: Oracle) -> None:
        group = oracle.grouping()
        impatient, patient = group.ask(1, 1), group.ask(2, 1)
        impatient.cancel()
        assert await patient == 4

    play(scene)


def test_questions_that_wait_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "WAITING_MAX", 2)

    async def scene(oracle: Oracle) -> None:
        group = oracle.grouping()
        asked = [group.ask(1, 1), group.ask(2, 1)]
        with pytest.raises(Overloaded):
            group.ask(3, 1)
        assert await gather(*asked) == [1, 4]
        assert await group.ask(3, 1) == 9

    play(scene)
