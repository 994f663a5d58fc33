"""One master, assembled: its log, its loop, its server and who is let in at which door."""

import importlib.metadata
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog

from master.config import MasterConfig
from master.core.absence import view_guard
from master.core.explaining import explain
from master.core.settings import SECOND_NS, Settings
from master.core.state import State
from master.handlers import AgentReceiver, FrameworkReceiver
from master.operator import Answers, OperatorReceiver
from master.perform import Performer
from master.probes import MasterProbe, SilentMasterProbe
from master.registrar import Registrar
from master.sessions import Link, Sessions
from protocol.credentials import Credentials, load_credentials
from protocol.errors import Broken
from protocol.handshake import LinkIdentity
from protocol.links import parse_address
from protocol.messages.framework import Kept
from protocol.messages.link import Leader, LinkRole
from protocol.server import Server
from rlog.copying import LogCopier
from rlog.dump import Dumper
from rlog.loop import Loop
from rlog.operators import LogDesk, list_members
from rlog.replica import ReplicatedLog
from rlog.requests import SpaceReceiver
from rlog.roster import Roster

log = structlog.get_logger()

VERSION = importlib.metadata.version("quorate")


class Master:
    """A member of the log that serves agents, frameworks and operators while it leads.

    `on_broken(error)` is called when the log or the state cannot be trusted any more: the
    process must end.
    """

    def __init__(
        self,
        config: MasterConfig,
        clock_ns: Callable[[], int],
        rng: random.Random,
        probe: MasterProbe | None = None,
        dumper: Dumper | None = None,
    ) -> None:
        """`dumper` writes snapshots down; without one it is done inline.

        Raises CredentialsError when the credentials cannot be used.
        """
        probe = probe or SilentMasterProbe()
        self._config = config
        credentials = (
            Credentials.insecure() if config.insecure else load_credentials(config.credentials)
        )
        principal = config.principal or credentials.principal_for(LinkRole.REPLICA)
        self._sessions = Sessions()
        self._performer = Performer(self._sessions, probe)
        log_config = config.log
        self._log = ReplicatedLog(
            log_config,
            LinkIdentity(LinkRole.REPLICA, config.name, principal, credentials, config.cluster),
            rng,
            probe,
            dumper,
        )
        self._word = Leader()  # what was announced last, but for what the log knows
        self._log.notices.on_members = self._announce
        roster = Roster(log_config, self._log)
        settings = _settings(config)
        registrar = Registrar(settings, lambda: self._log.cluster_id, self._log.slowest)
        self._loop = Loop(registrar, self._log, self._performer.perform, clock_ns, probe)
        self._loop.on_lead = self._lead
        self._loop.on_follow = self._follow
        submit, query = self._loop.submit, self._loop.query
        self._spaces = SpaceReceiver(submit, query, self._say_kept, config.requests_per_s_max)
        self._performer.on_touched = self._spaces.touched
        desk = LogDesk(
            partial(list_members, self._log, roster, VERSION),
            roster.begin,
            LogCopier(self._log, config.cluster, clock_ns),
        )
        self._server = Server(
            config.server(credentials),
            {
                LinkRole.AGENT: AgentReceiver(submit, self._sessions, self._performer, probe),
                LinkRole.FRAMEWORK: FrameworkReceiver(
                    submit, self._sessions, self._performer, self._spaces, probe
                ),
                LinkRole.OPERATOR: OperatorReceiver(
                    submit, query, desk, _answers(settings, clock_ns, registrar), probe
                ),
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
        """Whether this master serves as the leader."""
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

    def _say_kept(self, link: Link, content: bytes) -> None:
        self._performer.say(link, Kept(content))

    def _lead(self, term: int) -> None:
        self._performer.clear_seats()
        self._performer.begin(term)
        log.info("this master leads", term=term)
        self._word = Leader(self._config.name, term, is_me=True)
        self._announce()

    def _follow(self, leader: str) -> None:
        self._performer.clear_seats()
        self._spaces.deposed()
        log.info("this master follows", leader=leader or "nobody yet", term=self._log.term)
        self._word = Leader(leader, self._log.term)
        self._announce()

    def _announce(self) -> None:
        """Tell every link who leads, and who may after that."""
        masters = self._log.configuration.voters
        self._server.announce_leader(replace(self._word, origin=self.state.origin, masters=masters))


def _answers(settings: Settings, clock_ns: Callable[[], int], registrar: Registrar) -> Answers:
    """Return how operators' questions are answered that are about more than the state."""
    return Answers(
        explain=lambda state, asked: explain(settings, state, asked, clock_ns()),
        plan=registrar.foresee,
        guard=lambda state: view_guard(state, settings, clock_ns()),
    )


def _settings(config: MasterConfig) -> Settings:
    return Settings(
        agent_timeout_ns=config.agent_timeout_ns,
        offer_timeout_ns=config.offer_timeout_ns,
        offer_yield_ns=config.offer_yield_ns,
        sorter=config.sorter,
        fairness_excludes=frozenset(config.fairness_excludes),
        scarce_resources=frozenset(config.scarce_resources),
        absent_milli_max=round(config.absent_fraction_max * 1000),
        removal_interval_ns=60 * SECOND_NS // config.removals_per_min,
        zone_attribute=config.zone_attribute,
    )
