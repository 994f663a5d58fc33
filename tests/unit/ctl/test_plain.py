"""Times as they are printed and given."""

import random

import pytest

from master.ctl.plain import format_time, parse_time
from master.ctl.target import MisuseError

NOON_NS = 1_700_049_600 * 1_000_000_000


def test_event_is_within_the_time_that_was_printed_of_it() -> None:
    dice = random.Random(1)
    for _ in range(1000):
        stamp_ns = NOON_NS + dice.randrange(10**9)
        printed = format_time(stamp_ns)
        for text, unit_ns in ((printed, 1000), (printed[:23] + "Z", 1_000_000)):
            first_ns = parse_time("--from", text)
            last_ns = parse_time("--until", text, is_last=True)
            assert first_ns <= stamp_ns <= last_ns
            assert last_ns - first_ns == unit_ns - 1


@pytest.mark.parametrize("text", ["2023-11-15T12:00:00Z", "2023-11-15T13:00:00+01:00"])
def test_time_without_a_fraction_is_an_instant(text: str) -> None:
    assert parse_time("--from", text) == NOON_NS
    assert parse_time("--until", text, is_last=True) == NOON_NS


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(MisuseError, match="neither an entry nor a time"):
        parse_time("--until", "yesterday")
