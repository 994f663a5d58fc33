"""What an operator may set of any member of a log, and what its log and its server are told."""

from typing import Annotated, ClassVar, Literal, Self

import msgspec

from protocol.credentials import Credentials
from protocol.links import parse_address
from protocol.server import ServerConfig
from protocol.settings import ConfigError
from rlog.config import LogConfig
from rlog.versions import FIRST

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class MemberConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One member's settings. Addresses are `host:port`."""

    NOUN: ClassVar[str] = "member"
    LOG_VERSION: ClassVar[int] = FIRST  # of what it keeps in its log
    RISK: ClassVar[str] = "read and change everything"  # what everybody may do without secrets

    listen: str = "127.0.0.1:7000"
    advertise: str = ""  # this member's name among its peers; empty: as `listen`
    peers: tuple[str, ...] = ()  # the members that found the log, this one too; empty: alone
    join: tuple[str, ...] = ()  # members of a log to which this one will be added
    data_dir: str = ""
    cluster: str = "quorate"
    credentials: str = ""  # file of `principal secret [role,…]` lines
    insecure: bool = False  # everybody who reaches the port may do everything
    principal: str = ""  # whose secret it shows its peers; empty: the first that may be a replica
    repair: Literal["auto", "refuse"] = "auto"  # what a damaged data file comes to
    metrics: str = ""  # address of the Prometheus page; empty: none
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    election_timeout_s: Seconds = 0.5
    heartbeat_s: Seconds = 2.0
    silence_s: Seconds = 8.0  # a link without any frame for so long is dropped
    connections_max: Count = 16_384
    connections_per_ip_max: Count = 4096
    requests_per_s_max: Count = 2000  # of one principal to spaces; after a rest twice as many

    @property
    def name(self) -> str:
        """This member, as its peers know it."""
        return self.advertise or self.listen

    @property
    def voters(self) -> tuple[str, ...]:
        """Every member that founds the log; none when this one joins it later."""
        return () if self.join else self.peers or (self.name,)

    @property
    def log(self) -> LogConfig:
        """What the log is to know."""
        return LogConfig(
            name=self.name,
            voters=self.voters,
            directory=self.data_dir,
            cluster=self.cluster,
            election_timeout_s=self.election_timeout_s,
            join=self.join,
            version=self.LOG_VERSION,
            noun=self.NOUN,
        )

    def server(self, credentials: Credentials) -> ServerConfig:
        """What the server is to know."""
        return ServerConfig(
            name=self.name,
            cluster=self.cluster,
            credentials=credentials,
            is_insecure=self.insecure,
            heartbeat_s=self.heartbeat_s,
            silence_s=self.silence_s,
            connections_max=self.connections_max,
            connections_per_ip_max=self.connections_per_ip_max,
        )

    def checked(self) -> Self:
        """Return this configuration when its settings fit together.

        Raises: ConfigError.
        """
        for problem in _problems(self):
            raise ConfigError(problem)
        return self

    def warnings(self) -> tuple[str, ...]:
        """Return what works but is unlikely to be meant."""
        found = []
        if self.peers and len(self.peers) % 2 == 0:
            found.append(
                f"peers: {len(self.peers)} {self.NOUN}s survive no more failures "
                f"than {len(self.peers) - 1}; use an odd number"
            )
        if self.insecure and not _is_loopback(self.listen):
            found.append(
                f"insecure: everybody who reaches {self.listen} may {self.RISK}; set --credentials"
            )
        return tuple(found)


def _problems(config: MemberConfig) -> list[str]:
    found, noun = [], config.NOUN
    for key in ("listen", "advertise", "metrics"):
        if getattr(config, key):
            found += _bad_address(key, getattr(config, key))
    for key in ("peers", "join"):
        for peer in getattr(config, key):
            found += _bad_address(key, peer)
    if config.peers and config.join:
        found.append("join: give --peers to found a cluster, or --join to be added to one")
    if config.name in config.join:
        found.append(f"join: {config.name} is this {noun} itself; name those that it joins")
    if not config.listen:
        found.append("listen: must be host:port")
    if not found and parse_address(config.name)[0] in ("0.0.0.0", "::"):  # noqa: S104 – refused
        found.append(f"listen: nobody can call {config.name}; set --advertise to this host's name")
    if config.peers and config.name not in config.peers:
        found.append(
            f"peers: {', '.join(config.peers)} is not this {noun}'s address {config.name}; "
            "add it or set --advertise"
        )
    if len(set(config.peers)) != len(config.peers):
        found.append(f"peers: a {noun} is named twice")
    if bool(config.credentials) == config.insecure:
        found.append("credentials: give --credentials FILE, or --insecure for a trial")
    if config.silence_s < 2 * config.heartbeat_s:
        found.append(f"silence_s: must be at least twice heartbeat_s ({config.heartbeat_s:g})")
    return found


def _bad_address(key: str, address: str) -> list[str]:
    try:
        parse_address(address)
    except ValueError as error:
        return [f"{key}: {error}"]
    return []


def _is_loopback(address: str) -> bool:
    host = parse_address(address)[0]
    return host.startswith("127.") or host in ("localhost", "::1")
