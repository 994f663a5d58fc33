"""Configuration of a master: what is accepted, and how refusals are worded."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from master.config import MasterConfig, load_config
from protocol.settings import ConfigError

SECURE = {"credentials": "/etc/quorate/credentials"}
THREE = "a:7000,b:7000,c:7000"


def refusal(flags: Mapping[str, object], settings: tuple[str, ...] = (), path: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path, flags, settings)
    return str(caught.value)


def test_config_takes_file_then_flags_then_settings(tmp_path: Path) -> None:
    path = tmp_path / "m1.toml"
    path.write_text('listen = "a:7000"\ncluster = "file"\ninsecure = true\nagent_timeout_s = 3\n')
    config = load_config(str(path), {"cluster": "flag"}, ("agent_timeout_s=4.5",))
    assert (config.listen, config.cluster, config.agent_timeout_s) == ("a:7000", "flag", 4.5)


def test_config_says_what_a_damaged_file_comes_to() -> None:
    assert load_config("", {"listen": "b:7000", **SECURE}).repair == "auto"
    assert load_config("", {"listen": "b:7000", "repair": "refuse", **SECURE}).repair == "refuse"
    assert "repair" in refusal({"listen": "b:7000", "repair": "perhaps", **SECURE})


def test_config_reads_peers_from_one_word() -> None:
    config = load_config("", {"listen": "b:7000", "peers": THREE, **SECURE})
    assert config.peers == ("a:7000", "b:7000", "c:7000")
    assert config.voters == config.peers


def test_config_without_peers_is_its_own_voter() -> None:
    config = load_config("", {"advertise": "m.example:7000", **SECURE})
    assert config.voters == ("m.example:7000",)


def test_config_refuses_a_key_nobody_knows_and_suggests_one(tmp_path: Path) -> None:
    path = tmp_path / "m1.toml"
    path.write_text("agent_timeout = 3\n")
    assert refusal({}, path=str(path)) == (
        f"{path}: agent_timeout: unknown key; did you mean agent_timeout_s?"
    )


def test_config_names_the_key_of_a_wrong_value() -> None:
    assert refusal(SECURE, ("election_timeout_s=soon",)) == (
        "election_timeout_s: expected `float`, got `str`"
    )


def test_config_refuses_nested_keys_with_their_path() -> None:
    assert refusal(SECURE, ("limits.tasks=3",)).startswith("limits: unknown key")


def test_config_refuses_peers_without_this_master() -> None:
    assert refusal({"listen": "127.0.0.1:7001", "peers": ["127.0.0.1:7003"], **SECURE}) == (
        "peers: 127.0.0.1:7003 is not this master's address 127.0.0.1:7001; "
        "add it or set --advertise"
    )


def test_config_refuses_an_address_nobody_can_call() -> None:
    assert "set --advertise" in refusal({"listen": "0.0.0.0:7000", **SECURE})


def test_config_refuses_an_address_without_port() -> None:
    assert refusal({"listen": "localhost", **SECURE}) == (
        "listen: 'localhost' is not an address; expected host:port"
    )


def test_config_refuses_to_choose_between_secrets_and_none() -> None:
    assert refusal({}) == "credentials: give --credentials FILE, or --insecure for a trial"


def test_config_refuses_text_that_is_not_toml(tmp_path: Path) -> None:
    path = tmp_path / "m1.toml"
    path.write_text("listen:")
    assert refusal({}, path=str(path)).startswith(f"{path}: not TOML: ")


def test_config_names_a_missing_file() -> None:
    assert refusal({}, path="/nowhere/m1.toml") == "/nowhere/m1.toml: No such file or directory"


def test_config_warns_of_an_even_number_of_masters() -> None:
    config = MasterConfig(listen="a:7000", peers=("a:7000", "b:7000"), insecure=True)
    assert config.warnings()[0].startswith("peers: 2 masters survive no more failures than 1")


def test_config_warns_of_open_ports_without_secrets() -> None:
    config = MasterConfig(listen="a:7000", insecure=True)
    assert "start and kill tasks" in config.warnings()[0]


def test_config_warns_of_nothing_on_loopback() -> None:
    assert MasterConfig(insecure=True).warnings() == ()
