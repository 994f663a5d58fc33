"""The keeper: one space of a log, as a program uses it, through whichever member leads."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace

from rlog.client.asking import Asking, Refusal
from rlog.client.grouping import Grouping
from rlog.spaces.messages import (
    AcquireLease,
    Change,
    Changes,
    Condition,
    DescribeSpace,
    Fence,
    Fetch,
    Fetched,
    Item,
    Leased,
    ListNames,
    Names,
    ReadChanges,
    ReleaseLease,
    RemoveSpace,
    RenewLease,
    Revision,
    SpaceDescribed,
    Transact,
    Transacted,
)

WAIT_NS = 5_000_000_000  # what a leader may keep us waiting for before it says "nothing new"
POLL_S = 0.2  # between looks for news where the leader does not wait
BELIEVED_PART = 0.9  # of a lease's time: the leader's clock may run a twentieth faster than ours
# Of one group: as many changes as a transaction may have. An entry costs much whatever it holds.
GROUP_MAX = 256
GROUP_BYTES_MAX = 128 << 10
STREAM_S = 0.02  # between looks while there is always more: one watcher asks at most so often


@dataclass(frozen=True, slots=True)
class Held:
    """A lease in our hands, and until when we may rely on it by this process' own clock."""

    name: str
    token: int
    until_s: float  # as `loop.time()`


class Pace:
    """How soon one who follows asks again, from when it asked: it leaves others their part."""

    def __init__(self) -> None:
        self._asked_s = asyncio.get_running_loop().time()

    async def rest(self, *, is_news: bool) -> None:
        """Return when it is time; at once if the answer came late, because it had to wait."""
        passed_s = asyncio.get_running_loop().time() - self._asked_s
        await asyncio.sleep(max(0.0, (STREAM_S if is_news else POLL_S) - passed_s))


class Keeper:
    """One space; any number of requests may wait.

    What is not answered is asked again when another member leads, and means the same then:
    transactions carry tokens, leases name their holder. Only after the deadline is the outcome
    unknown (`TimedOut`).
    """

    def __init__(self, asking: Asking, space: str) -> None:
        self.asking = asking
        self.space = space
        bounds = {"questions_max": GROUP_MAX, "bytes_max": GROUP_BYTES_MAX}
        self._stores: Grouping[Change, int] = Grouping(self._store_all, Refusal, **bounds)
        self._fetches: Grouping[str, Item | None] = Grouping(self._fetch_all, Refusal, **bounds)

    # Keys

    async def fetch(self, *keys: str) -> dict[str, Item]:
        """Return those of the keys that there are, with value and version, as of now."""
        if len(keys) == 1:
            item = await self._fetches.ask(keys[0], len(keys[0]))
            return {} if item is None else {item.key: item}
        return await self._fetch(keys)

    async def _fetch(self, keys: Sequence[str]) -> dict[str, Item]:
        found: dict[str, Item] = {}
        while keys:
            request = Fetch(space=self.space, keys=tuple(keys))
            answer = await self.asking.ask(request, Fetched)
            found.update((item.key, item) for item in answer.items)
            keys = keys[max(1, answer.considered) :]
        return found

    async def _fetch_all(self, keys: Sequence[str]) -> list[Item | None]:
        found = await self._fetch(tuple(dict.fromkeys(keys)))
        return [found.get(key) for key in keys]

    async def store(self, key: str, value: bytes, version: int | None = None) -> int:
        """Store a value, if the key has this version (0: does not exist; None: whatever it has).

        Return the new version. What many callers store without conditions may become one revision.
        Raises: Refusal CONFLICT, OVER_QUOTA, …
        """
        change = Change(key, value)
        if version is None:
            return await self._stores.ask(change, len(key) + len(value), key)
        return await self.transact((change,), (Condition(key, version),))

    async def _store_all(self, changes: Sequence[Change]) -> list[int]:
        return [await self.transact(changes)] * len(changes)

    async def expunge(self, key: str, version: int | None = None) -> None:
        """Remove a key, if it has this version. Raises: Refusal CONFLICT."""
        conditions = () if version is None else (Condition(key, version),)
        await self.transact((Change(key, is_expunged=True),), conditions)

    async def names(self, prefix: str = "") -> list[str]:
        """Return all keys that begin so, in order."""
        found: list[str] = []
        while True:
            request = ListNames(space=self.space, prefix=prefix, after=found[-1] if found else "")
            answer = await self.asking.ask(request, Names)
            found += answer.names
            if not answer.is_more:
                return found

    async def describe(self) -> SpaceDescribed:
        """Return who holds which lease, and who writes which journal."""
        return await self.asking.ask(DescribeSpace(space=self.space), SpaceDescribed)

    async def transact(
        self,
        changes: Sequence[Change],
        conditions: Sequence[Condition] = (),
        held: Iterable[Held] = (),
    ) -> int:
        """Make all changes at once if all conditions hold and all leases are held; else none.

        Return the revision, which is the version of every key stored. Raises: Refusal CONFLICT,
        FENCED, OVER_QUOTA, TOO_MANY, BAD_NAME, OTHER_OWNER.
        """
        fences = tuple(Fence(each.name, each.token) for each in held)
        token = secrets.token_hex(16)
        request = Transact(0, self.space, token, tuple(conditions), fences, tuple(changes))
        return (await self.asking.ask(request, Transacted)).revision

    async def watch(self, prefix: str = "", after: int | None = None) -> AsyncIterator[Revision]:
        """Yield every revision that changes keys which begin so, in order, without a gap.

        `after` is a revision seen before; None: from now on. Raises: Refusal COMPACTED when it
        was too long ago: then read all, and watch from the revision of that.
        """
        if after is None:
            now = await self.asking.ask_patiently(Fetch(space=self.space), Fetched)
            after = now.revision
        while True:
            pace = Pace()
            request = ReadChanges(0, self.space, prefix, after, WAIT_NS)
            answer = await self.asking.ask_patiently(request, Changes)
            for revision in answer.revisions:
                yield revision
            await pace.rest(is_news=answer.revision > after)
            after = answer.revision

    async def remove_space(self) -> None:
        """Remove the space with all keys and leases. Raises: Refusal UNKNOWN_SPACE."""
        await self.asking.ask(RemoveSpace(space=self.space), Transacted)

    # Leases

    async def acquire(self, name: str, holder: str, ttl_s: float) -> Held:
        """Take a lease that nobody else holds; it ends unless renewed within `ttl_s`.

        Raises: Refusal HELD, BAD_DURATION, …
        """
        asked_s = asyncio.get_running_loop().time()
        request = AcquireLease(0, self.space, name, holder, int(ttl_s * 1e9))
        return Held(
            name, (await self.asking.ask(request, Leased)).token, asked_s + BELIEVED_PART * ttl_s
        )

    async def renew(self, held: Held, ttl_s: float) -> Held:
        """Hold a lease for longer. Raises: Refusal FENCED when it has ended."""
        asked_s = asyncio.get_running_loop().time()
        await self.asking.ask(RenewLease(0, self.space, held.name, held.token), Leased)
        return replace(held, until_s=asked_s + BELIEVED_PART * ttl_s)

    async def release(self, held: Held) -> None:
        """Give a lease back. Raises: Refusal FENCED when it has ended."""
        await self.asking.ask(ReleaseLease(0, self.space, held.name, held.token), Leased)
