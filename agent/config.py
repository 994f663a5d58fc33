"""What an operator may set of an agent: one TOML file, flags, and `--set key=value`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec

from protocol.messages.values import Attribute, StaticReservation
from protocol.resources import parse_resources
from protocol.settings import ConfigError, load_settings

GIB = 1 << 30
ATTRIBUTES_MAX = 64

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class AgentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One agent's settings. Addresses are `host:port`; what main detects is filled in here too."""

    masters: tuple[str, ...] = ("127.0.0.1:7000",)
    work_dir: str = "/var/lib/quorate/agent"
    listen: str = "0.0.0.0:0"  # port 0: a free one
    advertise: str = ""  # host under which others reach this agent; empty: detected
    hostname: str = ""  # empty: detected
    boot_id: str = ""  # of the machine's current boot; empty: detected
    resources: str = ""  # such as "cpus:4;mem:8GiB;ports:[31000-32000]"; empty: detected
    reserved: dict[str, str] = {}  # parts of them by role, such as "eng/search" = "cpus:2;mem:4GiB"
    attributes: str = ""  # such as "rack:r1;zone:a"
    cluster: str = ""  # empty: whichever the masters belong to
    principal: str = ""  # whose secret it shows the masters; empty: the first that may be an agent
    credentials: str = ""  # file of `principal secret [role,…]` lines
    insecure: bool = False  # believe every master and every operator
    user: str = ""  # of tasks that name none; empty: the agent's own
    backend: Literal["auto", "native", "process"] = "auto"
    kill_grace_s: Seconds = 5.0  # from the polite to the forced end, where nobody chose another
    metrics: str = ""  # address of the Prometheus page; empty: none
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    heartbeat_s: Seconds = 2.0
    silence_s: Seconds = 8.0  # a link without any frame for so long is dropped
    usage_interval_s: Seconds = 5.0
    fetch_bytes_max: Annotated[int, msgspec.Meta(gt=0, le=1 << 50)] = 16 * GIB  # of one URI
    fetch_timeout_s: Seconds = 3600.0
    sandbox_age_s: Annotated[float, msgspec.Meta(gt=0, le=1e9)] = 86_400.0
    pids_max: Annotated[int, msgspec.Meta(ge=0, le=1 << 22)] = 4096  # of one container; 0: no limit

    def checked(self) -> "AgentConfig":
        """Return this configuration when its settings fit together.

        Raises: ConfigError.
        """
        for problem in _problems(self):
            raise ConfigError(problem)
        return self


def load_config(
    path: str = "", flags: Mapping[str, object] | None = None, settings: Sequence[str] = ()
) -> AgentConfig:
    """Return the settings of a file, changed by flags, changed by `key=value` settings.

    Raises: ConfigError, naming the file, the key and what would be right.
    """
    return load_settings(AgentConfig, path, flags or {}, settings).checked()


def split_address(address: str, port_min: int = 1) -> tuple[str, int]:
    """Return host and port of `host:port`.

    Raises: ConfigError.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or not port_min <= int(port) < 65_536:
        raise ConfigError(f"{address!r} is not host:port with a port from {port_min} to 65535")
    return host.strip("[]"), int(port)


def join_address(host: str, port: int) -> str:
    """Return `host:port`, with brackets around an IPv6 host."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_attributes(text: str) -> tuple[Attribute, ...]:
    """Return the attributes of "rack:r1;zone:a", sorted by name.

    Raises: ConfigError.
    """
    found: dict[str, str] = {}
    for item in filter(None, (part.strip() for part in text.split(";"))):
        name, colon, value = (part.strip() for part in item.partition(":"))
        if not colon or not name or not value:
            raise ConfigError(f"attributes: {item!r} is not name:value")
        if name in found:
            raise ConfigError(f"attributes: {name} is given twice")
        found[name] = value
    if len(found) > ATTRIBUTES_MAX:
        raise ConfigError(f"attributes: {len(found)} are more than {ATTRIBUTES_MAX}")
    return tuple(Attribute(name, found[name]) for name in sorted(found))


def parse_reserved(texts: Mapping[str, str]) -> tuple[StaticReservation, ...]:
    """Return what is reserved for each role, sorted by it.

    Raises: ConfigError.
    """
    found = []
    for role, text in sorted(texts.items()):
        try:
            resources = parse_resources(text)
        except ValueError as error:
            raise ConfigError(f"reserved: {role}: {error}") from None
        if not role or not resources:
            raise ConfigError(f"reserved: {role or text!r}: name a role and resources for it")
        found.append(StaticReservation(role, resources))
    return tuple(found)


def split_reserved(texts: Sequence[str]) -> dict[str, str]:
    """Return flags such as eng/search=cpus:2;mem:4GiB by role.

    Raises: ConfigError.
    """
    found: dict[str, str] = {}
    for text in texts:
        role, sign, resources = text.partition("=")
        if not sign or role in found:
            problem = f"{role} is given twice" if sign else f"{text!r} is not ROLE=RESOURCES"
            raise ConfigError(f"--reserved: {problem}")
        found[role] = resources
    return found


def _problems(config: AgentConfig) -> list[str]:
    found = []
    if not config.masters:
        found.append("masters: name at least one, as host:port")
    if not config.work_dir:
        found.append("work_dir: must name a directory")
    for key, addresses, port_min in (
        ("masters", config.masters, 1),
        ("listen", (config.listen,), 0),
        ("metrics", filter(None, (config.metrics,)), 0),
    ):
        for address in addresses:
            try:
                split_address(address, port_min)
            except ConfigError as error:
                found.append(f"{key}: {error}")
    try:
        if config.resources and not parse_resources(config.resources):
            found.append("resources: nothing is left to lend")
        parse_attributes(config.attributes)
        parse_reserved(config.reserved)
    except ConfigError as error:
        found.append(str(error))
    except ValueError as error:
        found.append(f"resources: {error}")
    if bool(config.credentials) == config.insecure:
        found.append("credentials: give --credentials FILE, or --insecure for a trial")
    if config.silence_s < 2 * config.heartbeat_s:
        found.append(f"silence_s: must be at least twice heartbeat_s ({config.heartbeat_s:g})")
    return found
