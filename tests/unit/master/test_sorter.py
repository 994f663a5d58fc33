"""The sorter: dominant share over weight, names break ties."""

from hypothesis import given
from hypothesis import strategies as st

from master.allocator.sorter import SHARE_UNITS, Sorter

TOTAL = {"cpus": 9_000, "mem": 18_000}


def test_poorest_goes_first() -> None:
    sorter = Sorter(TOTAL)
    sorter.add("rich", {"cpus": 6_000}, 1000)
    sorter.add("poor", {"mem": 6_000}, 1000)
    assert list(sorter) == ["poor", "rich"]


def test_weight_divides_the_share() -> None:
    sorter = Sorter(TOTAL)
    sorter.add("light", {"cpus": 3_000}, 1000)
    sorter.add("heavy", {"cpus": 4_500}, 2000)
    assert list(sorter) == ["heavy", "light"]
    assert sorter.share_of("heavy") == SHARE_UNITS // 4


def test_names_break_ties() -> None:
    sorter = Sorter(TOTAL)
    for name in ("c", "a", "b"):
        sorter.add(name, {}, 1000)
    assert list(sorter) == ["a", "b", "c"]


def test_resource_that_nobody_has_does_not_count() -> None:
    sorter = Sorter(TOTAL)
    sorter.add("a", {"gpus": 8_000}, 1000)
    assert sorter.share_of("a") == 0


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 5_000)), max_size=40))
def test_order_after_charges_is_that_of_a_new_sorter(charges: list[tuple[str, int]]) -> None:
    sorter, held = Sorter(TOTAL), dict.fromkeys("abcd", 0)
    for name in held:
        sorter.add(name, {}, 1000)
    for name, amount in charges:
        sorter.charge(name, {"cpus": amount})
        held[name] += amount
    again = Sorter(TOTAL)
    for name, amount in held.items():
        again.add(name, {"cpus": amount}, 1000)
    assert list(sorter) == list(again)
