"""Agents: bounds, returns without news, and many that fall silent at once."""

from dataclasses import replace

import pytest

from master.core.agents import AgentUnlinked, RegisterAgent
from master.core.draft import ToBeContinued
from master.core.effects import AnswerAgent
from master.core.frameworks import SubscribeFramework
from master.core.invariants import check
from master.core.leadership import Tick
from master.core.machine import Machine
from master.core.offers import AcceptOffers
from master.core.reasons import Reason
from master.core.settings import SECOND_NS, Settings
from protocol.decision import Decision, Refused
from protocol.ids import AgentId, FrameworkId
from protocol.messages.agent import RegisterAgent as Registration
from protocol.messages.values import Attribute
from protocol.resources import Resources
from tests.unit.master.leader import Leader, acceptance, description, registration, subscription

A1, F1 = AgentId("a1"), FrameworkId("fw-1")
GOOD = registration()


@pytest.mark.parametrize(
    ("register", "reason"),
    [
        (replace(GOOD, agent_id=""), Reason.BAD_ID),
        (replace(GOOD, agent_id="a/b"), Reason.BAD_ID),
        (replace(GOOD, hostname="x" * 300), Reason.BAD_NAME),
        (replace(GOOD, address="a\0b"), Reason.BAD_NAME),
        (replace(GOOD, resources=Resources({"cpus": 0})), Reason.BAD_RESOURCES),
        (replace(GOOD, resources=Resources({"cpus": 2**60})), Reason.BAD_RESOURCES),
        (replace(GOOD, resources=Resources({"": 5})), Reason.BAD_RESOURCES),
        (replace(GOOD, attributes=(Attribute("", ""),)), Reason.BAD_NAME),
    ],
)
def test_bad_registration_is_refused(register: Registration, reason: Reason) -> None:
    outcome = Leader().submit(RegisterAgent(register, "p", 1))
    assert isinstance(outcome, Refused)
    assert outcome.reason is reason, outcome.text


def test_agents_are_bounded() -> None:
    leader = Leader.with_settings(Settings(agents_max=1))
    leader.submit(RegisterAgent(GOOD, "p", 1))
    outcome = leader.submit(RegisterAgent(registration("a2"), "p", 2))
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.TOO_MANY


def test_unchanged_agent_comes_back_without_an_event() -> None:
    leader = Leader()
    leader.submit(RegisterAgent(GOOD, "p", 1))
    leader.submit(AgentUnlinked(AgentId("a1"), 1))
    outcome = leader.submit(RegisterAgent(GOOD, "p", 2))
    assert isinstance(outcome, Decision)
    assert outcome.events == ()
    assert [type(effect).__name__ for effect in outcome.effects] == ["AnswerAgent"]


def test_agent_without_memory_is_admitted_but_not_offered() -> None:
    leader = Leader()
    leader.submit(RegisterAgent(registration(resources="cpus:4"), "p", 1))
    leader.advance(SECOND_NS)
    assert "a1" in leader.state.agents
    assert leader.state.soft.offers == {}


def test_many_silent_agents_are_dealt_with_by_portions() -> None:
    leader = Leader.with_settings(
        Settings(tick_alarms_max=3, tick_events_max=3, absent_milli_max=1000)
    )
    for number in range(10):
        leader.submit(RegisterAgent(registration(f"a{number}"), "p", number))
        leader.submit(AgentUnlinked(AgentId(f"a{number}"), number))
    outcomes = leader.advance(11 * SECOND_NS)
    events = [len(each.events) for each in outcomes if isinstance(each, Decision)]
    assert max(events) <= 3
    assert all(agent.is_unreachable for agent in leader.state.agents.values())
    assert leader.state.capacity == {}


CROWD = 1000  # tasks; news of all of them would take several entries of the log


def crowded() -> Leader:
    """Return a leader with one agent, a1 on link 2, that was ordered to run a crowd."""
    leader = Leader(Machine(Settings(agent_removal_ns=30 * SECOND_NS)), is_checking=False)
    leader.submit(SubscribeFramework(subscription(), "p", 1))
    leader.submit(RegisterAgent(registration("a1", "cpus:100;mem:100GiB"), "p", 2))
    tasks = [description(f"{number:0100d}", "cpus:0.01;mem:1MiB") for number in range(CROWD)]
    for first in range(0, CROWD, 500):
        leader.advance(6 * SECOND_NS)
        [offer] = leader.state.soft.offers
        leader.submit(AcceptOffers(F1, acceptance(offer, *tasks[first : first + 500])))
    return leader


def test_crowd_on_a_silent_agent_is_told_of_by_portions() -> None:
    leader = crowded()
    leader.submit(AgentUnlinked(A1, 2))
    entries = len(leader.log)
    leader.advance(11 * SECOND_NS)
    assert len(leader.log) == entries + 2
    check(leader.state)
    assert max(map(len, leader.log[entries:])) < 400_000
    assert leader.state.agents[A1].is_unreachable
    assert leader.state.task_counts == {"UNREACHABLE": CROWD}


def test_crowd_on_an_agent_that_returns_is_brought_back_by_portions() -> None:
    leader = crowded()
    leader.submit(AgentUnlinked(A1, 2))
    leader.advance(11 * SECOND_NS)
    entries = len(leader.log)
    back = RegisterAgent(registration("a1", "cpus:100;mem:100GiB"), "p", 3)
    first, second = leader.submit(back), leader.submit(back)
    assert isinstance(first, Decision) and isinstance(second, Decision)
    assert first.reply == ToBeContinued() and second.reply is None
    assert not any(isinstance(effect, AnswerAgent) for effect in first.effects)
    assert any(isinstance(effect, AnswerAgent) for effect in second.effects)
    assert max(map(len, leader.log[entries:])) < 400_000
    assert not leader.state.agents[A1].is_unreachable
    assert leader.state.task_counts == {"STAGING": CROWD}
    check(leader.state)


def test_crowd_on_an_agent_that_stays_away_is_given_up_by_portions() -> None:
    leader = crowded()
    leader.submit(AgentUnlinked(A1, 2))
    entries = len(leader.log)
    leader.advance(50 * SECOND_NS)
    assert max(map(len, leader.log[entries:])) < 400_000
    check(leader.state)
    assert A1 not in leader.state.agents
    assert leader.state.ended_counts == {"GONE": CROWD}


def test_new_leader_goes_on_telling_of_a_silent_agents_crowd() -> None:
    leader = crowded()
    leader.submit(AgentUnlinked(A1, 2))
    leader.now_ns += 10 * SECOND_NS
    while "UNREACHABLE" not in leader.state.task_counts:
        leader.submit(Tick())
    assert leader.state.task_counts["UNREACHABLE"] < CROWD
    check(leader.state)
    leader.crash()
    leader.advance(11 * SECOND_NS)
    assert leader.state.task_counts == {"UNREACHABLE": CROWD}
