"""Resources: typed quantities that are offered, allocated and never counted twice.

Scalars count thousandths, except mem and disk, which count bytes. Addition unites ranges and sets,
so it is exact for the parts of one agent and a view for the parts of several.
"""

import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from protocol.ranges import (
    Ranges,
    arrange_ranges,
    first_of_ranges,
    has_ranges,
    meet_ranges,
    merge_ranges,
    remove_ranges,
)

AMOUNT_MAX = 2**53  # exact in every language's numbers
ENTRIES_MAX = 64  # names in one value
PARTS_MAX = 1024  # ranges or set items under one name
KINDS = {"cpus": "amount", "gpus": "amount", "mem": "size", "disk": "size", "ports": "ranges"}

_UNITS = {
    "B": 1,
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGTP", 1)},
    **{f"{letter}B": 1000**power for power, letter in enumerate("kMGTP", 1)},
}
_NUMBER = re.compile(r"([0-9]{1,16})(?:\.([0-9]+))?")
_RANGE = re.compile(r"([0-9]{1,16})(?:-([0-9]{1,16}))?")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Resources:
    """Quantities by name; treat the dictionaries as frozen. No entry is zero or empty."""

    scalars: dict[str, int] = field(default_factory=dict)
    ranges: dict[str, Ranges] = field(default_factory=dict)  # inclusive, sorted, merged
    sets: dict[str, tuple[str, ...]] = field(default_factory=dict)  # sorted, unique

    def __add__(self, other: "Resources") -> "Resources":
        if not other:
            return self
        if not self:
            return other
        scalars = dict(self.scalars)
        for name, amount in other.scalars.items():
            scalars[name] = scalars.get(name, 0) + amount
        ranges, sets = self.ranges, self.sets
        if other.ranges:
            ranges = dict(ranges)
            for name, spans in other.ranges.items():
                ranges[name] = merge_ranges((*ranges.get(name, ()), *spans))
        if other.sets:
            sets = dict(sets)
            for name, items in other.sets.items():
                sets[name] = tuple(sorted({*sets.get(name, ()), *items}))
        return Resources(scalars, ranges, sets)

    def __sub__(self, other: "Resources") -> "Resources":
        """Return what is left. Raises: ValueError when `other` is not contained."""
        if not other:
            return self
        if not self.contains(other):
            raise ValueError("cannot take away more resources than there are")
        scalars = dict(self.scalars)
        for name, amount in other.scalars.items():
            _keep(scalars, name, scalars[name] - amount)
        ranges, sets = self.ranges, self.sets
        if other.ranges:
            ranges = dict(ranges)
            for name, spans in other.ranges.items():
                _keep(ranges, name, remove_ranges(ranges[name], spans))
        if other.sets:
            sets = dict(sets)
            for name, items in other.sets.items():
                _keep(sets, name, tuple(item for item in sets[name] if item not in items))
        return Resources(scalars, ranges, sets)

    def __and__(self, other: "Resources") -> "Resources":
        """Return what both have."""
        scalars = {
            name: min(amount, other.scalars[name])
            for name, amount in self.scalars.items()
            if name in other.scalars
        }
        ranges = {
            name: met
            for name, spans in self.ranges.items()
            if (met := meet_ranges(spans, other.ranges.get(name, ())))
        }
        sets = {
            name: both
            for name, items in self.sets.items()
            if (both := tuple(item for item in items if item in other.sets.get(name, ())))
        }
        return Resources(scalars, ranges, sets)

    def contains(self, other: "Resources") -> bool:
        """Whether all of `other` is in here."""
        scalars = self.scalars
        for name, amount in other.scalars.items():
            if scalars.get(name, 0) < amount:
                return False
        for name, spans in other.ranges.items():
            if not has_ranges(self.ranges.get(name, ()), spans):
                return False
        return all(set(items) <= set(self.sets.get(name, ())) for name, items in other.sets.items())

    @property
    def quantities(self) -> dict[str, int]:
        """How much there is by name: scalars, and thousandths of what ranges and sets hold."""
        if not self.ranges and not self.sets:
            return self.scalars
        counts = {name: 1000 * len(items) for name, items in self.sets.items()}
        for name, spans in self.ranges.items():
            counts[name] = 1000 * sum(last - first + 1 for first, last in spans)
        return self.scalars | counts

    def capped(self, caps: Mapping[str, int]) -> "Resources":
        """Return at most so much of each name in `caps`: the first of ranges and sets."""
        scalars, ranges, sets = dict(self.scalars), dict(self.ranges), dict(self.sets)
        for name, cap in caps.items():
            if name in scalars:
                _keep(scalars, name, max(0, min(scalars[name], cap)))
            elif name in ranges:
                _keep(ranges, name, first_of_ranges(ranges[name], max(0, cap) // 1000))
            elif name in sets:
                _keep(sets, name, sets[name][: max(0, cap) // 1000])
        return Resources(scalars, ranges, sets)

    @property
    def is_empty(self) -> bool:
        return not self

    def __bool__(self) -> bool:
        return bool(self.scalars or self.ranges or self.sets)

    def __hash__(self) -> int:
        return hash(
            (
                frozenset(self.scalars.items()),
                frozenset(self.ranges.items()),
                frozenset(self.sets.items()),
            )
        )


EMPTY = Resources()


def sum_resources(parts: Iterable[Resources]) -> Resources:
    """Return all the parts together; ranges in many pieces are merged once."""
    some = [part for part in parts if part]
    if len(some) < 3:
        return some[0] + some[1] if len(some) == 2 else some[0] if some else EMPTY
    scalars: dict[str, int] = {}
    spans: dict[str, list[tuple[int, int]]] = {}
    items: dict[str, dict[str, None]] = {}
    for part in some:
        for name, amount in part.scalars.items():
            scalars[name] = scalars.get(name, 0) + amount
        for name, pieces in part.ranges.items():
            spans.setdefault(name, []).extend(pieces)
        for name, members in part.sets.items():
            items.setdefault(name, {}).update(dict.fromkeys(members))
    return Resources(
        scalars,
        {name: merge_ranges(pieces) for name, pieces in spans.items()},
        {name: tuple(sorted(members)) for name, members in items.items()},
    )


def dominant_share(allocated: Resources, total: Resources) -> tuple[int, str]:
    """Return the largest share of a scalar, in millionths, and its name (empty when all are 0).

    Names that `total` lacks do not count; of equal shares the first name in the alphabet wins.
    """
    share, dominant = 0, ""
    for name, amount in sorted(allocated.scalars.items()):
        whole = total.scalars.get(name, 0)
        if whole > 0 and (millionths := amount * 1_000_000 // whole) > share:
            share, dominant = millionths, name
    return share, dominant


def validate(resources: Resources) -> str | None:
    """Return why a value that came from outside is not a valid amount, None when it is."""
    names = [*resources.scalars, *resources.ranges, *resources.sets]
    if len(names) > ENTRIES_MAX:
        return f"{len(names)} resources are named, at most {ENTRIES_MAX} are allowed"
    if len(set(names)) != len(names):
        return "a resource is given both as an amount and as ranges or a set"
    for name in names:
        if fault := check_name(name):
            return f"{name[:40]!r} cannot name a resource: {fault}"
    if fault := _fault_of_kinds(resources):
        return fault
    for name, amount in resources.scalars.items():
        if not 0 < amount <= AMOUNT_MAX:
            return f"{name} is {amount}, it must be above 0 and at most {AMOUNT_MAX}"
    for name, spans in resources.ranges.items():
        if fault := _fault_of_ranges(spans):
            return f"{name} {fault}"
    for name, items in resources.sets.items():
        if fault := _fault_of_items(items):
            return f"{name} {fault}"
    return None


@lru_cache(maxsize=256)  # few names, asked about at every launch
def check_name(name: str) -> str | None:
    """Return why `name` cannot name a resource, None when it can."""
    if not 0 < len(name) <= 64:
        return "a name has 1 to 64 characters"
    if not name.isascii() or not name[0].isalpha():
        return "a name begins with a letter and is ASCII"
    if not all(letter.isalnum() or letter in "_.-" for letter in name):
        return "only letters, digits and _ . - are allowed"
    return None


def check_item(item: str) -> str | None:
    """Return why `item` cannot be in a set, None when it can."""
    if not 0 < len(item) <= 128:
        return "an item has 1 to 128 characters"
    if not item.isascii() or not all(letter.isalnum() or letter in "_./:-" for letter in item):
        return "only letters, digits and _ . / : - are allowed"
    return None


def _fault_of_kinds(resources: Resources) -> str | None:
    for name, kind in KINDS.items():
        if name in resources.scalars and kind == "ranges":
            return f"{name} is given as an amount, it is ranges"
        if name in resources.ranges and kind != "ranges":
            return f"{name} is given as ranges, it is an amount"
        if name in resources.sets:
            return f"{name} is given as a set, which it is not"
    return None


def _fault_of_ranges(spans: Ranges) -> str | None:
    if not 0 < len(spans) <= PARTS_MAX:
        return f"has {len(spans)} ranges, 1 to {PARTS_MAX} are allowed"
    previous = -1
    for first, last in spans:
        if first > last:
            return f"has a range from {first} down to {last}"
        if last > AMOUNT_MAX:
            return f"has a range up to {last}, at most {AMOUNT_MAX} is allowed"
        if first <= previous:
            return f"has ranges that overlap at {first}"
        previous = last
    return None


def _fault_of_items(items: tuple[str, ...]) -> str | None:
    if not 0 < len(items) <= PARTS_MAX:
        return f"has {len(items)} items, 1 to {PARTS_MAX} are allowed"
    if len(set(items)) != len(items):
        return "has an item twice"
    for item in items:
        if fault := check_item(item):
            return f"has the item {item[:40]!r}: {fault}"
    return None


def _keep(entries: dict[str, T], name: str, rest: T) -> None:
    """Set an entry to what is left of it, or drop it when nothing is."""
    if rest:
        entries[name] = rest
    else:
        del entries[name]


def parse_resources(text: str) -> Resources:
    """Return what a text such as `cpus:4;mem:8GiB;ports:[31000-32000];zones:{a,b}` says.

    Amounts have at most three decimals; mem and disk need a unit. What is zero or empty is left
    out. Raises: ValueError whose sentence names the item that is wrong.
    """
    parsed = Resources()
    for item in filter(None, (part.strip() for part in text.split(";"))):
        name, colon, value = (part.strip() for part in item.partition(":"))
        if not colon:
            raise ValueError(f"resource {item!r} is not of the form name:value")
        if fault := check_name(name):
            raise ValueError(f"resource {item!r}: {fault}")
        if name in parsed.scalars or name in parsed.ranges or name in parsed.sets:
            raise ValueError(f"resource {name} is given twice")
        try:
            _parse_value(parsed, name, value)
        except ValueError as error:
            raise ValueError(f"resource {item!r}: {error}") from None
    if fault := validate(parsed):
        raise ValueError(f"resources {text[:80]!r}: {fault}")
    return parsed


def format_resources(resources: Resources) -> str:
    """Return the text that `parse_resources` reads back as the same value."""
    parts = [f"{name}:{format_amount(name, amount)}" for name, amount in resources.scalars.items()]
    for name, spans in resources.ranges.items():
        parts.append(f"{name}:[{','.join(f'{first}-{last}' for first, last in spans)}]")
    parts += [f"{name}:{{{','.join(items)}}}" for name, items in resources.sets.items()]
    known = {name: place for place, name in enumerate(("cpus", "mem", "disk", "gpus", "ports"))}
    return ";".join(sorted(parts, key=lambda part: (known.get(part.split(":")[0], 9), part)))


def format_amount(name: str, amount: int) -> str:
    """Return a scalar as people write it, exactly: 0.5, 512MiB."""
    if KINDS.get(name) == "size":
        for unit in ("PiB", "TiB", "GiB", "MiB", "KiB"):
            if amount and amount % _UNITS[unit] == 0:
                return f"{amount // _UNITS[unit]}{unit}"
        return f"{amount}B"
    whole, thousandths = divmod(amount, 1000)
    return f"{whole}.{thousandths:03}".rstrip("0").rstrip(".")


def _parse_value(parsed: Resources, name: str, value: str) -> None:
    """Add one value to `parsed`, which nobody else holds yet. Raises: ValueError."""
    kind = KINDS.get(name, "")
    if value.startswith("[") and value.endswith("]") and kind in ("", "ranges"):
        spans = [_parse_range(part.strip()) for part in value[1:-1].split(",") if part.strip()]
        arranged = arrange_ranges(spans)
        if arranged:
            parsed.ranges[name] = arranged
    elif value.startswith("{") and value.endswith("}") and not kind:
        items = sorted({part.strip() for part in value[1:-1].split(",") if part.strip()})
        if items:
            parsed.sets[name] = tuple(items)
    elif kind == "ranges":
        raise ValueError("ranges such as [31000-32000] are expected")
    elif amount := _parse_amount(value, kind == "size"):
        parsed.scalars[name] = amount


def _parse_amount(text: str, is_size: bool) -> int:
    number, unit = text, ""
    if is_size:
        number = text.rstrip(string.ascii_letters)
        unit = text[len(number) :]
        if unit not in _UNITS:
            fault = "a size needs a unit, such as 512MiB"
            if number and unit:
                fault = f"unknown unit {unit!r}"
            raise ValueError(f"{fault}; known are {', '.join(_UNITS)}")
    match = _NUMBER.fullmatch(number.strip())
    if match is None:
        example = "a size such as 512MiB" if is_size else "a number such as 4 or 0.5"
        raise ValueError(f"{example} is expected, not below 0")
    decimals = match[2] or ""
    if len(decimals) > 3:
        raise ValueError("at most three decimals are allowed")
    thousandths = int(match[1]) * 1000 + int(decimals.ljust(3, "0"))
    amount, rest = divmod(thousandths * _UNITS[unit], 1000) if is_size else (thousandths, 0)
    if rest:
        raise ValueError("it is not a whole number of bytes")
    if amount > AMOUNT_MAX:
        raise ValueError("the amount is too large")
    return amount


def _parse_range(text: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a range such as 31000-32000")
    return int(match[1]), int(match[2] or match[1])
