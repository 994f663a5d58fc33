"""Questions to whichever member of a log leads, asked again until one has answered."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from protocol.errors import Denied, Disconnected, Fault, TimedOut
from protocol.handshake import LinkIdentity
from protocol.links import LinkPace
from protocol.master_links import MasterLinks
from protocol.peer import Peer
from rlog.spaces.messages import SpaceAnswer, SpaceRefused, SpaceRequest
from rlog.spaces_codec import decode_space_answer, encode_space_request

DEADLINE_S = 10.0
AGAIN_S = 0.1  # after a member said that it is too busy, or does not lead
PENDING_MAX = 1024
REQUEST_BYTES_MAX = 768 << 10  # with what surrounds it well within a frame of 1 MiB
PASSING = frozenset({"NOT_LEADER", "OVERLOADED", "OVER_RATE", "INTERNAL"})

A = TypeVar("A")
S = TypeVar("S", bound="Asking")


class Refusal(Fault):
    """The space said no: `reason` is CONFLICT, FENCED, HELD, OVER_QUOTA, … Nothing has changed."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason


def plain(content: bytes) -> bytes:
    """Return a request or an answer as a link of the role keeper carries it."""
    return content


@dataclass(frozen=True, slots=True)
class Door:
    """Where a log's members are, who we are to them, and how requests and answers travel there."""

    addresses: tuple[str, ...]
    identity: LinkIdentity
    wrap: Callable[[bytes], bytes] = plain
    unwrap: Callable[[bytes], bytes | None] = plain  # None: a message that is not for us


class Asking:
    """Links to all members; `async with` it. Any number of requests may wait for an answer."""

    def __init__(
        self,
        door: Door,
        *,
        deadline_s: float = DEADLINE_S,
        rng: random.Random | None = None,
        pace: LinkPace | None = None,
    ) -> None:
        """Raises: ValueError when an address cannot be used."""
        self._door = door
        self._deadline_s = deadline_s
        self._links = MasterLinks(door.addresses, door.identity, self, rng or random.Random(), pace)
        self._peer: Peer | None = None
        self._calls = 0
        self._waiting: dict[int, tuple[bytes, asyncio.Future[SpaceAnswer]]] = {}
        self._refused: dict[str, Denied] = {}

    async def __aenter__(self: S) -> S:
        self._links.start()
        return self

    async def __aexit__(self, *what: object) -> None:
        await self._links.stop()
        self._fail_all(Disconnected("closed here"))

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
        """When no member lets us in, waiting is over."""
        self._refused[address] = Denied(code, f"{text} (said {address})")
        if set(self._refused) >= set(self._door.addresses):
            self._fail_all(self._refused[address])

    def received(self, payload: bytes, epoch: int) -> None:
        """Take one answer."""
        content = self._door.unwrap(payload)
        if content is None:
            return
        answer = decode_space_answer(content)
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
        """Return the answer to a request, from whichever member leads.

        Raises: Refusal; TimedOut with the outcome unknown; Denied.
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self.ask_patiently(request, kind)
        except TimeoutError:
            raise TimedOut(f"no answer in {self._deadline_s:g} s: {self._explain()}") from None

    async def ask_patiently(self, request: SpaceRequest, kind: type[A]) -> A:
        """Return the answer however long nobody leads. Raises: Refusal, Denied."""
        if len(self._waiting) >= PENDING_MAX:
            raise Refusal("TOO_MANY", f"{PENDING_MAX} requests wait for answers already")
        self._calls += 1
        call = self._calls
        named: Any = replace(request, call=call)
        content = self._door.wrap(encode_space_request(named))
        if len(content) > REQUEST_BYTES_MAX:
            text = f"a request of {len(content)} bytes, at most {REQUEST_BYTES_MAX}"
            raise Refusal("OVER_QUOTA", text)
        future: asyncio.Future[SpaceAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[call] = content, future
        try:
            if set(self._refused) >= set(self._door.addresses):
                raise self._refused[self._door.addresses[0]]
            if self._peer is not None:
                self._peer.send(content)
            answer = await future
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
            return f"{self._peer.name} leads, and is busy or cannot commit"
        silent = ", ".join(f"{name} ({why})" for name, why in self._links.silent.items())
        return f"nobody leads; silent are {silent or 'none'}"

    def _fail_all(self, error: Fault) -> None:
        for _, future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
