"""The listening side of links: who is let in, how many, and what all are told."""

import asyncio
import errno
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from protocol.credentials import Credentials
from protocol.framing import FRAME_BYTES_HARD_MAX, FRAME_BYTES_MAX, GREETING_BYTES_MAX
from protocol.handshake import Admit, ServerHandshake, ServerTerms, TokenBytes, admit_all
from protocol.messages.link import Leader, LinkRole
from protocol.peer import Peer, Receiver
from protocol.scram import ITERATIONS, Verifiers
from protocol.watch import Watch

BACKLOG = 4096  # a whole cluster reconnects at once; the default of 100 costs it seconds
REFUSED_MAX = 256  # connections over the caps that are still told so; more are just cut
STOP_S = 2.0  # a stopping server waits this long for what is queued to leave

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What a server is called, whom it lets in, and its bounds.

    Raises: ValueError when it would let nobody in, or its frames are out of bounds.
    """

    name: str
    cluster: str
    credentials: Credentials = field(repr=False)
    is_insecure: bool = False
    heartbeat_s: float = 2.0
    silence_s: float = 10.0
    frame_bytes_max: int = FRAME_BYTES_MAX
    connections_max: int = 16_384
    connections_per_ip_max: int = 4096
    greeting_s: float = 5.0
    iterations: int = ITERATIONS
    token_bytes: TokenBytes = field(default=secrets.token_bytes, repr=False)

    def __post_init__(self) -> None:
        if self.credentials.is_insecure and not self.is_insecure:
            raise ValueError("a server needs credentials unless it is configured insecure")
        if not GREETING_BYTES_MAX <= self.frame_bytes_max <= FRAME_BYTES_HARD_MAX:
            raise ValueError(
                f"frame_bytes_max is {self.frame_bytes_max}; "
                f"it must be {GREETING_BYTES_MAX} to {FRAME_BYTES_HARD_MAX}"
            )


class Server:
    """Accepts links on one port and hands each to the receiver of its role."""

    def __init__(
        self,
        config: ServerConfig,
        receivers: Mapping[LinkRole, Receiver],
        admit: Admit = admit_all,
    ) -> None:
        self._config = config
        self._admit = admit
        self._receivers = dict(receivers)
        self._leader: Leader | None = None
        self._listening: asyncio.Server | None = None
        self._watch: Watch | None = None
        self._open: dict[Peer, None] = {}
        self._by_host: Counter[str] = Counter()
        self._is_stopping = False

    @property
    def peers(self) -> int:
        """How many links are open."""
        return len(self._open)

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port, the one chosen where 0 was asked for.

        Raises: OSError naming the address and what to do.
        """
        assert self._listening is None
        config = self._config
        period_s = min(1.0, config.heartbeat_s / 2, config.silence_s / 4)
        self._watch = Watch(period_s, config.greeting_s)
        self._is_stopping = False
        terms = self._make_terms()
        loop = asyncio.get_running_loop()
        try:
            self._listening = await loop.create_server(
                lambda: Peer(ServerHandshake(terms), self, config.silence_s),
                host,
                port,
                backlog=BACKLOG,
            )
        except OSError as error:
            raise OSError(error.errno, _explain_refused_port(error, host, port)) from error
        if config.is_insecure:
            log.warning("links are not authenticated: the server is insecure", server=config.name)
        actual_port: int = self._listening.sockets[0].getsockname()[1]
        return actual_port

    async def stop(self) -> None:
        """Stop listening, let what is queued leave, and end every link."""
        listening, self._listening = self._listening, None
        if listening is None:
            return
        assert self._watch is not None
        self._is_stopping = True
        listening.close()
        await self._watch.end_all("the server stops", STOP_S)
        await listening.wait_closed()

    def announce_leader(self, leader: Leader) -> None:
        """Tell every open link who leads, and each new one right after its welcome."""
        self._leader = leader
        for peer in tuple(self._open):
            peer.tell_leader(leader)

    def opened(self, peer: Peer) -> None:
        """Count a connection in, or turn it away."""
        assert self._watch is not None
        self._watch.add(peer)
        self._by_host[peer.host] += 1
        config = self._config
        over_total = len(self._watch.peers) - config.connections_max
        over_host = self._by_host[peer.host] - config.connections_per_ip_max
        if self._is_stopping:  # accepted in the turn in which the server stopped
            peer.drop("the server stops")
        elif max(over_total, over_host) > REFUSED_MAX:
            peer.drop("too many connections")
        elif over_total > 0:
            self._turn_away(peer, f"{config.connections_max} connections")
        elif over_host > 0:
            self._turn_away(peer, f"{config.connections_per_ip_max} connections from {peer.host}")

    def welcomed(self, peer: Peer) -> Receiver:
        """Count a link as open, tell it who leads, and name its receiver."""
        self._open[peer] = None
        if self._leader is not None:
            peer.tell_leader(self._leader)
        return self._receivers[peer.role]

    def closed(self, peer: Peer, reason: str) -> None:
        """Count a connection out."""
        assert self._watch is not None
        self._watch.discard(peer)
        self._open.pop(peer, None)
        self._by_host[peer.host] -= 1
        if self._by_host[peer.host] == 0:
            del self._by_host[peer.host]
        log.debug("connection closed", peer=peer.name, address=peer.address, reason=reason)

    def _turn_away(self, peer: Peer, limit: str) -> None:
        text = f"{self._config.name} takes at most {limit}"
        log.warning("connection refused", address=peer.address, reason=text)
        peer.refuse("TOO_MANY", text, is_retryable=True)

    def _make_terms(self) -> ServerTerms:
        config = self._config
        return ServerTerms(
            name=config.name,
            cluster=config.cluster,
            credentials=config.credentials,
            verifiers=Verifiers(config.credentials, config.token_bytes, config.iterations),
            roles=frozenset(self._receivers),
            is_insecure=config.is_insecure,
            heartbeat_s=config.heartbeat_s,
            frame_bytes_max=config.frame_bytes_max,
            admit=self._admit,
            token_bytes=config.token_bytes,
        )


def _explain_refused_port(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen on {host}:{port}: another process does; choose another port"
    if error.errno == errno.EACCES:
        return f"cannot listen on {host}:{port}: not permitted; choose a port above 1023"
    return f"cannot listen on {host}:{port}: {error.strerror or error}"
