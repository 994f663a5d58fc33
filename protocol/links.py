"""The calling side of a link: one that is kept open, and opened again whenever it is lost."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from protocol.handshake import ClientHandshake, LinkIdentity
from protocol.peer import Peer, Receiver
from protocol.watch import Watch

STEADY_S = 1.0  # a link that lived this long starts its retries from the first delay again
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
        self._rest: asyncio.Future[None] | None = None  # between two tries
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

    def hurry(self) -> None:
        """Try again soon: there is more reason to call than there was when the last try failed."""
        if self._rest is not None and self.refusal is None:
            self.failures = 0
            delay_s = self._rng.uniform(0.0, self._pace.retry_first_s)
            asyncio.get_running_loop().call_later(delay_s, _settle, self._rest)

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
            await self._wait(delay_s)

    async def _wait(self, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._rest = loop.create_future()
        timer = loop.call_later(delay_s, _settle, self._rest)
        try:
            await self._rest
        finally:
            timer.cancel()
            self._rest = None

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


def _settle(rest: "asyncio.Future[None]") -> None:
    if not rest.done():
        rest.set_result(None)


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
