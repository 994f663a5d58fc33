"""Values of every message, made from what the schemas say fits each field."""

import importlib
from functools import cache
from typing import Any

from hypothesis import strategies as st

from protocol import schema
from protocol.generate import TARGETS
from protocol.ranges import merge_ranges
from protocol.reflection import Field, Noun, reflect
from protocol.resources import AMOUNT_MAX, Resources

NOUNS = reflect(tuple(target.schema for target in TARGETS))
TARGET_OF = {target.schema: target for target in TARGETS}
BY_HAND = {"Resources", "Scalar", "Range", "Ranges", "Items", "Frame"}
STRUCTS = [noun for noun in NOUNS.values() if not noun.is_enum and noun.name not in BY_HAND]
ROOTS = [noun for noun in STRUCTS if noun.name in TARGET_OF[noun.schema].roots]

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_PLAIN = {"bool": st.booleans(), "text": _texts, "data": st.binary(max_size=40)}
_names = st.text("abcdefgh", min_size=1, max_size=6)
_spans = st.tuples(st.integers(0, 300), st.integers(0, 9)).map(lambda s: (s[0], s[0] + s[1]))
_ranges = st.lists(_spans, min_size=1, max_size=5).map(merge_ranges)
_items = st.sets(_names, min_size=1, max_size=4).map(lambda items: tuple(sorted(items)))

amounts = st.dictionaries(
    st.sampled_from(["cpus", "mem", "disk", "gpus", "bandwidth"]), st.integers(1, AMOUNT_MAX // 64)
)
resources = st.builds(
    Resources,
    amounts,
    st.dictionaries(st.sampled_from(["ports", "vlans"]), _ranges),
    st.dictionaries(st.sampled_from(["zones", "slots"]), _items),
)


def codec_of(noun: Noun) -> Any:
    return importlib.import_module(TARGET_OF[noun.schema].codec)


def messages_of(noun: Noun) -> Any:
    return importlib.import_module(TARGET_OF[noun.schema].messages)


def root_of(noun: Noun) -> Any:
    """Return the loaded struct of a noun."""
    return getattr(schema.load(noun.schema), noun.name)


@cache
def messages(noun: Noun) -> st.SearchStrategy[Any]:
    """Return a strategy for the Python values of a struct, a sum or an enum."""
    if noun.name == "Resources":
        return resources
    if noun.is_enum:
        return st.sampled_from(list(getattr(messages_of(noun), noun.name)))
    if noun.is_sum:
        return st.one_of([messages(NOUNS[arm.shape.noun]) for arm in noun.arms])
    declared = {field.name: field for field in root_of(noun).schema.node.struct.fields}
    fields = {field.name: _values(field, declared[field.wire_name]) for field in noun.fields}
    return st.builds(getattr(messages_of(noun), noun.name), **fields)


def _values(field: Field, declared: Any) -> st.SearchStrategy[Any]:
    kind = declared.slot.type
    if field.shape.is_list:
        kind = kind.list.elementType
    value = messages(NOUNS[field.shape.noun]) if field.shape.noun else _plain(str(kind.which()))
    return st.lists(value, max_size=3).map(tuple) if field.shape.is_list else value


def _plain(kind: str) -> st.SearchStrategy[Any]:
    if kind in _PLAIN:
        return _PLAIN[kind]
    bits = int(kind.removeprefix("u").removeprefix("int"))
    return (
        st.integers(0, 2**bits - 1)
        if kind[0] == "u"
        else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )
