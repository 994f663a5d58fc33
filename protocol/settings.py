"""Settings of a daemon: a TOML file, changed by flags, changed by `key=value` arguments.

Unknown keys are refused with their path.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from protocol.errors import Fault

S = TypeVar("S", bound=msgspec.Struct)


class ConfigError(Fault):
    """A setting that cannot be used; its text is one line for the operator."""


def load_settings(
    kind: type[S], path: str, flags: Mapping[str, object], settings: Sequence[str]
) -> S:
    """Return settings of this kind; lists may be given as one word with commas.

    Raises: ConfigError, naming the file, the key and what would be right.
    """
    tree = _read_toml(path) if path else {}
    tree.update(flags)
    for setting in settings:
        _put(tree, setting)
    for field in msgspec.structs.fields(kind):
        value = tree.get(field.encode_name)
        if isinstance(value, str) and field.type == tuple[str, ...]:
            tree[field.encode_name] = [part for part in value.replace(" ", "").split(",") if part]
    try:
        return msgspec.convert(tree, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), kind, path, (*flags, *settings))) from None


def _read_toml(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def _put(tree: dict[str, Any], setting: str) -> None:
    key, equals, value = setting.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {setting}: must be key=value")
    *parents, last = key.split(".")
    for parent in parents:
        inner = tree.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {setting}: {parent} is a value, not a table")
        tree = inner
    tree[last] = value


def _explain(error: str, kind: type[msgspec.Struct], path: str, given: Sequence[str]) -> str:
    """Turn msgspec's text into one that names the key as the operator wrote it.

    `given` are the keys, or `key=value`, that stood on the command line and not in the file.
    """
    text, _, place = error.partition(" - at `$")
    key = place.strip("`.")
    if text.startswith("Object contains unknown field"):
        name = text.split("`")[1]
        near = difflib.get_close_matches(name, kind.__struct_fields__, 1)
        hint = f"; did you mean {near[0]}?" if near and not key else ""
        text, key = f"unknown key{hint}", f"{key}.{name}".strip(".")
    is_of_file = all(each.partition("=")[0] != key for each in given)
    where = f"{path}: " if path and is_of_file else ""
    return f"{where}{key}: {text[0].lower()}{text[1:]}"
