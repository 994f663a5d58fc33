"""Demand: offers are as large as what is asked for, and never come for more than that."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from master.allocator.demand import Demand, Want, take
from master.core.agents import RegisterAgent
from master.core.draft import Reply
from master.core.effects import Effect
from master.core.events import Event
from master.core.frameworks import SubscribeFramework
from master.core.offers import DeclineOffers
from master.core.requests import RequestResources
from master.core.settings import SECOND_NS, Settings
from protocol.decision import Decision
from protocol.ids import FrameworkId
from protocol.messages import framework as wire
from protocol.messages.framework import Decline
from protocol.messages.values import Attribute, Constraint, Quantity
from protocol.resources import Resources
from tests.unit.master.leader import Leader, registration, subscription

GIB = 1 << 30


@dataclass(frozen=True)
class Machine:
    hostname: str = "h"
    attributes: tuple[Attribute, ...] = field(default_factory=tuple)


PLAIN = ("a1", Machine())

wants = st.lists(
    st.builds(
        lambda cpus, mem, count: Want({"cpus": cpus, "mem": mem}, count),
        st.integers(1, 9),
        st.integers(1, 9),
        st.integers(1, 5),
    ),
    max_size=4,
)
offers = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=6)


@given(wants, offers)
def test_offers_cover_no_more_than_they_hold_and_than_is_wanted(
    wanted: list[Want], offered: list[tuple[int, int]]
) -> None:
    demand = Demand(wanted)
    for number, (cpus, mem) in enumerate(offered):
        before = demand.left
        demand.cover(f"o{number}", PLAIN, Resources({"cpus": cpus, "mem": mem}))
        covered = [had - has for had, has in zip(before, demand.left, strict=True)]
        for name, most in (("cpus", cpus), ("mem", mem)):
            assert most >= sum(
                n * want.amounts[name] for n, want in zip(covered, wanted, strict=True)
            )
        assert all(0 <= n <= was for n, was in zip(covered, before, strict=True))
    for number in range(len(offered)):
        demand.uncover(f"o{number}")
    assert demand.left == [want.count for want in wanted]


def test_launch_counts_for_tasks_of_its_size_only() -> None:
    demand = Demand([Want({"cpus": 1}, 1), Want({"cpus": 2}, 2)])
    for amounts in ({"cpus": 2}, {"cpus": 3}, {"cpus": 1}, {"cpus": 1}):
        demand.launched(amounts)
    assert demand.left == [0, 1]
    assert not demand.is_met


def test_one_step_is_one_task_at_least() -> None:
    wanted = [Want({"cpus": 5}, 9)]
    assert take(wanted, [9], PLAIN, {"cpus": 40}, {"cpus": 10}) == (0, 2)
    assert take(wanted, [9], PLAIN, {"cpus": 40}, {"cpus": 1}) == (0, 1)
    assert take(wanted, [9], PLAIN, {"cpus": 4}, {"cpus": 1}) is None
    assert take(wanted, [1], PLAIN, {"cpus": 40}, {}) == (0, 1)


def test_constraint_on_hostname_and_agent_needs_no_attribute() -> None:
    for name, value in (("hostname", "h"), ("agent", "a1")):
        here = Want({"cpus": 1}, 1, (Constraint(name, (value,)),))
        there = Want({"cpus": 1}, 1, (Constraint(name, (value,), is_negated=True),))
        assert take([here], [1], PLAIN, {"cpus": 1}, {}) == (0, 1)
        assert take([there], [1], PLAIN, {"cpus": 1}, {}) is None


def test_constraint_without_values_asks_whether_there_is_such_an_attribute() -> None:
    racked = ("a1", Machine(attributes=(Attribute("rack", ""),)))
    for is_negated, machine, is_met in ((False, racked, True), (True, PLAIN, True)):
        want = Want({"cpus": 1}, 1, (Constraint("rack", (), is_negated=is_negated),))
        assert (take([want], [1], machine, {"cpus": 1}, {}) is not None) == is_met


def ask(
    leader: Leader, count: int, cpus: int = 1000, framework: str = "fw-1"
) -> Decision[Event, Effect, Reply]:
    amounts = (Quantity("cpus", cpus), Quantity("mem", GIB))
    request = wire.Request(1, "web", (wire.Want(amounts, count),))
    outcome = leader.submit(RequestResources(FrameworkId(framework), request))
    assert isinstance(outcome, Decision)
    return outcome


def idle_cluster(agents: int, settings: Settings | None = None) -> Leader:
    """Return a leader whose agents a framework has asked nothing of."""
    leader = Leader.with_settings(settings or Settings())
    for number in range(agents):
        leader.submit(RegisterAgent(registration(f"a{number}"), "p", number))
    leader.submit(SubscribeFramework(subscription(), "p", 1))
    leader.submit(RequestResources(FrameworkId("fw-1"), wire.Request(1, "web", ())))
    leader.advance(SECOND_NS)
    assert not leader.state.soft.offers
    return leader


def test_request_is_answered_as_it_is_decided() -> None:
    leader = idle_cluster(3)
    assert len(ask(leader, 12).effects) == 1
    assert len(leader.state.soft.offers) == 3


def test_what_one_turn_does_not_look_at_the_next_passes_do() -> None:
    leader = idle_cluster(9, Settings(request_agents_max=2, request_offers_max=1))
    ask(leader, 100)
    assert len(leader.state.soft.offers) == 1
    leader.advance(SECOND_NS // 10)
    assert len(leader.state.soft.offers) == 9


def test_all_that_asks_for_the_same_gets_its_share_of_one_agent() -> None:
    leader = idle_cluster(0)
    leader.submit(SubscribeFramework(subscription(), "p", 2))
    ask(leader, 100)
    ask(leader, 100, framework="fw-2")
    leader.submit(RegisterAgent(registration("a1", "cpus:8;mem:64GiB"), "p", 9))
    leader.advance(SECOND_NS)
    amounts = [offer.resources.scalars["cpus"] for offer in leader.state.soft.offers.values()]
    assert amounts == [4000, 4000]


def test_smaller_request_than_the_smallest_offer_is_served() -> None:
    leader = idle_cluster(1)
    ask(leader, 1, cpus=1)
    (offer,) = leader.state.soft.offers.values()
    assert offer.resources.scalars["cpus"] == Settings().cpus_min


def test_declined_agent_is_not_asked_again_for_the_same() -> None:
    leader = idle_cluster(1)
    ask(leader, 1)
    (offer,) = leader.state.soft.offers
    leader.submit(DeclineOffers(FrameworkId("fw-1"), Decline(1, (offer,), 3600 * SECOND_NS)))
    leader.advance(60 * SECOND_NS)
    assert not leader.state.soft.offers
    ask(leader, 4)
    assert leader.state.soft.offers, "more than was refused is worth an offer"


def test_request_of_one_that_is_not_linked_is_forgotten() -> None:
    leader = idle_cluster(1)
    leader.crash()
    ask(leader, 1)
    assert not leader.state.soft.demands
