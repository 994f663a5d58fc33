"""Operators' questions: one request, one answer, from the leading master or from one agent."""

import asyncio
import random
from dataclasses import replace

from protocol.codecs.operator import decode_operator_message, encode_operator_message
from protocol.errors import Denied, Disconnected, Overloaded, TimedOut, Unavailable
from protocol.handshake import LinkIdentity
from protocol.leadership import Leadership
from protocol.links import Link
from protocol.messages.link import Leader
from protocol.messages.operator import Failed, OperatorMessage
from protocol.peer import Peer

DEADLINE_S = 10.0
LEADER_WAIT_S = 1.0  # a leader announces itself at once; without one any master may answer
FAILURES_PATIENT = 3  # tries of every address before a connect gives up early, about a second
RETRY_S = 0.2
LINKS_MAX = 16  # leaders at unknown addresses are followed up to this many links
PENDING_MAX = 1024
RETRIED = frozenset({"NOT_LEADER", "OVERLOADED", "UNAVAILABLE"})


class OperatorClient:
    """Asks the leading master, wherever leadership moves, or one agent.

    Made by `connect` or `connect_agent`; closed by `close`.
    """

    def __init__(
        self,
        identity: LinkIdentity,
        deadline_s: float,
        asks_leader: bool,
        rng: random.Random | None = None,
    ) -> None:
        self._identity = identity
        self._deadline_s = deadline_s
        self._asks_leader = asks_leader
        self._rng = rng or random.Random()  # jitter only
        self._links: dict[str, Link] = {}
        self._leadership = Leadership()
        self._open: dict[Peer, None] = {}
        self._calls = 0
        self._pending: dict[int, tuple[Peer, asyncio.Future[OperatorMessage]]] = {}
        self._changed = asyncio.Event()  # a link, a leader or a failure is new
        self._trouble = ""  # why the last try of an ask came to nothing

    @classmethod
    async def connect(
        cls,
        addresses: tuple[str, ...],
        identity: LinkIdentity,
        deadline_s: float = DEADLINE_S,
        rng: random.Random | None = None,
    ) -> "OperatorClient":
        """A client of the masters at these addresses, with at least one link open.

        Raises: Unavailable when none answers, Denied when all that answer refuse, ValueError when
        an address is none.
        """
        client = cls(identity, deadline_s, asks_leader=True, rng=rng)
        client._leadership = Leadership(masters=len(dict.fromkeys(addresses)))
        await client._open_links(addresses)
        return client

    @classmethod
    async def connect_agent(
        cls, address: str, identity: LinkIdentity, deadline_s: float = DEADLINE_S
    ) -> "OperatorClient":
        """A client of the agent at this address, with its link open. Raises: as `connect`."""
        client = cls(identity, deadline_s, asks_leader=False)
        await client._open_links((address,))
        return client

    async def ask(
        self, message: OperatorMessage, deadline_s: float | None = None
    ) -> OperatorMessage:
        """The answer to a request; asked again while leadership moves and links break.

        Raises: TimedOut when none came by the deadline, Unavailable when the answer cannot be sent,
        Overloaded over PENDING_MAX requests.
        """
        patience_s = self._deadline_s if deadline_s is None else deadline_s
        if len(self._pending) >= PENDING_MAX:
            raise Overloaded(f"{PENDING_MAX} requests are waiting for answers already")
        self._trouble = ""
        try:
            async with asyncio.timeout(patience_s):
                return await self._ask_until_answered(message)
        except TimeoutError:
            raise TimedOut(f"no answer in {patience_s:g} s: {self._explain()}") from None

    async def close(self) -> None:
        """Close all links; what waits for an answer fails."""
        for _, answer in self._pending.values():
            if not answer.done():
                answer.set_exception(Unavailable("the client was closed"))
        for link in self._links.values():
            await link.stop()

    def connected(self, peer: Peer) -> None:
        """Count a link as open."""
        self._open[peer] = None
        self._changed.set()

    def received(self, peer: Peer, payload: bytes, epoch: int) -> None:
        """Give an answer to who asked for it."""
        answer = decode_operator_message(payload)
        asked = self._pending.get(answer.call)
        if asked is not None and asked[0] is peer and not asked[1].done():
            asked[1].set_result(answer)

    def leader_changed(self, peer: Peer, leader: Leader) -> None:
        """Take in a master's word about who leads."""
        if self._leadership.hear(peer, leader):
            self._follow(leader.address)
        self._changed.set()

    def disconnected(self, peer: Peer, reason: str) -> None:
        """Fail what was asked over a link that is gone."""
        self._open.pop(peer, None)
        self._leadership.forget(peer)
        for asked, answer in self._pending.values():
            if asked is peer and not answer.done():
                answer.set_exception(
                    Disconnected(reason) if peer.refusal is None else Unavailable(reason)
                )
        self._changed.set()

    async def _open_links(self, addresses: tuple[str, ...]) -> None:
        if not addresses:
            raise ValueError("no address is given")
        for address in dict.fromkeys(addresses):
            self._links[address] = self._make_link(address)
        for link in self._links.values():
            link.start()
        try:
            async with asyncio.timeout(self._deadline_s):
                while not self._open:
                    self._give_up_if_hopeless()
                    await self._await_change()
        except TimeoutError:
            await self.close()
            raise Unavailable(self._explain()) from None
        except BaseException:
            await self.close()
            raise

    def _make_link(self, address: str) -> Link:
        return Link(address, self._identity, self, self._rng, on_ended=self._note_end)

    def _note_end(self, link: Link) -> None:
        self._changed.set()

    def _follow(self, address: str) -> None:
        """Open a link to a leader that was not among the addresses given."""
        if not address or address in self._links or self._leadership.leader is not None:
            return
        if not self._asks_leader or len(self._links) >= LINKS_MAX:
            return
        try:
            link = self._make_link(address)
        except ValueError:
            return  # a master told nonsense; others may know better
        self._links[address] = link
        link.start()

    def _give_up_if_hopeless(self) -> None:
        links = self._links.values()
        refused = [link for link in links if link.refusal is not None]
        if len(refused) == len(links):
            assert refused[0].refusal is not None
            code, text = refused[0].refusal
            raise Denied(code, f"{text} (said {refused[0].address})")
        if all(link.failures >= FAILURES_PATIENT for link in links):
            raise Unavailable(self._explain())

    async def _ask_until_answered(self, message: OperatorMessage) -> OperatorMessage:
        while True:
            peer = await self._find_peer()
            try:
                answer = await self._ask_once(peer, message)
            except Disconnected as gone:
                self._trouble = f"the link to {peer.name} broke ({gone})"
                continue
            if not isinstance(answer, Failed) or answer.reason not in RETRIED:
                return answer
            self._trouble = f"{peer.name} said {answer.reason} {answer.text}".rstrip()
            self._follow(answer.leader)
            await asyncio.sleep(self._rng.uniform(0, RETRY_S))

    async def _ask_once(self, peer: Peer, message: OperatorMessage) -> OperatorMessage:
        self._calls += 1
        call = self._calls
        answer: asyncio.Future[OperatorMessage] = asyncio.get_running_loop().create_future()
        self._pending[call] = (peer, answer)
        try:
            peer.send(encode_operator_message(replace(message, call=call)))
            return await answer
        finally:
            del self._pending[call]

    async def _find_peer(self) -> Peer:
        """The leader's link; when nobody leads for a while, any open one.

        That one may be the very one that knows nothing, so each is asked in turn.
        """
        if self._asks_leader and not await self._is_leader_found():
            self._leadership.trust()  # the masters listed may be mostly gone
        while True:
            leader = self._leadership.leader
            peer = leader if leader is not None else next(iter(self._open), None)
            if peer is not None:
                if peer in self._open:
                    self._open[peer] = self._open.pop(peer)
                return peer
            await self._await_change()

    async def _is_leader_found(self) -> bool:
        try:
            async with asyncio.timeout(LEADER_WAIT_S):
                while self._leadership.leader is None:
                    await self._await_change()
        except TimeoutError:
            return False
        return True

    async def _await_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _explain(self) -> str:
        """What stands in the way, and what to do about it."""
        if not self._open:
            tried = ", ".join(
                f"{link.address} ({link.failure or 'no answer'})" for link in self._links.values()
            )
            if not self._asks_leader:
                return f"the agent at {tried} does not answer; is it running and reachable?"
            return (
                f"no master answered at {tried}; is `quorate master` running? "
                f"name others with --masters"
            )
        names = ", ".join(peer.name for peer in self._open)
        if self._asks_leader and self._leadership.leader is None:
            return f"no master leads; {names} answered: are a majority of the masters running?"
        return self._trouble or f"{names} took the request and is silent; try again"
