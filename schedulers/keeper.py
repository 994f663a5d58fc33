"""The keeper: what schedulers keep in the masters' log, through whichever master leads."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from protocol.codecs.framework import decode_framework_message, encode_framework_message
from protocol.errors import Denied, Disconnected, Fault, TimedOut
from protocol.links import LinkPace
from protocol.master_links import MasterLinks
from protocol.messages.framework import Keep, Kept
from protocol.peer import Peer
from rlog.spaces.messages import (
    AcquireLease,
    Change,
    Changes,
    Condition,
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
    SpaceAnswer,
    SpaceRefused,
    SpaceRequest,
    Transact,
    Transacted,
)
from rlog.spaces_codec import decode_space_answer, encode_space_request
from schedulers.framework import Framework
from schedulers.grouping import Grouping

DEADLINE_S = 10.0
AGAIN_S = 0.1  # after a master said that it is too busy, or does not lead
WATCH_S = 0.2  # between looks for changes
PENDING_MAX = 1024
REQUEST_BYTES_MAX = 768 << 10  # with what surrounds it well within a frame of 1 MiB
# Of one group. Several groups of a crowd's size should be under way, not all of it in one.
GROUP_MAX = 64
GROUP_BYTES_MAX = 128 << 10
PASSING = frozenset({"NOT_LEADER", "OVERLOADED", "OVER_RATE", "INTERNAL"})

A = TypeVar("A")


class Refusal(Fault):
    """The space said no: `reason` is CONFLICT, FENCED, HELD, OVER_QUOTA, … Nothing has changed."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Held:
    """A lease in our hands, and until when we may rely on it by this process' own clock."""

    name: str
    token: int
    until_s: float  # as `loop.time()`


