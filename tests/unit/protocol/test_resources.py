"""The algebra of resources, and their text."""

import random
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.resources import (
    AMOUNT_MAX,
    EMPTY,
    ENTRIES_MAX,
    Resources,
    dominant_share,
    format_amount,
    format_resources,
    parse_resources,
    sum_resources,
    validate,
)
from tests.unit.protocol.strategies import resources

OPERATIONS = 1_000_000


def normal(value: Resources) -> bool:
    """Whether no entry is zero or empty and ranges and sets are in their one form."""
    return (
        all(value.scalars.values())
        and all(
            spans and all(b[0] > a[1] + 1 for a, b in pairwise(spans))
            for spans in value.ranges.values()
        )
        and all(items and list(items) == sorted(set(items)) for items in value.sets.values())
    )


@given(resources, resources)
def test_addition_commutes_and_stays_normal(a: Resources, b: Resources) -> None:
    assert a + b == b + a
    assert normal(a + b)


@given(resources, resources, resources)
def test_addition_associates(a: Resources, b: Resources, c: Resources) -> None:
    assert (a + b) + c == a + (b + c)


@given(resources)
def test_empty_changes_nothing(a: Resources) -> None:
    assert a + EMPTY == EMPTY + a == a - EMPTY == a
    assert a - a == EMPTY


@given(resources, resources)
def test_sum_contains_its_parts(a: Resources, b: Resources) -> None:
    assert (a + b).contains(a)
    assert (a + b).contains(b)


@given(resources, resources)
def test_containment_both_ways_is_equality(a: Resources, b: Resources) -> None:
    assert (a.contains(b) and b.contains(a)) == (a == b)


@given(resources, resources)
def test_what_is_taken_away_can_be_put_back(a: Resources, b: Resources) -> None:
    whole = a + b
    rest = whole - b
    assert normal(rest)
    assert rest + b == whole
    assert not any(
        rest.scalars.get(name, 0) != whole.scalars[name] - b.scalars.get(name, 0)
        for name in whole.scalars
    )


@given(resources, resources)
def test_more_than_there_is_cannot_be_taken(a: Resources, b: Resources) -> None:
    if not a.contains(b):
        with pytest.raises(ValueError, match="more resources than there are"):
            a - b


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_ranges_behave_as_sets_of_numbers(a: set[int], b: set[int]) -> None:
    one, other = as_ranges(a), as_ranges(b)
    assert one + other == as_ranges(a | b)
    assert one.contains(other) == (b <= a)
    assert (one + other) - other == as_ranges(a - b)


def as_ranges(numbers: set[int]) -> Resources:
    text = ",".join(map(str, numbers))
    return parse_resources(f"ports:[{text}]")


@given(resources)
def test_equal_values_hash_alike_in_any_order(a: Resources) -> None:
    reversed_ = Resources(dict(reversed(a.scalars.items())), a.ranges, a.sets)
    assert a == reversed_
    assert hash(a) == hash(reversed_)


@given(resources)
def test_values_made_here_are_valid(a: Resources) -> None:
    assert validate(a) is None


@given(resources)
def test_text_reads_back_as_the_same_value(a: Resources) -> None:
    assert parse_resources(format_resources(a)) == a


@given(resources)
def test_snapshot_of_a_value_reads_back(a: Resources) -> None:
    packed = msgspec.msgpack.encode(a)
    assert msgspec.msgpack.decode(packed, type=Resources) == a


def test_sum_of_nothing_is_empty() -> None:
    assert sum_resources([]) == EMPTY
    assert EMPTY.is_empty
    assert not EMPTY


def test_dominant_share_is_the_largest_of_the_scalars() -> None:
    total = parse_resources("cpus:10;mem:100MiB;ports:[1-2]")
    used = parse_resources("cpus:2;mem:50MiB;ports:[1-2]")
    assert dominant_share(used, total) == (500_000, "mem")


def test_dominant_share_of_equals_is_the_first_name() -> None:
    total = parse_resources("mem:2GiB;cpus:2")
    assert dominant_share(parse_resources("mem:1GiB;cpus:1"), total) == (500_000, "cpus")


def test_dominant_share_skips_what_the_total_lacks() -> None:
    assert dominant_share(parse_resources("gpus:1"), parse_resources("cpus:2")) == (0, "")


