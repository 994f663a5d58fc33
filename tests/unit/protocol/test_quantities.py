"""Quantities: how much there is, whichever parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.quantities import (
    amounts_of,
    check_quantities,
    format_quantities,
    listed_quantities,
    parse_quantities,
)
from protocol.resources import AMOUNT_MAX, Resources, parse_resources
from tests.unit.protocol.strategies import amounts, resources


def test_parts_are_counted_in_thousandths() -> None:
    some = parse_resources("cpus:1.5;mem:1GiB;ports:[31000-31009,32000];zones:{a,b}")
    expected = {"cpus": 1500, "mem": 1 << 30, "ports": 11_000, "zones": 2000}
    assert some.quantities == expected


@given(resources, resources)
def test_what_is_left_and_what_is_taken_are_all(a: Resources, b: Resources) -> None:
    whole = (a + b).quantities
    left = ((a + b) - b).quantities
    for name in whole:
        assert left.get(name, 0) + b.quantities.get(name, 0) == whole[name]


@given(
    resources, st.dictionaries(st.sampled_from(["cpus", "ports", "zones"]), st.integers(0, 9000))
)
def test_capped_parts_are_parts_and_within_the_caps(a: Resources, caps: dict[str, int]) -> None:
    part = a.capped(caps)
    assert a.contains(part)
    for name, amount in a.quantities.items():
        most = min(amount, caps.get(name, amount))
        counted = name in a.ranges or name in a.sets
        assert part.quantities.get(name, 0) == (most - most % 1000 if counted else most)


@given(amounts)
def test_text_reads_back_as_the_same(some: dict[str, int]) -> None:
    assert parse_quantities(format_quantities(some)) == some
    assert amounts_of(listed_quantities(some)) == some


def test_ports_are_a_number() -> None:
    assert parse_quantities("ports:100") == {"ports": 100_000}
    assert (
        format_quantities({"mem": 1 << 30, "cpus": 500, "ports": 3000})
        == "cpus:0.5;mem:1GiB;ports:3"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("cpus:1;cpus:2", "given twice"),
        ("ports:[1-2]", "a number of ports is expected"),
        ("vlans:[1-2]", "an amount is expected, not which ones"),
        ("mem:5", "a size needs a unit"),
        ("cpus", "not of the form name:value"),
    ],
)
def test_text_that_is_none_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault.replace("(", r"\(")):
        parse_quantities(text)


def test_quantities_from_outside_are_checked() -> None:
    assert check_quantities({"cpus": 0, "ports": AMOUNT_MAX}) is None
    assert "must be 0 to" in (check_quantities({"cpus": -1}) or "")
    assert "cannot name a resource" in (check_quantities({"": 1}) or "")
    assert "at most" in (check_quantities({f"r{n}": 1 for n in range(65)}) or "")
