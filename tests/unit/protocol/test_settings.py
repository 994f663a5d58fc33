"""Settings: where they come from, which goes first, and how a wrong one is named."""

from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from protocol.settings import ConfigError, load_settings


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    depth: Annotated[int, msgspec.Meta(ge=0)] = 0


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str = ""
    peers: tuple[str, ...] = ()
    inner: Inner = Inner()


def refusal(*settings: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(Example, "", {}, settings)
    return str(caught.value)


def test_settings_of_the_command_line_go_before_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('name = "file"\npeers = ["a", "b"]\n[inner]\ndepth = 1\n')
    found = load_settings(Example, str(path), {"name": "flag"}, ("inner.depth=2",))
    assert found == Example("flag", ("a", "b"), Inner(2))


def test_settings_take_a_list_as_one_word() -> None:
    assert load_settings(Example, "", {"peers": "a, b,"}, ()).peers == ("a", "b")


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("nme=x", "nme: unknown key; did you mean name?"),
        ("inner.height=1", "inner.height: unknown key"),
        ("inner.depth=deep", "inner.depth: expected `int`, got `str`"),
        ("inner.depth=-1", "inner.depth: expected `int` >= 0"),
        ("nothing", "--set nothing: must be key=value"),
        ("=x", "--set =x: must be key=value"),
    ],
)
def test_settings_that_are_wrong_are_named(setting: str, text: str) -> None:
    assert refusal(setting) == text


def test_settings_below_a_value_are_refused() -> None:
    assert refusal("name=x", "name.first=y") == "--set name.first=y: name is a value, not a table"


def test_settings_of_a_file_are_named_with_it(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[inner]\ndeep = 1\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(Example, str(path), {}, ())
    assert str(caught.value) == f"{path}: inner.deep: unknown key"


def test_file_is_not_blamed_for_what_the_command_line_said(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('name = "file"')
    with pytest.raises(ConfigError, match=r"^inner\.depth: expected"):
        load_settings(Example, str(path), {}, ("inner.depth=deep",))
    path.write_text('[inner]\ndepth = "deep"')
    with pytest.raises(ConfigError, match=r"settings\.toml: inner\.depth: expected"):
        load_settings(Example, str(path), {}, ())
