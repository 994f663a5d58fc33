"""Links to all masters, with the one of them that leads."""

import asyncio
import random
from functools import partial
from typing import Protocol

import structlog

from protocol.handshake import LinkIdentity
from protocol.leadership import Leadership
from protocol.links import Link, LinkPace
from protocol.messages.link import Leader
from protocol.peer import Peer

LINKS_MAX = 32  # to masters, those given and those told of
DOUBT_S = 3.0  # a leader that too few masters name is believed after so long

log = structlog.get_logger()


class LinksReceiver(Protocol):
    """Takes what the leading master sends, and who that is; found and lost alternate."""

    def leader_found(self, peer: Peer, epoch: int) -> None: ...

    def leader_lost(self) -> None: ...

    def received(self, payload: bytes, epoch: int) -> None: ...

    def refused(self, address: str, code: str, text: str) -> None: ...


class MasterLinks:
    """Warm links to all masters; only what the leader says under the highest epoch is passed on.

    Masters come and go: those of which ours tell are linked to as well, until they tell otherwise.
    """

    def __init__(
        self,
        addresses: tuple[str, ...],
        identity: LinkIdentity,
        receiver: LinksReceiver,
        rng: random.Random,
        pace: LinkPace | None = None,
        *,
        origin: str = "",
    ) -> None:
        """Raises ValueError when there is no address or one is not `host:port`.

        With an `origin` only that cluster's masters are followed; else the first leader's.
        """
        if not addresses:
            raise ValueError("no master's address is given")
        self._receiver = receiver
        self._leadership = Leadership(origin, len(dict.fromkeys(addresses)))
        self._doubt: asyncio.TimerHandle | None = None
        self._is_stopped = False
        self._foreign: dict[str, str] = {}  # origin by the name of a master of another one
        self._told: tuple[Peer, int] | None = None  # the leader and epoch the receiver knows
        self._refused: dict[str, tuple[str, str]] = {}
        self._make_link = partial(
            Link, identity=identity, receiver=self, rng=rng, pace=pace, on_ended=self._note_end
        )
        self._given = tuple(dict.fromkeys(addresses))
        self._links = {address: self._make_link(address) for address in self._given}
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def leader(self) -> Peer | None:
        """The open link to the leader of the highest epoch announced."""
        return self._leadership.leader

    @property
    def epoch(self) -> int:
        """The highest epoch heard of."""
        return self._leadership.epoch

    @property
    def origin(self) -> str:
        """Which cluster is followed, empty while none was found."""
        return self._leadership.origin

    @property
    def silent(self) -> dict[str, str]:
        """The masters without an open link, and what the last try of each said."""
        return {link.address: link.failure for link in self._links.values() if link.peer is None}

    def start(self) -> None:
        """Begin to keep the links."""
        for link in self._links.values():
            link.start()

    async def stop(self) -> None:
        """Close the links and try no more."""
        self._is_stopped = True
        if self._doubt is not None:
            self._doubt.cancel()
        for link in self._links.values():
            await link.stop()
        if self._leaving:
            await asyncio.wait(self._leaving)

    def connected(self, peer: Peer) -> None:
        """Nothing yet: a master says who leads right after its welcome."""

    def received(self, peer: Peer, payload: bytes, epoch: int) -> None:
        """Pass on what the leader says; what was decided under an earlier epoch is dropped."""
        if peer is not self._leadership.leader or epoch < self._leadership.epoch:
            log.debug("stale message dropped", peer=peer.name, epoch=epoch, newest=self.epoch)
            return
        self._receiver.received(payload, epoch)

    def leader_changed(self, peer: Peer, leader: Leader) -> None:
        """Take in a master's word about who leads."""
        if not self._leadership.hear(peer, leader):
            self._note_foreign(peer, leader)
        elif self.origin and leader.epoch >= self.epoch:
            self._learn(leader.masters)
        if self._leadership.is_in_doubt and self._doubt is None:
            self._doubt = asyncio.get_running_loop().call_later(DOUBT_S, self._end_doubt)
        self._tell()

    def _learn(self, masters: tuple[str, ...]) -> None:
        """Link to the masters that there are now, and let go of those that are no more."""
        if not masters or self._is_stopped:
            return
        for address in masters:
            if address in self._links or len(self._links) >= LINKS_MAX:
                continue
            try:
                link = self._make_link(address)
            except ValueError:
                continue  # a master told nonsense
            self._links[address] = link
            link.start()
        for address in set(self._links) - {*masters, *self._given}:
            task = asyncio.get_running_loop().create_task(self._links.pop(address).stop())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def _end_doubt(self) -> None:
        """Follow who leads: the list of masters may be old, and most of them gone for good."""
        self._doubt = None
        if self._leadership.is_in_doubt:
            self._leadership.trust()
            log.warning(
                "a leader is followed that most of the masters listed do not name",
                leader=self._leadership.address,
                origin=self.origin,
            )
            self._tell()

    def _note_foreign(self, peer: Peer, leader: Leader) -> None:
        """Say once that a master is not followed: it may go on to announce itself."""
        if self._foreign.get(peer.name) != leader.origin:
            self._foreign[peer.name] = leader.origin
            log.error(
                "a master of another cluster is not followed; was it started without its peers?",
                master=peer.name,
                its_origin=leader.origin,
                origin=self.origin,
            )

    def disconnected(self, peer: Peer, reason: str) -> None:
        """Count without a master whose link is gone."""
        self._leadership.forget(peer)
        self._tell()

    def _tell(self) -> None:
        leader, epoch = self._leadership.leader, self._leadership.epoch
        now = None if leader is None else (leader, epoch)
        if now == self._told:
            return
        if self._told is not None:
            self._told = None
            for link in self._links.values():
                link.hurry()  # the next leader may be one that was away for long
            self._receiver.leader_lost()
        if leader is not None:
            self._told = (leader, epoch)
            self._receiver.leader_found(leader, epoch)

    def _note_end(self, link: Link) -> None:
        if link.refusal is None:
            self._refused.pop(link.address, None)
        elif self._refused.get(link.address) != link.refusal:
            self._refused[link.address] = link.refusal
            self._receiver.refused(link.address, *link.refusal)
