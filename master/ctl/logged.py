"""Entries of the log for people and programs: a line of JSON, or of words, for each event."""

import dataclasses
import json
import re
import shlex
from collections.abc import Iterator
from enum import Enum
from typing import Any

from master.ctl.kinds import Kind
from master.ctl.plain import SECOND_NS, format_time, plain
from protocol.resources import Resources, format_resources
from rlog.membership import CONFIGURATION, FOUNDING, NOOP, kind_of, members_of
from rlog.messages import Entry

TEXT_CHARS_MAX = 120  # of one value in a line of words
ITEMS_MAX = 3  # of one list in a line of words
SECRETS = ("token",)  # a framework is known by it
_PLAIN_WORD = re.compile(r"[\w.:/@%+,-]+")
_WORDS = re.compile(r"[A-Z][a-z]*")


def lines_of(entry: Entry, committed: int, logged: Kind) -> Iterator[dict[str, Any]]:
    """Yield what an entry holds as JSON has it: one line for each event."""
    place: dict[str, Any] = {"index": entry.index, "term": entry.term}
    if entry.index > committed:
        place["is_committed"] = False  # as far as this copy knows; its last entries may well be
    kind = kind_of(entry.command)
    if kind == NOOP:
        yield {"kind": "noop", **place}
    elif kind == CONFIGURATION:
        voters, learners = members_of(entry.command)
        members = {"voters": list(voters), "learners": list(learners)}
        yield {"kind": "configuration", **place, **members}
    elif kind == FOUNDING:
        yield {"kind": "founding", **place, "cluster_id": entry.command[1:].decode()}
    else:
        stamp_ns, events = logged.machine.decode(entry.command[1:])
        for event in events:
            yield {
                "kind": "event",
                **place,
                "stamp": format_time(stamp_ns),
                "stamp_ns": stamp_ns,
                "event": type(event).__name__,
                "fields": plain(event),
            }


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """One event of the log in words."""

    index: int
    stamp_ns: int  # 0: of the log itself, which has no time
    name: str  # as in `task launched`
    values: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        when = format_time(self.stamp_ns)[:23] + "Z" if self.stamp_ns else "-"
        values = " ".join(f"{name}={value}" for name, value in self.values)
        return f"{self.index:>8}  {when:<24}  {self.name:<22}  {values}".rstrip()

    def is_of(self, kinds: tuple[str, ...]) -> bool:
        """Whether its name begins with one of these words, or has one of these names."""
        wanted = [kind.replace(" ", "").lower() for kind in kinds]
        name = self.name.replace(" ", "")
        return any(name.startswith(each) for each in wanted) if wanted else True

    def is_about(self, names: tuple[str, ...]) -> bool:
        """Whether each of these is one of its values; none: whatever it is about."""
        values = {value.strip('"') for _, value in self.values}
        return values.issuperset(names)


def tell(entry: Entry, logged: Kind) -> Iterator[Told]:
    """Yield what an entry holds in words: one for each event."""
    kind = kind_of(entry.command)
    if kind == NOOP:
        yield Told(entry.index, 0, "leader began", (("term", str(entry.term)),))
    elif kind == CONFIGURATION:
        voters, learners = members_of(entry.command)
        members = {"voters": ",".join(voters), "learners": ",".join(learners)}
        found = tuple((name, value) for name, value in members.items() if value)
        yield Told(entry.index, 0, "members changed", found)
    elif kind == FOUNDING:
        yield Told(entry.index, 0, "log founded", (("cluster_id", entry.command[1:].decode()),))
    else:
        stamp_ns, events = logged.machine.decode(entry.command[1:])
        for event in events:
            name = " ".join(word.lower() for word in _WORDS.findall(type(event).__name__))
            yield Told(entry.index, stamp_ns, name, tuple(dict(_values_of(event)).items()))


def _values_of(record: Any) -> Iterator[tuple[str, str]]:
    """Yield names and values of a record and of those in it, without what is not set."""
    for each in dataclasses.fields(record):
        value = getattr(record, each.name)
        if each.name in SECRETS:
            continue
        if isinstance(value, Resources):
            if not value.is_empty:
                yield each.name, json.dumps(format_resources(value), ensure_ascii=False)
        elif dataclasses.is_dataclass(value):
            yield from _values_of(value)
        elif isinstance(value, tuple):
            if value:
                yield each.name, _list(each.name, value)
        elif isinstance(value, Enum):
            if value.value:
                yield each.name, value.name.lower()
        elif value:
            yield _named(each.name, value)


def _named(name: str, value: object) -> tuple[str, str]:
    if isinstance(value, bytes):
        return name, f"{len(value)}_bytes"
    if isinstance(value, bool):
        return name, "yes"
    if isinstance(value, int) and name.endswith("stamp_ns"):
        return name.removesuffix("_ns"), format_time(value)
    if isinstance(value, int) and name.endswith("_ns"):
        return name.removesuffix("_ns"), f"{value / SECOND_NS:g}s"
    return name, _word(str(value))


def _list(name: str, items: tuple[Any, ...]) -> str:
    """Return a list as one word: a command as a shell has it, of others the first few items."""
    return _word(shlex.join(items) if name == "command" else ", ".join(_items_of(items)))


def _items_of(items: tuple[Any, ...]) -> Iterator[str]:
    for item in items[:ITEMS_MAX]:
        if dataclasses.is_dataclass(item):
            yield "/".join(value for _, value in _values_of(item)) or "-"
        else:
            yield _named("", item)[1].strip('"')
    if len(items) > ITEMS_MAX:
        yield f"… {len(items)} in all"


def _word(text: str) -> str:
    """Return a text as one word that a shell would take as one."""
    if len(text) > TEXT_CHARS_MAX:
        text = text[: TEXT_CHARS_MAX - 1] + "…"
    return text if _PLAIN_WORD.fullmatch(text) else json.dumps(text, ensure_ascii=False)
