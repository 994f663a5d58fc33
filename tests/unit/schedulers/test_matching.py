"""Matching: nothing is given twice, constraints hold, and what is not served has a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.constraints import format_constraint, is_admitted, parse_constraint
from protocol.messages.framework import Offer
from protocol.messages.values import Attribute, Constraint, Volume
from protocol.resources import parse_resources, sum_resources
from schedulers.matching import Demand, explain_shortage, list_ports, match_offers

amounts = st.builds(
    lambda cpus, mem: f"cpus:{cpus / 1000};mem:{mem}MiB", st.integers(0, 4000), st.integers(0, 2048)
)
ports = st.sets(st.integers(31_000, 31_015), max_size=8).map(
    lambda chosen: ",".join(map(str, sorted(chosen)))
)
racks = st.sampled_from(["r1", "r2", "r3"])
offers = st.lists(st.tuples(amounts, ports, racks), max_size=6).map(
    lambda drawn: [
        Offer(
            offer_id=f"o{number}",
            agent_id=f"a{number}",
            resources=parse_resources(f"{text};ports:[{spans}]"),
            attributes=(Attribute("rack", rack),),
        )
        for number, (text, spans, rack) in enumerate(drawn)
    ]
)
constraints = st.one_of(
    st.just(()),
    st.builds(lambda rack, no: (Constraint("rack", (rack,), is_negated=no),), racks, st.booleans()),
)
demands = st.lists(st.tuples(amounts, st.integers(0, 5), constraints), max_size=12).map(
    lambda drawn: [
        Demand(f"d{number}", parse_resources(text), count, wanted)
        for number, (text, count, wanted) in enumerate(drawn)
    ]
)


@given(offers, demands)
def test_matching_never_claims_more_than_is_offered(
    offered: list[Offer], wanted: list[Demand]
) -> None:
    matching = match_offers(offered, wanted)
    for offer in offered:
        placed = matching.placements.get(offer.offer_id, ())
        left = offer.resources
        for placement in placed:
            left = left - placement.resources  # raises when a port or an amount is given twice
            assert placement.resources.contains(placement.demand.resources)
            assert len(list_ports(placement.resources)) == placement.demand.ports
        assert left + sum_resources(p.resources for p in placed) == offer.resources


@given(offers, demands)
def test_matching_places_each_demand_once_or_not_at_all(
    offered: list[Offer], wanted: list[Demand]
) -> None:
    matching = match_offers(offered, wanted)
    placed = [each.demand.name for all_ in matching.placements.values() for each in all_]
    unserved = [demand.name for demand in matching.unserved]
    assert sorted(placed + unserved) == sorted(demand.name for demand in wanted)


@given(offers, demands)
def test_matching_keeps_constraints(offered: list[Offer], wanted: list[Demand]) -> None:
    by_id = {offer.offer_id: offer for offer in offered}
    for offer_id, placed in match_offers(offered, wanted).placements.items():
        for each in placed:
            assert is_admitted(each.demand.constraints, offer_id, by_id[offer_id])


@given(offers, demands)
def test_matching_leaves_nothing_unserved_that_still_fits(
    offered: list[Offer], wanted: list[Demand]
) -> None:
    matching = match_offers(offered, wanted)
    left = []
    for offer in offered:
        rest = offer.resources
        for each in matching.placements.get(offer.offer_id, ()):
            rest = rest - each.resources
        left.append(
            Offer(offer.offer_id, offer.agent_id, resources=rest, attributes=offer.attributes)
        )
    assert match_offers(left, matching.unserved).placements == {}


def an_offer(resources: str, rack: str = "r1") -> Offer:
    return Offer(
        offer_id=resources,
        resources=parse_resources(resources),
        attributes=(Attribute("rack", rack),),
    )


def test_matching_places_the_biggest_first() -> None:
    small = Demand("small", parse_resources("cpus:1"))
    big = Demand("big", parse_resources("cpus:3"))
    matching = match_offers([an_offer("cpus:3"), an_offer("cpus:1")], [small, big])
    assert matching.unserved == ()


@pytest.mark.parametrize(
    ("offered", "demand", "reason"),
    [
        ((), Demand("d", parse_resources("cpus:1")), "no resources are offered"),
        (
            (an_offer("cpus:1;mem:2GiB"), an_offer("cpus:2")),
            Demand("d", parse_resources("cpus:4")),
            "no agent offers cpus:4 (the most is 2)",
        ),
        (
            (an_offer("cpus:4;mem:1MiB"), an_offer("cpus:1;mem:1GiB")),
            Demand("d", parse_resources("cpus:4;mem:1GiB")),
            "no agent offers all of cpus:4;mem:1GiB at once",
        ),
        (
            (an_offer("cpus:4"),),
            Demand("d", parse_resources("cpus:1"), ports=2),
            "no agent offers 2 ports",
        ),
        (
            (an_offer("cpus:4"),),
            Demand("d", parse_resources("cpus:1"), 0, (Constraint("rack", ("r9",)),)),
            "no agent offers resources with rack=r9",
        ),
    ],
)
def test_shortage_names_what_is_missing(
    offered: tuple[Offer, ...], demand: Demand, reason: str
) -> None:
    assert explain_shortage(offered, demand) == reason


@pytest.mark.parametrize(
    ("text", "constraint"),
    [
        ("rack=r1, r2", Constraint("rack", ("r1", "r2"))),
        ("zone!=a", Constraint("zone", ("a",), is_negated=True)),
    ],
)
def test_constraint_is_read(text: str, constraint: Constraint) -> None:
    assert parse_constraint(text) == constraint
    assert parse_constraint(format_constraint(constraint)) == constraint


@pytest.mark.parametrize("text", ["rack", "=r1", "rack=", "rack!=", ""])
def test_constraint_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not of the form"):
        parse_constraint(text)


def test_a_volume_is_one_tasks_unless_it_is_shared() -> None:
    volumes = (Volume("data", 1), Volume("logs", 2, is_shared=True))
    offers = [Offer("o1", "a1", resources=parse_resources("cpus:8"), volumes=volumes)]
    need = parse_resources("cpus:1")
    alone = [Demand(f"d{n}", need, volumes=("data", "logs")) for n in range(2)]
    shared = [Demand(f"s{n}", need, volumes=("logs",)) for n in range(2)]
    matching = match_offers(offers, [*alone, *shared])
    placed = [each.demand.name for each in matching.placements["o1"]]
    assert placed == ["d0", "s0", "s1"]
    assert [each.name for each in matching.unserved] == ["d1"]


def test_shortage_names_the_volume_that_is_not_offered() -> None:
    demand = Demand("d", parse_resources("cpus:1"), volumes=("data",))
    text = explain_shortage([Offer("o1", resources=parse_resources("cpus:8"))], demand)
    assert text == "no agent offers volume data"
