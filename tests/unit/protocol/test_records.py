"""What makes records cheap must not make them something else than values."""

from dataclasses import field, replace

import pytest

from protocol.records import record


@record
class Point:
    x: int = 0
    names: tuple[str, ...] = field(default=())


def test_record_equals_and_hashes_by_its_fields() -> None:
    assert Point(1, ("a",)) == Point(1, ("a",))
    assert hash(Point(1, ("a",))) == hash(Point(1, ("a",)))
    assert Point(1) != Point(2)


def test_record_is_copied_with_changes() -> None:
    assert replace(Point(1, ("a",)), x=2) == Point(2, ("a",))


def test_record_has_no_room_for_other_fields() -> None:
    with pytest.raises(AttributeError):
        setattr(Point(), "y", 1)  # noqa: B010 - the type checker would refuse the plain way