class Keeper:
    """One space, as one scheduler uses it. `async with` it; any number of requests may wait.

    What is not answered is asked again when another master leads, and means the same then:
    transactions carry tokens, leases name their holder. Only after `deadline_s` is the outcome
    unknown (`TimedOut`).
    """

    def __init__(
        self,
        framework: Framework,
        space: str,
        *,
        deadline_s: float = DEADLINE_S,
        rng: random.Random | None = None,
        pace: LinkPace | None = None,
    ) -> None:
        """Raises: ValueError when an address or the credentials cannot be used."""
        self.space = space
        self._deadline_s = deadline_s
        self._links = MasterLinks(
            framework.addresses, framework.identify(), self, rng or random.Random(), pace
        )
        self._addresses = framework.addresses
        self._peer: Peer | None = None
        self._calls = 0
        self._waiting: dict[int, tuple[bytes, asyncio.Future[SpaceAnswer]]] = {}
        self._refused: dict[str, Denied] = {}
        bounds = {"questions_max": GROUP_MAX, "bytes_max": GROUP_BYTES_MAX}
        self._stores: Grouping[Change, int] = Grouping(self._store_all, Refusal, **bounds)
        self._fetches: Grouping[str, Item | None] = Grouping(self._fetch_all, Refusal, **bounds)

    async def __aenter__(self) -> "Keeper":
        self._links.start()
        return self

    async def __aexit__(self, *what: object) -> None:
        await self._links.stop()
        self._fail_all(Disconnected("the keeper was closed"))

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
            answer = await self.ask(Fetch(space=self.space, keys=tuple(keys)), Fetched)
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
            answer = await self.ask(request, Names)
            found += answer.names
            if not answer.is_more:
                return found

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
        return (await self.ask(request, Transacted)).revision

    async def watch(self, prefix: str = "", after: int | None = None) -> AsyncIterator[Revision]:
        """Yield every revision that changes keys which begin so, in order, without a gap.

        `after` is a revision seen before; None: from now on. Raises: Refusal COMPACTED when it
        was too long ago: then read all, and watch from the revision of that.
        """
        if after is None:
            after = (await self.ask(ListNames(space=self.space), Names)).revision
        while True:
            request = ReadChanges(space=self.space, prefix=prefix, after=after)
            answer = await self.ask(request, Changes)
            for revision in answer.revisions:
                yield revision
            if answer.revision == after:
                await asyncio.sleep(WATCH_S)
            after = answer.revision

    async def remove_space(self) -> None:
        """Remove the space with all keys and leases. Raises: Refusal UNKNOWN_SPACE."""
        await self.ask(RemoveSpace(space=self.space), Transacted)

    # Leases

    async def acquire(self, name: str, holder: str, ttl_s: float) -> Held:
        """Take a lease that nobody else holds; it ends unless renewed within `ttl_s`.

        Raises: Refusal HELD, BAD_DURATION, …
        """
        asked_s = asyncio.get_running_loop().time()
        request = AcquireLease(0, self.space, name, holder, int(ttl_s * 1e9))
        return Held(name, (await self.ask(request, Leased)).token, asked_s + ttl_s)

    async def renew(self, held: Held, ttl_s: float) -> Held:
        """Hold a lease for longer. Raises: Refusal FENCED when it has ended."""
        asked_s = asyncio.get_running_loop().time()
        await self.ask(RenewLease(0, self.space, held.name, held.token), Leased)
        return replace(held, until_s=asked_s + ttl_s)

    async def release(self, held: Held) -> None:
        """Give a lease back. Raises: Refusal FENCED when it has ended."""
        await self.ask(ReleaseLease(0, self.space, held.name, held.token), Leased)

    # What the links say

    def leader_found(self, peer: Peer, epoch: int) -> None:
        """Ask the new leader everything that nobody has answered."""
        self._peer = peer
        self._refused.clear()
        for content, _ in self._waiting.values():
            peer.send(content)

    def leader_lost(self) -> None:
        """Wait for the next."""
        self._peer = None

    def refused(self, address: str, code: str, text: str) -> None:
        """When no master lets us in, waiting is over."""
        self._refused[address] = Denied(code, f"{text} (said {address})")
        if set(self._refused) >= set(self._addresses):
            self._fail_all(self._refused[address])

    def received(self, payload: bytes, epoch: int) -> None:
        """Take one answer."""
        message = decode_framework_message(payload)
        if not isinstance(message, Kept):
            return  # nothing else is for us
        answer = decode_space_answer(message.answer)
        waiting = self._waiting.get(answer.call)
        if waiting is None or waiting[1].done():
            return
        if isinstance(answer, SpaceRefused) and answer.reason in PASSING:
            loop = asyncio.get_running_loop()
            loop.call_later(AGAIN_S, self._ask_again, answer.call)
        else:
            waiting[1].set_result(answer)

    # Asking

    async def ask(self, request: SpaceRequest, kind: type[A]) -> A:
        """Return the answer to a request, from whichever master leads.

        Raises: Refusal; TimedOut with the outcome unknown; Denied.
        """
        if len(self._waiting) >= PENDING_MAX:
            raise Refusal("TOO_MANY", f"{PENDING_MAX} requests wait for answers already")
        self._calls += 1
        call = self._calls
        named: Any = replace(request, call=call)
        content = encode_framework_message(Keep(encode_space_request(named)))
        if len(content) > REQUEST_BYTES_MAX:
            text = f"a request of {len(content)} bytes, at most {REQUEST_BYTES_MAX}"
            raise Refusal("OVER_QUOTA", text)
        future: asyncio.Future[SpaceAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[call] = content, future
        try:
            if set(self._refused) >= set(self._addresses):
                raise self._refused[self._addresses[0]]
            if self._peer is not None:
                self._peer.send(content)
            async with asyncio.timeout(self._deadline_s):
                answer = await future
        except TimeoutError:
            raise TimedOut(f"no answer in {self._deadline_s:g} s: {self._explain()}") from None
        finally:
            del self._waiting[call]
        if isinstance(answer, SpaceRefused):
            raise Refusal(answer.reason, answer.text)
        assert isinstance(answer, kind)
        return answer

    def _ask_again(self, call: int) -> None:
        waiting = self._waiting.get(call)
        if waiting is not None and self._peer is not None:
            self._peer.send(waiting[0])

    def _explain(self) -> str:
        if self._peer is not None:
            return "the leading master is busy or cannot commit"
        silent = ", ".join(f"{name} ({why})" for name, why in self._links.silent.items())
        return f"no master leads; silent are {silent or 'none'}"

    def _fail_all(self, error: Fault) -> None:
        for _, future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
