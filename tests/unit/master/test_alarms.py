"""Alarms: the newest setting counts, the heap stays small."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from master.core.alarms import AlarmKind
from rlog.spaces.alarms import STALE_MAX, Alarms

KIND = AlarmKind.OFFER_OLD


def ring(alarms: Alarms[AlarmKind], now_ns: int, entries_max: int = 100) -> list[str]:
    subjects = alarms.upcoming(now_ns, entries_max)
    alarms.take(len(subjects), now_ns)
    return [subject[1][0] for subject in subjects if subject]


def test_alarm_rings_once_at_its_time() -> None:
    alarms: Alarms[AlarmKind] = Alarms()
    alarms.set(KIND, ("a",), 10)
    assert ring(alarms, 9) == []
    assert ring(alarms, 10) == ["a"]
    assert ring(alarms, 11) == []
    assert alarms.next_ns is None


def test_alarm_moved_to_later_rings_later() -> None:
    alarms: Alarms[AlarmKind] = Alarms()
    alarms.set(KIND, ("a",), 10)
    alarms.set(KIND, ("a",), 20)
    assert ring(alarms, 15) == []
    assert alarms.next_ns == 20
    assert ring(alarms, 20) == ["a"]


def test_alarm_moved_to_earlier_rings_once() -> None:
    alarms: Alarms[AlarmKind] = Alarms()
    alarms.set(KIND, ("a",), 20)
    alarms.set(KIND, ("a",), 10)
    assert ring(alarms, 10) == ["a"]
    assert ring(alarms, 30) == []


def test_alarm_rings_though_an_older_entry_of_it_comes_up_with_it() -> None:
    alarms: Alarms[AlarmKind] = Alarms()
    alarms.set(KIND, ("a",), 10)
    alarms.set(KIND, ("a",), 5)
    assert ring(alarms, 5) == ["a"]
    alarms.set(KIND, ("a",), 12)
    assert ring(alarms, 13) == ["a"]


def test_cancelled_alarm_stays_silent() -> None:
    alarms: Alarms[AlarmKind] = Alarms()
    alarms.set(KIND, ("a",), 10)
    alarms.cancel(KIND, ("a",))
    assert ring(alarms, 10) == []


def test_ringing_takes_no_more_than_asked() -> None:
    alarms: Alarms[AlarmKind] = Alarms()
    for number in range(5):
        alarms.set(KIND, (str(number),), number)
    assert ring(alarms, 10, entries_max=3) == ["0", "1", "2"]
    assert ring(alarms, 10, entries_max=3) == ["3", "4"]


def test_heap_stays_small_however_often_an_alarm_moves() -> None:
    alarms: Alarms[AlarmKind] = Alarms()
    for at_ns in range(10_000, 0, -1):
        alarms.set(KIND, ("a",), at_ns)
    assert len(alarms.heap) <= STALE_MAX + 2


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-1, 30)), max_size=60))
def test_alarms_agree_with_a_plain_dictionary(steps: list[tuple[str, int]]) -> None:
    """A negative time cancels; time passes by one with each step."""
    alarms, plain = Alarms[AlarmKind](), dict[str, int]()
    for now_ns, (key, at_ns) in enumerate(steps):
        if at_ns < 0:
            alarms.cancel(KIND, (key,))
            plain.pop(key, None)
        else:
            alarms.set(KIND, (key,), at_ns)
            plain[key] = at_ns
        due = sorted(key for key, when_ns in plain.items() if when_ns <= now_ns)
        assert sorted(ring(alarms, now_ns)) == due
        for each in due:
            del plain[each]


class Watched(list[Any]):
    """A heap that counts how often it is looked at."""

    looks = 0

    def __getitem__(self, index: Any) -> Any:
        self.looks += 1
        return super().__getitem__(index)


def test_looking_for_what_is_due_costs_what_is_taken_not_what_is_due() -> None:
    alarms: Alarms[AlarmKind] = Alarms()
    for number in range(10_000):
        alarms.set(KIND, (f"a{number:05}",), 10)
    heap = alarms.heap = Watched(alarms.heap)
    found = alarms.upcoming(20, 100)
    assert found == [(KIND, (f"a{number:05}",)) for number in range(100)]
    assert heap.looks < 400
