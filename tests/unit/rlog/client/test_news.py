"""Watches and tails where the leader does not let them wait: they go on, and do not spin."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from rlog.client import Journal, Keeper
from rlog.client.asking import Asking
from rlog.client.keeper import POLL_S, STREAM_S
from rlog.spaces.messages import Change, Changes, ReadChanges, ReadRecords, Records, Revision
from tests.unit.rlog.virtual_loop import VirtualLoop

LOOKS = 5  # in vain, before there is something


class HastyLeader:
    """Answers each question for news at once, and has some after a while."""

    def __init__(self) -> None:
        self.asked_s: list[float] = []

    async def ask_patiently(self, request: Any, kind: type) -> Any:
        self.asked_s.append(asyncio.get_running_loop().time())
        is_news = len(self.asked_s) > LOOKS
        if isinstance(request, ReadRecords):
            assert request.wait_ns > 0
            return Records(0, 1, (b"r",) if is_news else (), 1, 2 if is_news else 1)
        assert isinstance(request, ReadChanges)
        assert request.wait_ns > 0
        following = request.after + is_news
        revisions = (Revision(following, (Change("k"),)),) if is_news else ()
        return Changes(0, revisions, following)


def take(things: AsyncIterator[Any], count: int = 1) -> list[Any]:
    """Return the first things that come, in virtual time."""

    async def run() -> list[Any]:
        return [await anext(things) for _ in range(count)]

    loop = VirtualLoop()
    try:
        return loop.run_until_complete(run())
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def test_watch_looks_again_after_a_while() -> None:
    leader = HastyLeader()
    keeper = Keeper(cast(Asking, leader), "s")
    assert [each.number for each in take(keeper.watch(after=7))] == [8]
    assert leader.asked_s[-1] - leader.asked_s[0] >= LOOKS * POLL_S * 0.99


def test_watch_of_a_stream_asks_so_often_and_no_more() -> None:
    leader = HastyLeader()
    keeper = Keeper(cast(Asking, leader), "s")
    assert [each.number for each in take(keeper.watch(after=7), 50)] == list(range(8, 58))
    streamed_s = leader.asked_s[-1] - leader.asked_s[LOOKS]
    assert streamed_s >= 49 * STREAM_S * 0.99


def test_tail_looks_again_after_a_while() -> None:
    leader = HastyLeader()
    journal = Journal(Keeper(cast(Asking, leader), "s"), "j")
    assert [each.content for each in take(journal.tail())] == [b"r"]
    assert leader.asked_s[-1] - leader.asked_s[0] >= LOOKS * POLL_S * 0.99
