"""When snapshots are due: once a period on each member, never on two at once."""

from rlog.cadence import STRETCH_BYTES, STRETCH_MAX, is_due
from rlog.config import LogConfig
from rlog.rows import Snapshot

NAMES = ("a:1", "b:1", "c:1")


def config_of(name: str) -> LogConfig:
    return LogConfig(name, NAMES, "", snapshot_entries=300, snapshot_bytes=1000)


def times_of(name: str, until: int, size: int = 0) -> list[int]:
    """Return at which entries a member takes snapshots of so many bytes, if never by bytes."""
    newest, times = Snapshot(size=size), []
    for applied in range(1, until):
        if is_due(config_of(name), NAMES, newest, applied, 0):
            times.append(applied)
            newest = Snapshot(index=applied, size=size)
    return times


def test_each_member_has_its_own_place_in_the_period() -> None:
    assert times_of("a:1", 1300) == [300, 600, 900, 1200]
    assert times_of("b:1", 1300) == [400, 700, 1000]
    assert times_of("c:1", 1300) == [200, 500, 800, 1100]


def test_member_comes_back_to_its_place_after_a_leaders_snapshot() -> None:
    installed = Snapshot(index=620)
    due = [n for n in range(621, 1200) if is_due(config_of("b:1"), NAMES, installed, n, 0)]
    assert due[0] == 1000


def test_big_state_is_written_down_less_often_but_not_ever_less() -> None:
    assert times_of("a:1", 2000, 3 * STRETCH_BYTES) == [900, 1800]
    assert times_of("a:1", 6500, 100 * STRETCH_BYTES) == [3000, 6000]
    assert STRETCH_MAX == 10


def test_much_written_makes_it_due_at_each_member_after_other_bytes() -> None:
    limits = [
        next(n for n in range(2000) if is_due(config_of(name), NAMES, Snapshot(), 1, n))
        for name in NAMES
    ]
    assert limits == [1000, 1167, 1334]


def test_big_state_waits_for_more_bytes() -> None:
    newest = Snapshot(size=4 * STRETCH_BYTES)
    assert not is_due(config_of("a:1"), NAMES, newest, 1, 3999)
    assert is_due(config_of("a:1"), NAMES, newest, 1, 4000)


def test_member_that_belongs_no_more_takes_the_first_place() -> None:
    stranger = LogConfig("z:1", NAMES, "", snapshot_entries=300)
    assert not is_due(stranger, NAMES, Snapshot(), 299, 0)
    assert is_due(stranger, NAMES, Snapshot(), 300, 0)
    assert is_due(stranger, (), Snapshot(), 300, 0)
