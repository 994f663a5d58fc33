"""What an operator may set of a log by itself: one TOML file, flags, and `--set key=value`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import msgspec

from protocol.settings import load_settings
from rlog.alone.core import versions
from rlog.member import Count, MemberConfig
from rlog.spaces.records import SpaceLimits

Bytes = Annotated[int, msgspec.Meta(ge=1 << 10, le=1 << 32)]


class LoneConfig(MemberConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One member's settings. Addresses are `host:port`."""

    NOUN: ClassVar[str] = "member"
    LOG_VERSION: ClassVar[int] = versions.VERSION
    RISK: ClassVar[str] = "read and change all that is kept"

    listen: str = "127.0.0.1:7100"
    data_dir: str = "/var/lib/quorate/rlog"
    cluster: str = "rlog"
    spaces_max: Count = 1000  # of one principal
    space_keys_max: Count = 10_000
    space_bytes_max: Bytes = 16 << 20  # keys, values and records
    space_leases_max: Count = 100
    space_journals_max: Count = 100

    @property
    def limits(self) -> SpaceLimits:
        """How much a principal may keep."""
        return SpaceLimits(
            spaces_max=self.spaces_max,
            keys_max=self.space_keys_max,
            bytes_max=self.space_bytes_max,
            leases_max=self.space_leases_max,
            journals_max=self.space_journals_max,
        )


def load_config(
    path: str = "", flags: Mapping[str, object] | None = None, settings: Sequence[str] = ()
) -> LoneConfig:
    """Return the settings of a file, changed by flags, changed by `key=value` settings.

    Raises: ConfigError, naming the file, the key and what would be right.
    """
    return load_settings(LoneConfig, path, flags or {}, settings).checked()