def test_text_is_read_exactly() -> None:
    text = " cpus: 0.5 ; mem:8GiB;ports:[31005, 31000-31004];disk:1.5KiB;gpus:0;zones:{b, a,b}; "
    assert parse_resources(text) == Resources(
        {"cpus": 500, "mem": 8 << 30, "disk": 1536},
        {"ports": ((31000, 31005),)},
        {"zones": ("a", "b")},
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cpus", "name:value"),
        ("cpus:", "a number"),
        ("cpus:nan", "a number"),
        ("cpus:inf", "a number"),
        ("cpus:-1", "a number"),
        ("cpus:+1", "a number"),
        ("cpus:1e3", "a number"),
        ("cpus:1_000", "a number"),
        ("cpus:٣", "a number"),
        ("cpus:4GiB", "a number"),
        ("cpus:[1-2]", "a number"),
        ("cpus:0.0001", "three decimals"),
        ("cpus:9999999999999999", "too large"),
        ("cpus:99999999999999999999", "a number"),
        ("mem:8192", "unit"),
        ("mem:nanGiB", "a size"),
        ("mem:-1MiB", "a size"),
        ("mem:8gib", "unit"),
        ("mem:1.5B", "whole number of bytes"),
        ("mem:9999999PiB", "too large"),
        ("cpus:1;cpus:2", "twice"),
        ("9x:1", "begins with a letter"),
        ("a b:1", "only letters"),
        ("ports:31000", "ranges such as"),
        ("ports:[x]", "not a range"),
        ("ports:[5-4]", "down to"),
        ("ports:[1-5,4-9]", "overlap"),
        ("ports:[1-9999999999999999]", "up to"),
        ("zones:{a b}", "item"),
        ("zones:{", "a number"),
    ],
)
def test_bad_text_is_refused_naming_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refusal:
        parse_resources(f"disk:1GiB;{text}")
    assert text.partition(":")[0] in str(refusal.value)


@pytest.mark.parametrize(
    "value",
    [
        Resources({"cpus": 0}),
        Resources({"cpus": -1}),
        Resources({"cpus": AMOUNT_MAX + 1}),
        Resources({"": 1}),
        Resources({"a/b": 1}),
        Resources({"x" * 65: 1}),
        Resources({f"x{n}": 1 for n in range(ENTRIES_MAX + 1)}),
        Resources({"ports": 1}),
        Resources({}, {"ports": ()}),
        Resources({}, {"ports": ((2, 1),)}),
        Resources({}, {"ports": ((1, 5), (5, 9))}),
        Resources({}, {"ports": ((1, AMOUNT_MAX + 1),)}),
        Resources({}, {"cpus": ((1, 2),)}),
        Resources({}, {}, {"zones": ()}),
        Resources({}, {}, {"zones": ("a", "a")}),
        Resources({}, {}, {"zones": ("a;b",)}),
        Resources({}, {}, {"mem": ("a",)}),
        Resources({"x": 1}, {}, {"x": ("a",)}),
    ],
)
def test_bad_value_from_outside_is_refused(value: Resources) -> None:
    assert validate(value)


@pytest.mark.parametrize(
    ("name", "amount", "text"),
    [
        ("cpus", 500, "0.5"),
        ("cpus", 4000, "4"),
        ("cpus", 1, "0.001"),
        ("cpus", 0, "0"),
        ("gpus", 10_000, "10"),
        ("mem", 512 << 20, "512MiB"),
        ("mem", 1536 << 20, "1536MiB"),
        ("disk", 1 << 40, "1TiB"),
        ("disk", 1001, "1001B"),
        ("mem", 0, "0B"),
    ],
)
def test_amount_is_written_as_people_do(name: str, amount: int, text: str) -> None:
    assert format_amount(name, amount) == text


@given(resources, resources)
def test_meet_is_the_most_that_both_contain(a: Resources, b: Resources) -> None:
    both = a & b
    assert both == b & a
    assert normal(both)
    assert a.contains(both)
    assert b.contains(both)
    assert not (a - both) & (b - both)


@given(resources, resources)
def test_meet_with_what_contains_it_is_itself(a: Resources, b: Resources) -> None:
    assert (a + b) & a == a


def test_nothing_drifts_over_a_million_operations() -> None:
    """Parts go round between accounts, a thousandth and a port at a time, and all are there."""
    rng = random.Random(1)
    whole = parse_resources("cpus:64.001;mem:999999999999B;gpus:7;ports:[1-500];zones:{a,b,c,d}")
    accounts = [whole, *([EMPTY] * 7)]
    parts = [
        parse_resources(
            f"cpus:{rng.uniform(0.001, 3):.3f};mem:{rng.randrange(1, 10**10)}B;"
            f"ports:[{(first := rng.randrange(1, 495))}-{first + rng.randrange(5)}];"
            f"zones:{{{rng.choice('abcd')}}};gpus:{rng.randrange(3)}"
        )
        for _ in range(64)
    ]
    choices = [(rng.randrange(8), rng.randrange(8), rng.choice(parts)) for _ in range(4096)]
    for step in range(OPERATIONS // 3):  # a meet, a subtraction and an addition each
        source, target, part = choices[step % 4096]
        moved = accounts[source] & part
        accounts[source] = accounts[source] - moved
        accounts[target] = accounts[target] + moved
    assert sum_resources(accounts) == whole
    for name, amount in whole.scalars.items():
        assert sum(each.scalars.get(name, 0) for each in accounts) == amount
    ports = [port for each in accounts for port in list_ports(each)]
    assert sorted(ports) == list(range(1, 501))
    assert sum(1 for each in accounts if each) > 4
    assert all(parse_resources(format_resources(each)) == each for each in accounts)


def list_ports(value: Resources) -> list[int]:
    spans = value.ranges.get("ports", ())
    return [port for first, last in spans for port in range(first, last + 1)]
