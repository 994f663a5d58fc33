"""Settings of a log by itself: those of any member, and how much may be kept."""

from pathlib import Path

import pytest

from protocol.settings import ConfigError
from rlog.alone.config import LoneConfig, load_config


def test_config_takes_limits_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "rlog.toml"
    path.write_text("insecure = true\nspaces_max = 3\nspace_bytes_max = 4096\n")
    limits = load_config(str(path)).limits
    assert (limits.spaces_max, limits.bytes_max, limits.keys_max) == (3, 4096, 10_000)


def test_config_names_members_and_not_masters() -> None:
    flags = {"listen": "127.0.0.1:7101", "peers": ["127.0.0.1:7103"], "insecure": True}
    with pytest.raises(ConfigError, match="is not this member's address"):
        load_config("", flags)
    config = LoneConfig(listen="a:7100", peers=("a:7100", "b:7100"), insecure=True)
    assert [warning.partition(";")[0] for warning in config.warnings()] == [
        "peers: 2 members survive no more failures than 1",
        "insecure: everybody who reaches a:7100 may read and change all that is kept",
    ]


def test_config_refuses_what_only_masters_have() -> None:
    with pytest.raises(ConfigError, match="agent_timeout_s: unknown key"):
        load_config("", {"insecure": True}, ("agent_timeout_s=3",))
