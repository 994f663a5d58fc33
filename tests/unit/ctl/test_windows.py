"""Times and durations as operators type them."""

import pytest

from master.ctl.tables import format_when
from master.ctl.target import MisuseError
from master.ctl.windows import parse_duration, parse_time

SECOND_NS = 1_000_000_000
NOW_NS = 1_700_000_000 * SECOND_NS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("+90s", 90), ("+30m", 1800), ("+2h", 7200), ("+3d", 259_200), ("+1.5h", 5400), ("+0s", 0)],
)
def test_time_may_be_from_now(text: str, seconds: int) -> None:
    assert parse_time(text, NOW_NS) == NOW_NS + seconds * SECOND_NS


def test_time_may_have_its_offset() -> None:
    assert parse_time("2023-11-14T22:13:20+00:00", 0) == NOW_NS
    assert parse_time("2023-11-14T23:13:20+01:00", 0) == NOW_NS


@pytest.mark.parametrize("text", ["", "soon", "+", "+2", "+2w", "2h", "-2h", "+-2h"])
def test_time_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(MisuseError, match="2h"):
        parse_time(text, NOW_NS)


def test_duration_that_is_none_names_its_flag() -> None:
    with pytest.raises(MisuseError, match="--for: '2 weeks' is no duration"):
        parse_duration("--for", "2 weeks")


def test_when_is_before_or_after_now() -> None:
    assert format_when(7200 * SECOND_NS) == "in 2h"
    assert format_when(-90 * SECOND_NS) == "90s ago"
