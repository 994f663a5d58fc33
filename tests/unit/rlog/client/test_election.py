"""Elections in virtual time: who leads may rely on it."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

from rlog.client.election import Election
from rlog.client.keeper import Held, Keeper
from tests.simulation.loop import VirtualLoop

TTL_S = 1.5


class SlowKeeper(Keeper):
    """Gives everybody the lease, after as long as is said for each answer, at once otherwise."""

    def __init__(self, *delays_s: float) -> None:
        self.asked = 0
        self.released = 0
        self._delays_s = list(delays_s)

    async def acquire(self, name: str, holder: str, ttl_s: float) -> Held:
        until_s = await self._answer() + ttl_s
        return Held(name, 7, until_s)

    async def renew(self, held: Held, ttl_s: float) -> Held:
        return Held(held.name, held.token, await self._answer() + ttl_s)

    async def release(self, held: Held) -> None:
        self.released += 1

    async def _answer(self) -> float:
        """Return when it was asked."""
        asked_s = asyncio.get_running_loop().time()
        self.asked += 1
        await asyncio.sleep(self._delays_s.pop(0) if self._delays_s else 0.0)
        return asked_s


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop = VirtualLoop(random.Random(1))
    try:
        loop.run_until_complete(scene())
    finally:
        loop.close()


def test_lease_that_was_too_long_in_coming_is_asked_for_again() -> None:
    async def scene() -> None:
        keeper = SlowKeeper(2 * TTL_S, 2 * TTL_S)
        async with Election(keeper, "leader", "me", TTL_S).leading() as leadership:
            assert keeper.asked == 3
            assert leadership.held.until_s > asyncio.get_running_loop().time()
        assert keeper.released == 1

    play(scene)


def test_lease_of_which_little_is_left_is_lost_when_it_ends_and_not_later() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        keeper = SlowKeeper(TTL_S - 0.01, 10 * TTL_S)
        async with Election(keeper, "leader", "me", TTL_S).leading() as leadership:
            until_s = leadership.held.until_s
            assert until_s - loop.time() < 0.02
            await leadership.lost.wait()
            assert loop.time() <= until_s + 0.001

    play(scene)


def test_lease_is_renewed_in_good_time() -> None:
    async def scene() -> None:
        keeper = SlowKeeper()
        async with Election(keeper, "leader", "me", TTL_S).leading() as leadership:
            first_s = leadership.held.until_s
            await asyncio.sleep(10 * TTL_S)
            assert not leadership.lost.is_set()
            assert leadership.held.until_s > first_s + 9 * TTL_S
        assert keeper.asked < 60

    play(scene)
