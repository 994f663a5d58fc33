"""Schemas as plain values: what a loaded schema declares, in an order that defines before use."""

import keyword
import re
from dataclasses import dataclass
from typing import Any

from protocol import schema

_NO_UNION = 65535  # discriminant of a field outside any union
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NUMBERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_PLAIN = {"bool": "bool", "text": "str", "data": "bytes", **dict.fromkeys(_NUMBERS, "int")}


@dataclass(frozen=True, slots=True)
class Shape:
    """The type of a field: a plain Python type, or the id of a noun; either may be repeated."""

    plain: str = ""
    noun: int = 0
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a struct, or an arm of its union."""

    wire_name: str
    shape: Shape
    is_arm: bool

    @property
    def name(self) -> str:
        return snake(self.wire_name)


@dataclass(frozen=True, slots=True)
class Noun:
    """A struct or an enum that a schema declares."""

    schema: str
    name: str
    fields: tuple[Field, ...] = ()
    members: tuple[str, ...] = ()  # of an enum, by number
    words: int = 0  # of a struct itself, without what its pointers lead to

    @property
    def is_enum(self) -> bool:
        return bool(self.members)

    @property
    def has_union(self) -> bool:
        return any(field.is_arm for field in self.fields)

    @property
    def is_sum(self) -> bool:
        """Whether it stands for exactly one of several structs: a union and nothing else."""
        return all(field.is_arm and (field.shape.noun or _is_unset(field)) for field in self.fields)

    @property
    def arms(self) -> tuple[Field, ...]:
        return tuple(field for field in self.fields if field.is_arm and not _is_unset(field))


def snake(name: str) -> str:
    """Return a camelCase name in snake_case."""
    return _WORDS.sub("_", name).lower()


def reflect(paths: tuple[str, ...]) -> dict[int, Noun]:
    """Return what the schemas declare, by id; per schema in an order that defines before use."""
    found: dict[int, Noun] = {}
    for path in paths:
        module = schema.load(path)
        for nested in module.schema.node.nestedNodes:
            declared = getattr(module, nested.name).schema
            found[nested.id] = _noun(path, nested.name, declared)
    ordered: dict[int, Noun] = {}
    for number in found:
        _place(number, found, ordered)
    return ordered


def _noun(path: str, name: str, declared: Any) -> Noun:
    if str(declared.node.which()) == "enum":
        numbers = declared.enumerants
        return Noun(path, name, members=tuple(sorted(numbers, key=numbers.__getitem__)))
    struct = declared.node.struct
    fields = tuple(_field(path, name, field) for field in struct.fields)
    if len({field.name for field in fields}) != len(fields):
        raise ValueError(f"{path}: two fields of {name} have one name in Python")
    return Noun(path, name, fields, words=struct.dataWordCount + struct.pointerCount)


def _field(path: str, noun: str, declared: Any) -> Field:
    if str(declared.which()) != "slot":
        raise ValueError(f"{path}: {noun}.{declared.name} is a group; use a struct")
    field = Field(
        declared.name, _shape(declared.slot.type), declared.discriminantValue != _NO_UNION
    )
    if keyword.iskeyword(field.name):
        raise ValueError(f"{path}: {noun}.{declared.name} is a Python keyword")
    return field


def _shape(declared: Any) -> Shape:
    kind = str(declared.which())
    if kind in _PLAIN:
        return Shape(plain=_PLAIN[kind])
    if kind == "void":
        return Shape(plain="None")
    if kind == "enum":
        return Shape(noun=declared.enum.typeId)
    if kind == "struct":
        return Shape(noun=declared.struct.typeId)
    if kind == "list":
        element = _shape(declared.list.elementType)
        if element.is_list:
            raise ValueError("a list of lists; use a list of structs")
        return Shape(element.plain, element.noun, is_list=True)
    raise ValueError(f"fields of type {kind} are not for messages")


def _is_unset(field: Field) -> bool:
    return field.shape.plain == "None"


def _place(number: int, found: dict[int, Noun], ordered: dict[int, Noun]) -> None:
    """Put a noun after everything that it is made of."""
    if number in ordered:
        return
    for field in found[number].fields:
        if field.shape.noun:
            _place(field.shape.noun, found, ordered)
    ordered[number] = found[number]
