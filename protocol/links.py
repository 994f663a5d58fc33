"""The calling side of links: one that is kept open, and those to all masters with their leader."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from protocol.handshake import ClientHandshake, LinkIdentity
from protocol.leadership import Leadership
from protocol.messages.link import Leader
from protocol.peer import Peer, Receiver
from protocol.watch import Watch

STEADY_S = 1.0  # a link that lived this long starts its retries from the first delay again
DOUBT_S = 3.0  # a leader that too few masters name is believed after so long
STOP_S = 1.0  # a stopped link waits this long for what is queued to leave
EXPONENT_MAX = 30  # keeps the doubled delay a small number; the bound is retry_max_s

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LinkPace:
    """How a link is kept: between tries a random time up to a doubling bound (full jitter)."""

    retry_first_s: float = 0.1
    retry_max_s: float = 5.0
    connect_s: float = 5.0  # for the connection, and again for the greeting
    refused_s: float = 0.0  # at least so long after a final no
    silence_s: float = 10.0

    def delay_s(self, failures: int, rng: random.Random) -> float:
        """How long to wait after this many failures in a row, at least one."""
        assert failures >= 1
        bound_s = self.retry_first_s * 2 ** min(failures, EXPONENT_MAX)
        return rng.uniform(self.retry_first_s, min(bound_s, self.retry_max_s))


class Link:
    """One outgoing link, opened again whenever it is lost, until stopped."""

    def __init__(
        self,
        address: str,
        identity: LinkIdentity,
        receiver: Receiver,
        rng: random.Random,
        pace: LinkPace | None = None,
        *,
        on_ended: Callable[["Link"], None] | None = None,
    ) -> None:
        """Raises ValueError when the address is not `host:port`.

        `on_ended` is called after each try, whether it came to a link that was lost or to none.
        """
        self.address = address
        self.peer: Peer | None = None  # set while the link is open
        self.failures = 0  # tries in a row that came to nothing
        self.failure = ""  # what the last of them said
        self.refusal: tuple[str, str] | None = None  # its code and text, if it was a final no
        self._host, self._port = parse_address(address)
        self._identity = identity
        self._receiver = receiver
        self._rng = rng
        self._pace = pace or LinkPace()
        self._on_ended = on_ended
        self._task: asyncio.Task[None] | None = None
        self._watch: Watch | None = None
        self._gone: asyncio.Future[str] | None = None
        self._opened_s: float | None = None  # when the try at hand came to a link
        self._reported: set[str] = set()  # the kinds of failure logged since the last link

    def start(self) -> None:
        """Begin to keep the link."""
        assert self._task is None
        self._watch = Watch(min(1.0, self._pace.silence_s / 4), self._pace.connect_s)
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """Close the link and try no more."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        assert self._watch is not None
        await self._watch.end_all("closed here", STOP_S)

    def opened(self, peer: Peer) -> None:
        """Watch a connection that stands."""
        assert self._watch is not None
        self._watch.add(peer)

    def welcomed(self, peer: Peer) -> Receiver:
        """Count the link as open."""
        self.peer = peer
        self._opened_s = asyncio.get_running_loop().time()
        if self.refusal is None:  # or it is refused again in a moment
            self._reported.clear()
            log.info("link open", address=self.address, peer=peer.name)
        return self._receiver

    def closed(self, peer: Peer, reason: str) -> None:
        """Count the connection as gone."""
        assert self._watch is not None
        self.peer = None
        self._watch.discard(peer)
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(reason)

    async def _keep(self) -> None:
        while True:
            peer = await self._try()
            self._judge(peer)
            self._report()
            delay_s = self._pace.delay_s(max(self.failures, 1), self._rng)
            if self.refusal is not None:
                longest_s = max(self._pace.retry_max_s, self._pace.refused_s)
                delay_s = max(delay_s, self._rng.uniform(0.5, 1.0) * longest_s)
            await asyncio.sleep(delay_s)

    async def _try(self) -> Peer | None:
        """Open the link and stay until it is gone; None when nobody answered."""
        loop = asyncio.get_running_loop()
        gone: asyncio.Future[str] = loop.create_future()
        self._gone = gone
        self._opened_s = None
        try:
            async with asyncio.timeout(self._pace.connect_s):
                _, peer = await loop.create_connection(self._make_peer, self._host, self._port)
        except TimeoutError:
            self.failure = "no answer"
            self._drop_all()  # it may have come about in the very turn it was given up
            return None
        except asyncio.CancelledError:
            self._drop_all()
            raise
        except (OSError, UnicodeError) as error:  # a host may be no name at all
            self.failure = explain_failure(error)
            return None
        self.failure = await gone
        return peer

    def _make_peer(self) -> Peer:
        return Peer(ClientHandshake(self._identity), self, self._pace.silence_s)

    def _drop_all(self) -> None:
        assert self._watch is not None
        for peer in tuple(self._watch.peers):
            peer.drop(self.failure)
            # uvloop says nothing of a connection that stood when its making was given up.
            peer.connection_lost(None)

    def _judge(self, peer: Peer | None) -> None:
        """Learn from a try that has ended how patient to be."""
        refusal = None if peer is None else peer.refusal
        is_final = refusal is not None and not refusal.is_retryable
        self.refusal = (refusal.code, refusal.text) if refusal is not None and is_final else None
        now_s = asyncio.get_running_loop().time()
        is_steady = self._opened_s is not None and now_s - self._opened_s >= STEADY_S
        self.failures = 0 if is_steady else self.failures + 1

    def _report(self) -> None:
        """Tell of a try that has ended, once for each kind of failure since the last link."""
        is_lost = self._opened_s is not None
        kind = "refused" if self.refusal else "lost" if is_lost else "no answer"
        if kind == "lost":
            log.info("link lost", address=self.address, reason=self.failure)
        elif kind not in self._reported:
            log.warning("no link; trying on", address=self.address, reason=self.failure)
            self._reported.add(kind)
        if self._on_ended is not None:
            try:
                self._on_ended(self)
            except Exception:
                log.exception("handling of an ended link failed", address=self.address)


class LinksReceiver(Protocol):
    """Takes what the leading master sends, and who that is; found and lost alternate."""

    def leader_found(self, peer: Peer, epoch: int) -> None: ...

    def leader_lost(self) -> None: ...

    def received(self, payload: bytes, epoch: int) -> None: ...

    def refused(self, address: str, code: str, text: str) -> None: ...


class MasterLinks:
    """Warm links to all masters; only what the leader says under the highest epoch is passed on."""

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
        self._foreign: dict[str, str] = {}  # origin by the name of a master of another one
        self._told: tuple[Peer, int] | None = None  # the leader and epoch the receiver knows
        self._refused: dict[str, tuple[str, str]] = {}
        self._links = [
            Link(address, identity, self, rng, pace, on_ended=self._note_end)
            for address in dict.fromkeys(addresses)
        ]

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
        return {link.address: link.failure for link in self._links if link.peer is None}

    def start(self) -> None:
        """Begin to keep the links."""
        for link in self._links:
            link.start()

    async def stop(self) -> None:
        """Close the links and try no more."""
        if self._doubt is not None:
            self._doubt.cancel()
        for link in self._links:
            await link.stop()

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
        if self._leadership.is_in_doubt and self._doubt is None:
            self._doubt = asyncio.get_running_loop().call_later(DOUBT_S, self._end_doubt)
        self._tell()

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


def parse_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[ipv6]:port`.

    Raises: ValueError saying what is expected.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError(f"{address!r} is not an address; expected host:port")
    return host, int(port)


def explain_failure(error: OSError | UnicodeError) -> str:
    """A few words for why no connection came about."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, UnicodeError):
        return "not a host's name"
    return (error.strerror or str(error) or type(error).__name__).lower()
