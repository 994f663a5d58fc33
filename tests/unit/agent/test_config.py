"""Settings come from a file, flags and --set, and what is wrong is named."""

from pathlib import Path

import pytest

from agent.config import (
    AgentConfig,
    load_config,
    parse_attributes,
    parse_reserved,
    split_address,
    split_reserved,
)
from protocol.messages.values import Attribute
from protocol.resources import parse_resources
from protocol.settings import ConfigError


def test_flags_override_the_file_and_set_overrides_both(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text('hostname = "file"\nuser = "file"\ncluster = "file"\ninsecure = true\n')
    config = load_config(str(file), {"user": "flag", "cluster": "flag"}, ["cluster=set"])
    assert (config.hostname, config.user, config.cluster) == ("file", "flag", "set")


def test_masters_may_be_written_as_one_text() -> None:
    config = load_config("", {"insecure": True, "masters": "a:1, b:2"})
    assert config.masters == ("a:1", "b:2")


def test_numbers_and_switches_may_be_set_as_text() -> None:
    config = load_config("", None, ["insecure=true", "kill_grace_s=2.5", "pids_max=9"])
    assert (config.insecure, config.kill_grace_s, config.pids_max) == (True, 2.5, 9)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (["hostnam=x"], "hostnam: unknown key; did you mean hostname?"),
        (["kill_grace_s=0"], "kill_grace_s: expected `float` > 0.0"),
        (["backend=docker"], "backend: invalid enum value 'docker'"),
        (["listen=here"], "listen: 'here' is not host:port with a port from 0 to 65535"),
        (["masters="], "masters: name at least one, as host:port"),
        (["resources=cpus:many"], "resources: "),
        (["attributes=rack"], "attributes: 'rack' is not name:value"),
        (["silence_s=1"], "silence_s: must be at least twice heartbeat_s (2)"),
        (["insecure=false"], "credentials: give --credentials FILE, or --insecure for a trial"),
        (["nonsense"], "--set nonsense: must be key=value"),
    ],
)
def test_wrong_setting_is_named(settings: list[str], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("", {"insecure": True}, settings)
    assert str(caught.value).startswith(text)


def test_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("hostname = \n")
    with pytest.raises(ConfigError, match=r"agent\.toml: not TOML"):
        load_config(str(file))


def test_defaults_need_only_a_word_about_trust() -> None:
    assert AgentConfig(insecure=True).checked()


def test_attributes_are_sorted_by_name() -> None:
    expected = (Attribute("rack", "r1"), Attribute("zone", "a"))
    assert parse_attributes("zone:a; rack:r1;") == expected


def test_attributes_are_given_once() -> None:
    with pytest.raises(ConfigError, match="twice"):
        parse_attributes("a:1;a:2")


def test_address_may_be_of_version_six() -> None:
    assert split_address("[::1]:80") == ("::1", 80)


def test_reserved_parts_are_read_by_role() -> None:
    flags = {"insecure": True, "reserved": split_reserved(["eng/x=cpus:1;mem:1GiB"])}
    (static,) = parse_reserved(load_config("", flags).reserved)
    assert (static.role, static.resources) == ("eng/x", parse_resources("cpus:1;mem:1GiB"))


@pytest.mark.parametrize("texts", [["eng"], ["a=cpus:1", "a=cpus:2"]])
def test_reserved_parts_that_are_none_are_refused(texts: list[str]) -> None:
    with pytest.raises(ConfigError, match="--reserved"):
        split_reserved(texts)


def test_reserved_part_without_an_amount_names_its_role() -> None:
    with pytest.raises(ConfigError, match="reserved: eng: "):
        load_config("", {"insecure": True, "reserved": {"eng": "cpus"}})
