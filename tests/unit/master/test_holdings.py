"""Holdings: what agents' configurations, and all that was reserved besides, come to together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from master.core.events import ResourcesReserved, ResourcesUnreserved
from master.core.holdings import Reservations, depth_first, reserve, settle, unreserve
from master.core.records import Agent
from protocol.ids import AgentId
from protocol.messages.values import Reservation, StaticReservation
from protocol.resources import Resources, parse_resources, sum_resources

TOTAL = parse_resources("cpus:8;mem:8GiB;ports:[1-100];zones:{a,b}")
ROLES = ("eng", "eng/search", "eng/search/index", "ops")


def agent(reservations: Reservations, *static: StaticReservation) -> Agent:
    return Agent(
        id=AgentId("a1"),
        hostname="a1",
        address="",
        principal="p",
        total=TOTAL,
        attributes=(),
        boot_id="",
        version="",
        isolation=(),
        registered_ns=0,
        reserved=static,
        reservations=reservations,
    )


def static(role: str, text: str) -> StaticReservation:
    return StaticReservation(role, parse_resources(text))


def made(name: str, role: str, text: str, parent: str = "") -> ResourcesReserved:
    told = Reservation(name, role, parse_resources(text), parent)
    return ResourcesReserved("a1", told, parent)


def test_refined_resources_leave_what_they_were_refined_out_of() -> None:
    found = settle(None, TOTAL, [static("eng", "cpus:4;mem:1GiB")])
    reserve(found, made("s", "eng/search", "cpus:3", "static:eng"), 0)
    assert found["static:eng"].resources == parse_resources("cpus:1;mem:1GiB")
    assert [each.id for each in depth_first(found)] == ["s", "static:eng"]


def test_configuration_may_change_around_what_was_refined_out_of_it() -> None:
    found = settle(None, TOTAL, [static("eng", "cpus:4")])
    reserve(found, made("s", "eng/search", "cpus:3", "static:eng"), 0)
    known = agent(found, static("eng", "cpus:4"))
    again = settle(known, TOTAL, [static("eng", "cpus:5"), static("ops", "cpus:3")])
    assert again["static:eng"].resources == parse_resources("cpus:2")
    assert again["static:ops"].resources == parse_resources("cpus:3")
    assert again["s"].resources == parse_resources("cpus:3")
    assert found["static:eng"].resources == parse_resources("cpus:1")  # as it was


@pytest.mark.parametrize(
    ("total", "configured", "fault"),
    [
        ("cpus:8", "cpus:2", "refined out of static:eng"),
        ("cpus:5", "cpus:4", "too little for reservation mine"),
    ],
)
def test_configuration_that_leaves_too_little_is_refused(
    total: str, configured: str, fault: str
) -> None:
    found = settle(None, TOTAL, [static("eng", "cpus:4")])
    reserve(found, made("s", "eng/search", "cpus:3", "static:eng"), 0)
    reserve(found, made("mine", "ops", "cpus:2"), 0)
    known = agent(found, static("eng", "cpus:4"))
    with pytest.raises(ValueError, match=fault):
        settle(known, parse_resources(total), [static("eng", configured)])


def test_configuration_that_is_gone_stays_as_long_as_it_is_needed() -> None:
    found = settle(None, TOTAL, [static("eng", "cpus:4")])
    reserve(found, made("s", "eng/search", "cpus:3", "static:eng"), 0)
    again = settle(agent(found, static("eng", "cpus:4")), TOTAL, [])
    assert not again["static:eng"].resources
    unreserve(again, ResourcesUnreserved("a1", "s", parse_resources("cpus:3")))
    assert again["static:eng"].resources == parse_resources("cpus:3")
    assert not settle(agent(again), TOTAL, [])


@st.composite
def some_of(draw: st.DrawFn, whole: Resources) -> Resources:
    """A part of some resources."""
    scalars = {name: draw(st.integers(0, amount)) for name, amount in whole.scalars.items()}
    ports = [(first, last) for first, last in whole.ranges.get("ports", ()) if draw(st.booleans())]
    zones = tuple(item for item in whole.sets.get("zones", ()) if draw(st.booleans()))
    return Resources(
        {name: amount for name, amount in scalars.items() if amount},
        {"ports": tuple(ports)} if ports else {},
        {"zones": zones} if zones else {},
    )


@given(st.data())
def test_nothing_is_lost_or_made_by_reserving_and_unreserving(data: st.DataObject) -> None:
    found = settle(None, TOTAL, [static("eng", "cpus:4;mem:1GiB;ports:[10-20]")])
    free = TOTAL - sum_resources(each.resources for each in found.values())
    for step in range(data.draw(st.integers(1, 12))):
        before = free + sum_resources(each.resources for each in found.values())
        assert before == TOTAL
        is_returning = data.draw(st.booleans())
        dynamic = [each for each in found.values() if not each.is_static]
        if dynamic and is_returning:
            known = data.draw(st.sampled_from(dynamic))
            part = data.draw(some_of(known.resources))
            parent = known.parent
            unreserve(found, ResourcesUnreserved("a1", known.id, part))
            free = free if parent else free + part
            continue
        source = data.draw(st.sampled_from(["", *found]))
        part = data.draw(some_of(found[source].resources if source else free))
        role = f"{found[source].role}/{step}" if source else data.draw(st.sampled_from(ROLES))
        told = Reservation(f"r{step}", role, part, source)
        if part:
            reserve(found, ResourcesReserved("a1", told, source), 0)
            free = free if source else free - part
    for each in list(found.values()):
        assert each.resources or each.is_static or any(c.parent == each.id for c in found.values())
