"""Windows of time, and what bookings take."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.core.booked import ANNOUNCED, OPEN, OVER, WAITING, next_turn_ns, phase_of
from master.core.windows import SECOND_NS, check_cron, window_at
from protocol.messages.values import Booking

HOUR_NS = 3600 * SECOND_NS
CRONS = ("0 22 * * *", "*/15 * * * *", "30 3 1 * *", "0 0 * * mon", "59 23 31 12 *")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_NS


@pytest.mark.parametrize(
    ("now", "begin"),
    [
        ("2026-12-24T21:59:59", "2026-12-24T22:00"),
        ("2026-12-24T22:00", "2026-12-24T22:00"),
        ("2026-12-25T05:59:59", "2026-12-24T22:00"),
        ("2026-12-25T06:00", "2026-12-25T22:00"),
    ],
)
def test_window_is_the_open_one_or_the_next(now: str, begin: str) -> None:
    begin_ns, end_ns = window_at("0 22 * * *", 8 * HOUR_NS, at(now))
    assert (begin_ns, end_ns) == (at(begin), at(begin) + 8 * HOUR_NS)


@given(st.sampled_from(CRONS), st.integers(1, 100), st.integers(0, 4_000_000_000))
def test_windows_never_lie_behind_and_the_next_one_follows(
    cron: str, hours: int, now_s: int
) -> None:
    now_ns = now_s * SECOND_NS
    begin_ns, end_ns = window_at(cron, hours * HOUR_NS, now_ns)
    assert end_ns - begin_ns == hours * HOUR_NS
    assert now_ns < end_ns
    later_ns, _ = window_at(cron, hours * HOUR_NS, end_ns)
    assert later_ns > begin_ns


@pytest.mark.parametrize(
    "cron", ["", "* * * *", "x * * * *", "0 0 31 2 *", "@daily", "* * * * * *"]
)
def test_bad_expressions_are_told_apart(cron: str) -> None:
    assert check_cron(cron) is not None


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 50), st.integers(0, 150))
def test_phases_follow_each_other_at_their_turns(
    begin: int, length: int, lead: int, now: int
) -> None:
    booking = Booking("b", "r", begin_ns=begin, end_ns=begin + length, lead_ns=lead)
    order = (WAITING, ANNOUNCED, OPEN, OVER)
    turn = next_turn_ns(booking, now)
    if turn is None:
        assert phase_of(booking, now) == OVER
        return
    assert all(phase_of(booking, t) == phase_of(booking, now) for t in range(now, turn))
    assert order.index(phase_of(booking, turn)) > order.index(phase_of(booking, now)) or lead == 0
