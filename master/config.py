"""What an operator may set of a master: one TOML file, flags, and `--set key=value`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

import msgspec

from protocol.links import parse_address
from protocol.settings import ConfigError, load_settings

SECOND_NS = 1_000_000_000

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class MasterConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One master's settings. Addresses are `host:port`."""

    listen: str = "127.0.0.1:7000"
    advertise: str = ""  # this master's name among its peers; empty: as `listen`
    peers: tuple[str, ...] = ()  # the masters that found the cluster, this one too; empty: alone
    join: tuple[str, ...] = ()  # masters of a cluster that this one will be added to
    data_dir: str = "/var/lib/quorate/master"
    cluster: str = "quorate"
    credentials: str = ""  # file of `principal secret [role,…]` lines
    insecure: bool = False  # everybody who reaches the port may do everything
    principal: str = ""  # whose secret it shows its peers; empty: the first that may be a replica
    repair: Literal["auto", "refuse"] = "auto"  # what a damaged data file comes to
    metrics: str = ""  # address of the Prometheus page; empty: none
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    election_timeout_s: Seconds = 0.5
    agent_timeout_s: Seconds = 10.0  # silence after which an agent counts as unreachable
    sorter: Literal["drf", "random"] = "drf"  # who is offered first: who has least, or chance
    fairness_excludes: tuple[str, ...] = ()  # resources that count for nobody's share
    offer_timeout_s: Seconds = 60.0  # age at which an unanswered offer is taken back
    heartbeat_s: Seconds = 2.0
    silence_s: Seconds = 8.0  # a link without any frame for so long is dropped
    connections_max: Count = 16_384
    connections_per_ip_max: Count = 4096
    requests_per_s_max: Count = (
        2000  # of one principal to spaces; after a rest twice as many at once
    )

    @property
    def name(self) -> str:
        """This master, as its peers know it."""
        return self.advertise or self.listen

    @property
    def voters(self) -> tuple[str, ...]:
        """Every master that founds the cluster; none when this one joins it later."""
        return () if self.join else self.peers or (self.name,)

    @property
    def agent_timeout_ns(self) -> int:
        return int(self.agent_timeout_s * SECOND_NS)

    @property
    def offer_timeout_ns(self) -> int:
        return int(self.offer_timeout_s * SECOND_NS)

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
                f"peers: {len(self.peers)} masters survive no more failures "
                f"than {len(self.peers) - 1}; use an odd number"
            )
        if self.insecure and not _is_loopback(self.listen):
            found.append(
                f"insecure: everybody who reaches {self.listen} may start and kill tasks; "
                "set --credentials"
            )
        return tuple(found)


def load_config(
    path: str = "", flags: Mapping[str, object] | None = None, settings: Sequence[str] = ()
) -> MasterConfig:
    """Return the settings of a file, changed by flags, changed by `key=value` settings.

    Raises: ConfigError, naming the file, the key and what would be right.
    """
    return load_settings(MasterConfig, path, flags or {}, settings).checked()


def _problems(config: MasterConfig) -> list[str]:
    found = []
    for key in ("listen", "advertise", "metrics"):
        if getattr(config, key):
            found += _bad_address(key, getattr(config, key))
    for key in ("peers", "join"):
        for peer in getattr(config, key):
            found += _bad_address(key, peer)
    if config.peers and config.join:
        found.append("join: give --peers to found a cluster, or --join to be added to one")
    if config.name in config.join:
        found.append(f"join: {config.name} is this master itself; name those that it joins")
    if not config.listen:
        found.append("listen: must be host:port")
    if not found and parse_address(config.name)[0] in ("0.0.0.0", "::"):  # noqa: S104 – refused
        found.append(f"listen: nobody can call {config.name}; set --advertise to this host's name")
    if config.peers and config.name not in config.peers:
        found.append(
            f"peers: {', '.join(config.peers)} is not this master's address {config.name}; "
            "add it or set --advertise"
        )
    if len(set(config.peers)) != len(config.peers):
        found.append("peers: a master is named twice")
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
