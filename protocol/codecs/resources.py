"""Resources to and from their schema, whose lists become dictionaries by name."""

from typing import Any

from protocol import schema
from protocol.ranges import arrange_ranges
from protocol.resources import Resources

_VALUES = schema.load("protocol/values.capnp")
_RESOURCES = _VALUES.Resources.schema.fields
_RESOURCES__SCALARS = _RESOURCES["scalars"]
_RESOURCES__RANGES = _RESOURCES["ranges"]
_RESOURCES__SETS = _RESOURCES["sets"]
_SCALAR = _VALUES.Scalar.schema.fields
_SCALAR__NAME = _SCALAR["name"]
_SCALAR__AMOUNT = _SCALAR["amount"]
_RANGES = _VALUES.Ranges.schema.fields
_RANGES__NAME = _RANGES["name"]
_RANGES__RANGES = _RANGES["ranges"]
_RANGE = _VALUES.Range.schema.fields
_RANGE__FIRST = _RANGE["first"]
_RANGE__LAST = _RANGE["last"]
_ITEMS = _VALUES.Items.schema.fields
_ITEMS__NAME = _ITEMS["name"]
_ITEMS__ITEMS = _ITEMS["items"]


def read_resources(reader: Any) -> Resources:
    """Return the resources as sent: `resources.validate` judges amounts that come from outside.

    Refuses: a name that occurs twice in one list, since one of the two would be lost.
    """
    get = reader._get_by_field
    scalars: dict[str, int] = {}
    ranges: dict[str, tuple[tuple[int, int], ...]] = {}
    sets: dict[str, tuple[str, ...]] = {}
    count = 0
    for item in get(_RESOURCES__SCALARS):
        value = item._get_by_field
        scalars[value(_SCALAR__NAME)] = value(_SCALAR__AMOUNT)
        count += 1
    for item in get(_RESOURCES__RANGES):
        value = item._get_by_field
        ranges[value(_RANGES__NAME)] = arrange_ranges(_read_ranges(value(_RANGES__RANGES)))
        count += 1
    for item in get(_RESOURCES__SETS):
        value = item._get_by_field
        sets[value(_ITEMS__NAME)] = tuple(sorted(value(_ITEMS__ITEMS)))
        count += 1
    if count != len(scalars) + len(ranges) + len(sets):
        raise ValueError("a resource is named twice")
    return Resources(scalars, ranges, sets)


def write_resources(message: Resources, builder: Any) -> None:
    """Set the lists in the order of their names, so that equal resources give equal bytes."""
    if message.scalars:
        schema.write_structs(
            builder, _RESOURCES__SCALARS, sorted(message.scalars.items()), _write_scalar
        )
    if message.ranges:
        schema.write_structs(
            builder, _RESOURCES__RANGES, sorted(message.ranges.items()), _write_ranges
        )
    if message.sets:
        schema.write_structs(builder, _RESOURCES__SETS, sorted(message.sets.items()), _write_items)


def _read_ranges(reader: Any) -> list[tuple[int, int]]:
    return [
        (item._get_by_field(_RANGE__FIRST), item._get_by_field(_RANGE__LAST)) for item in reader
    ]


def _write_scalar(entry: tuple[str, int], builder: Any) -> None:
    builder._set_by_field(_SCALAR__NAME, entry[0])
    builder._set_by_field(_SCALAR__AMOUNT, entry[1])


def _write_ranges(entry: tuple[str, tuple[tuple[int, int], ...]], builder: Any) -> None:
    builder._set_by_field(_RANGES__NAME, entry[0])
    schema.write_structs(builder, _RANGES__RANGES, entry[1], _write_range)


def _write_range(entry: tuple[int, int], builder: Any) -> None:
    builder._set_by_field(_RANGE__FIRST, entry[0])
    builder._set_by_field(_RANGE__LAST, entry[1])


def _write_items(entry: tuple[str, tuple[str, ...]], builder: Any) -> None:
    builder._set_by_field(_ITEMS__NAME, entry[0])
    schema.write_values(builder, _ITEMS__ITEMS, entry[1])
