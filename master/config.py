"""What an operator may set of a master: one TOML file, flags, and `--set key=value`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import msgspec

from master.core import versions
from protocol.settings import load_settings
from rlog.member import Count, MemberConfig, Seconds

SECOND_NS = 1_000_000_000


Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


class MasterConfig(MemberConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One master's settings. Addresses are `host:port`."""

    NOUN: ClassVar[str] = "master"
    LOG_VERSION: ClassVar[int] = versions.VERSION
    RISK: ClassVar[str] = "start and kill tasks"

    data_dir: str = "/var/lib/quorate/master"
    agent_timeout_s: Seconds = 10.0  # silence after which an agent counts as unreachable
    absent_fraction_max: Fraction = 0.33  # of a zone; when more go at once, none is given up
    removals_per_min: Count = 60  # agents that are given up, in the long run
    zone_attribute: str = "zone"  # of agents: names where each is
    sorter: Literal["drf", "random"] = "drf"  # who is offered first: who has least, or chance
    fairness_excludes: tuple[str, ...] = ()  # resources that count for nobody's share
    scarce_resources: tuple[str, ...] = ()  # agents with one are offered only to who asks for it
    offer_timeout_s: Seconds = 60.0  # age at which an unanswered offer is taken back
    offer_yield_s: Seconds = 2.0  # and at which it is when somebody else asked for what is in it

    @property
    def agent_timeout_ns(self) -> int:
        return int(self.agent_timeout_s * SECOND_NS)

    @property
    def offer_timeout_ns(self) -> int:
        return int(self.offer_timeout_s * SECOND_NS)

    @property
    def offer_yield_ns(self) -> int:
        return int(self.offer_yield_s * SECOND_NS)


def load_config(
    path: str = "", flags: Mapping[str, object] | None = None, settings: Sequence[str] = ()
) -> MasterConfig:
    """Return the settings of a file, changed by flags, changed by `key=value` settings.

    Raises: ConfigError, naming the file, the key and what would be right.
    """
    return load_settings(MasterConfig, path, flags or {}, settings).checked()
