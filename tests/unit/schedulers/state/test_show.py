"""Keys and records on a screen: a value is shown on one line, whatever is in it."""

import pytest

from rlog.client.journal import Record
from rlog.spaces.messages import Item
from schedulers.state.show import BRIEF_CHARS_MAX, brief, print_items, print_records


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"", ""),
        (b"hello", "hello"),
        (b"two\nlines", "two lines"),
        (b"\xff\x00", "ff00"),
        ("ü".encode() * 500, "ü" * (BRIEF_CHARS_MAX - 1) + "…"),
        (b"a" + "ü".encode() * 500, "a" + "ü" * (BRIEF_CHARS_MAX - 2) + "…"),
    ],
)
def test_value_is_shown_on_one_line(value: bytes, shown: str) -> None:
    assert brief(value) == shown


def test_keys_and_records_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    print_items([Item("k", b"v", 3, "lead"), Item("other", b"", 12)], "table")
    print_records([Record(7, b"r")], "table")
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["KEY", "VERSION", "BYTES", "LEASE", "VALUE"],
        ["k", "3", "1", "lead", "v"],
        ["other", "12", "0", "-"],
        ["POSITION", "BYTES", "RECORD"],
        ["7", "1", "r"],
    ]
