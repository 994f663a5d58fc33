"""Records: values that nobody changes, and that cost little to make."""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(shape: type[T]) -> type[T]:
    """Make a dataclass with slots, hashed by its fields, that the type checker holds frozen.

    Freezing it at run time too would make each of its objects cost several times as much, and
    daemons spend a good part of their time making these.
    """
    return dataclass(slots=True, unsafe_hash=True)(shape)
