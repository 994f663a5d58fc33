"""Stamps: near wall time, never backwards, deaf to clocks being set."""

import asyncio

import pytest

from rlog.stamps import StampClock
from tests.unit.rlog.virtual_loop import VirtualLoop

HOUR_NS = 3_600_000_000_000
START_NS = 1_700_000_000_000_000_000


class Wall:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.now_ns = START_NS

    def __call__(self) -> int:
        return self.now_ns


async def stamps_after(*steps_ns: int, stamp_ns: int = 0) -> list[int]:
    wall = Wall()
    clock = StampClock(wall)
    clock.begin(stamp_ns)
    found = [clock.now_ns()]
    for step_ns in steps_ns:
        wall.now_ns += step_ns
        found.append(clock.now_ns())
    return found


def is_near(stamp_ns: int, other_ns: int) -> bool:
    return abs(stamp_ns - other_ns) < 1_000_000_000


async def stamps_beside(ahead_ns: int, seconds: int) -> list[int]:
    """Return how far each second's stamp is ahead of the pace, after the wall clock moved."""
    wall = Wall()
    clock = StampClock(wall)
    clock.begin(0)
    wall.now_ns += ahead_ns
    found = []
    for second in range(1, 1 + seconds):
        await asyncio.sleep(1.0)
        wall.now_ns += 1_000_000_000
        found.append(clock.now_ns() - START_NS - second * 1_000_000_000)
    return found


@pytest.mark.parametrize("sign", [1, -1])
def test_stamps_follow_a_wall_clock_bit_by_bit(sign: int) -> None:
    loop = VirtualLoop()
    try:
        found = loop.run_until_complete(stamps_beside(sign * 120_000_000, 4))
    finally:
        loop.close()
    assert found == [sign * each for each in (50_000_000, 100_000_000, 120_000_000, 120_000_000)]


def test_lease_ends_hardly_early_though_the_clock_is_set_forward_a_little() -> None:
    loop = VirtualLoop()
    try:
        found = loop.run_until_complete(stamps_beside(900_000_000, 2))
    finally:
        loop.close()
    assert found == [50_000_000, 100_000_000]


def test_stamps_do_not_jump_when_the_clock_is_set_forward() -> None:
    assert all(is_near(stamp, START_NS) for stamp in asyncio.run(stamps_after(HOUR_NS, 1, 1)))


def test_stamps_do_not_return_when_the_clock_is_set_back() -> None:
    found = asyncio.run(stamps_after(-HOUR_NS, 1, 1))
    assert found == sorted(found)
    assert all(is_near(stamp, START_NS) for stamp in found)


def test_stamps_begin_behind_no_stamp_of_the_log() -> None:
    later_ns = START_NS + HOUR_NS
    found = asyncio.run(stamps_after(1_000, stamp_ns=later_ns))
    assert found[0] >= later_ns
    assert found == sorted(found)
