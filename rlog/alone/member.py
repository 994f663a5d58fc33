"""One member of a log by itself, assembled: its log, its loop, its server and who is let in."""

import importlib.metadata
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog

from protocol.credentials import Credentials, load_credentials
from protocol.errors import Broken, Malformed
from protocol.handshake import LinkIdentity
from protocol.links import parse_address
from protocol.messages.link import Leader, LinkRole
from protocol.peer import Peer
from protocol.server import Server
from rlog.alone.config import LoneConfig
from rlog.alone.core.state import State
from rlog.alone.registrar import LoneRegistrar
from rlog.copying import LogCopier
from rlog.dump import Dumper
from rlog.loop import Loop
from rlog.operators import DeskReceiver, LogDesk, list_members
from rlog.probes import LogProbe, LoopProbe, SilentLogProbe, SilentLoopProbe
from rlog.replica import ReplicatedLog
from rlog.requests import SpaceReceiver
from rlog.roster import Roster
from rlog.spaces.commands import SpaceTouched

log = structlog.get_logger()

VERSION = importlib.metadata.version("quorate")


class KeeperReceiver:
    """Receives from those who keep something: every request is about a space."""

    def __init__(self, spaces: SpaceReceiver) -> None:
        self._spaces = spaces

    def connected(self, peer: Peer) -> None:
        return

    def disconnected(self, peer: Peer, reason: str) -> None:
        self._spaces.disconnected(peer)

    def leader_changed(self, peer: Peer, leader: Leader) -> None:
        raise Malformed("a keeper does not know who leads")

    def received(self, peer: Peer, payload: bytes, epoch: int) -> None:
        """Take one request. Raises: Malformed."""
        self._spaces.received(peer, payload)


class LoneMember:
    """A member that serves keepers while it leads, and operators always.

    `on_broken(error)` is called when the log or the state cannot be trusted any more: the
    process must end.
    """

    def __init__(
        self,
        config: LoneConfig,
        clock_ns: Callable[[], int],
        rng: random.Random,
        probes: tuple[LoopProbe, LogProbe] | None = None,
        dumper: Dumper | None = None,
    ) -> None:
        """`dumper` writes snapshots down; without one it is done inline.

        Raises CredentialsError when the credentials cannot be used.
        """
        loop_probe, log_probe = probes or (SilentLoopProbe(), SilentLogProbe())
        self._config = config
        credentials = (
            Credentials.insecure() if config.insecure else load_credentials(config.credentials)
        )
        principal = config.principal or credentials.principal_for(LinkRole.REPLICA)
        identity = LinkIdentity(
            LinkRole.REPLICA, config.name, principal, credentials, config.cluster
        )
        log_config = config.log
        self._log = ReplicatedLog(log_config, identity, rng, log_probe, dumper)
        self._word = Leader()  # what was announced last, but for what the log knows
        self._log.notices.on_members = self._announce
        registrar = LoneRegistrar(config.limits, lambda: self._log.cluster_id, self._log.slowest)
        self._loop = Loop(registrar, self._log, self._perform, clock_ns, loop_probe)
        self._loop.on_lead = self._lead
        self._loop.on_follow = self._follow
        self._spaces = SpaceReceiver(
            self._loop.submit, self._loop.query, self._say, config.requests_per_s_max
        )
        roster = Roster(log_config, self._log)
        desk = LogDesk(
            partial(list_members, self._log, roster, VERSION),
            roster.begin,
            LogCopier(self._log, config.cluster, clock_ns),
        )
        self._server = Server(
            config.server(credentials),
            {
                LinkRole.KEEPER: KeeperReceiver(self._spaces),
                LinkRole.OPERATOR: DeskReceiver(desk),
                LinkRole.REPLICA: self._log.receiver,
            },
            self._log.admit,
        )

    @property
    def on_broken(self) -> Callable[[Broken], None]:
        return self._loop.on_broken

    @on_broken.setter
    def on_broken(self, tell: Callable[[Broken], None]) -> None:
        self._loop.on_broken = tell

    @property
    def is_leading(self) -> bool:
        """Whether this member serves as the leader."""
        return self._loop.is_serving

    @property
    def state(self) -> State:
        """What it knows; on the leader ahead of what is committed."""
        return self._loop.state

    async def start(self) -> None:
        """Open the log, begin to take part, and let others in.

        Raises: Fault, OSError with a text for the operator.
        """
        await self._loop.start()
        try:
            await self._server.start(*parse_address(self._config.listen))
        except OSError:
            await self._loop.stop()
            raise

    async def stop(self) -> None:
        """Hand leadership over if held, and close everything."""
        await self._loop.stop()
        await self._server.stop()

    def _perform(self, effect: SpaceTouched) -> None:
        self._spaces.touched(effect.space)

    def _say(self, peer: Peer, content: bytes) -> None:
        peer.send(content, self._loop.epoch)

    def _lead(self, term: int) -> None:
        log.info("this member leads", term=term)
        self._word = Leader(self._config.name, term, is_me=True)
        self._announce()

    def _follow(self, leader: str) -> None:
        self._spaces.deposed()
        log.info("this member follows", leader=leader or "nobody yet", term=self._log.term)
        self._word = Leader(leader, self._log.term)
        self._announce()

    def _announce(self) -> None:
        """Tell every link who leads, and who may after that."""
        members = self._log.configuration.voters
        self._server.announce_leader(replace(self._word, origin=self.state.origin, masters=members))
