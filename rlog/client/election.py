"""An election among the replicas of a program: one leads, by a lease it keeps renewing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from protocol.errors import Fault, TimedOut
from rlog.client.asking import Refusal
from rlog.client.keeper import Held, Keeper

TTL_S = 1.5  # how long a leader that vanished stands in the way
RETRIES = 5  # within a lease's time, of those who wait and of the one who renews


class Election:
    """One replica's part in it. The name of a holder must be its own, and new at each start."""

    def __init__(self, keeper: Keeper, name: str, holder: str, ttl_s: float = TTL_S) -> None:
        self._keeper, self._name, self._holder, self._ttl_s = keeper, name, holder, ttl_s

    @contextlib.asynccontextmanager
    async def leading(self) -> AsyncIterator["Leadership"]:
        """Wait until this replica leads; leave the block when `Leadership.lost` is set.

        Leaving it gives the lease back, so that another can lead at once.
        """
        held = await self._win()
        leadership = Leadership(held)
        renewing = asyncio.get_running_loop().create_task(self._renew(leadership))
        try:
            yield leadership
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
            leadership.lost.set()
            with contextlib.suppress(Fault):
                await self._keeper.release(leadership.held)

    async def _win(self) -> Held:
        """Return a lease that may be relied on now: one that was long in coming is over."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                held = await self._keeper.acquire(self._name, self._holder, self._ttl_s)
                if held.until_s > loop.time():
                    return held
                continue  # who holds it already is given it anew
            except Refusal as refusal:
                if refusal.reason != "HELD":
                    raise
            except TimedOut:
                continue  # nobody leads; whether it was heard or not, asked again it is the same
            await asyncio.sleep(self._ttl_s / RETRIES)

    async def _renew(self, leadership: "Leadership") -> None:
        """Renew until that fails for as long as the lease may be relied on."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                left_s = max(0.0, leadership.held.until_s - loop.time())
                await asyncio.sleep(min(self._ttl_s, left_s) / RETRIES)
                async with asyncio.timeout_at(leadership.held.until_s):
                    leadership.held = await self._keeper.renew(leadership.held, self._ttl_s)
        except (Fault, TimeoutError):
            return
        finally:
            leadership.lost.set()


class Leadership:
    """While `lost` is not set, nobody else leads; transactions fenced by `held` are safe anyway."""

    def __init__(self, held: Held) -> None:
        self.held = held
        self.lost = asyncio.Event()

    @property
    def token(self) -> int:
        """Grows from leader to leader: what fences effects elsewhere."""
        return self.held.token
