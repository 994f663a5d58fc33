"""Duty: what scripts cannot show of agents that operators take away."""

import pytest

from master.core.agents import GONE_MAX, AgentUnlinked, RegisterAgent
from master.core.duty import DEADLINE_MAX_NS, DeclareGone, DrainAgent
from master.core.effects import RefuseAgent, SendKill
from master.core.invariants import check
from master.core.reasons import Reason
from master.core.records import Declaration
from master.core.settings import SECOND_NS
from master.core.snapshot import digest, dump, load
from master.core.view import view_agents, view_tasks
from protocol.decision import Decision, Refused
from protocol.ids import AgentId
from tests.unit.master.leader import Leader, registration
from tests.unit.master.test_agents import A1, CROWD, crowded


def reason_of(outcome: object) -> Reason:
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.reason, Reason)
    return outcome.reason


def test_crowd_on_an_agent_that_is_given_up_is_told_of_by_portions() -> None:
    leader = crowded()
    leader.submit(AgentUnlinked(A1, 2))
    entries = len(leader.log)
    leader.submit(DeclareGone(A1, "op"))
    check(leader.state)
    assert 0 < leader.state.ended_counts["GONE"] < CROWD
    leader.crash()  # whoever leads next goes on
    leader.advance(SECOND_NS)
    check(leader.state)
    assert max(map(len, leader.log[entries:])) < 400_000
    assert leader.state.ended_counts == {"GONE": CROWD}
    assert A1 not in leader.state.agents
    assert reason_of(leader.submit(RegisterAgent(registration(), "p", 9))) is Reason.AGENT_GONE


def test_agent_that_returns_while_it_is_given_up_is_refused() -> None:
    leader = crowded()
    leader.submit(AgentUnlinked(A1, 2))
    leader.submit(DeclareGone(A1, "op"))
    assert A1 in leader.state.agents
    assert reason_of(leader.submit(RegisterAgent(registration(), "p", 9))) is Reason.AGENT_GONE
    assert leader.submit(DeclareGone(A1, "op")) == Decision()


def test_crowd_on_a_draining_agent_is_killed_by_portions() -> None:
    leader = crowded()
    entries = len(leader.log)
    leader.submit(DrainAgent(A1, "op"))
    outcomes = leader.advance(SECOND_NS)
    kills = [
        len(effect.kills)
        for outcome in outcomes
        if isinstance(outcome, Decision)
        for effect in outcome.effects
        if isinstance(effect, SendKill)
    ]
    assert sum(kills) == CROWD
    assert max(map(len, leader.log[entries:])) < 400_000
    check(leader.state)


def test_drain_is_in_the_snapshot() -> None:
    leader = Leader()
    leader.submit(RegisterAgent(registration(), "p", 1))
    leader.submit(DrainAgent(A1, "op", SECOND_NS, SECOND_NS, marks_gone=True))
    loaded = load(dump(leader.state))
    assert loaded.agents[A1].drain == leader.state.agents[A1].drain is not None
    assert digest(loaded) == digest(leader.state)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (DrainAgent(A1, "op", grace_ns=-1), Reason.BAD_DURATION),
        (DrainAgent(A1, "op", deadline_ns=DEADLINE_MAX_NS + 1), Reason.BAD_DURATION),
        (DrainAgent(A1, "x" * 300), Reason.BAD_NAME),
        (DrainAgent(AgentId("a9"), "op"), Reason.UNKNOWN_AGENT),
    ],
)
def test_bad_drain_is_refused(command: DrainAgent, reason: Reason) -> None:
    leader = Leader()
    leader.submit(RegisterAgent(registration(), "p", 1))
    assert reason_of(leader.submit(command)) is reason


def test_empty_agent_that_is_to_be_gone_is_refused_on_its_link() -> None:
    leader = Leader()
    leader.submit(RegisterAgent(registration(), "p", 1))
    leader.submit(DrainAgent(A1, "op", marks_gone=True))
    outcome = leader.advance(SECOND_NS)[0]
    assert isinstance(outcome, Decision)
    [effect] = outcome.effects
    assert isinstance(effect, RefuseAgent)
    assert (effect.agent_id, effect.reason) == (A1, "AGENT_GONE")
    assert view_agents(leader.state) == ()


def test_ids_of_agents_that_are_gone_are_bounded() -> None:
    leader = Leader()
    declared = Declaration("op", 1)
    leader.state.gone |= {AgentId(f"g{number}"): declared for number in range(GONE_MAX)}
    leader.is_checking = False
    leader.submit(RegisterAgent(registration(), "p", 1))
    leader.submit(AgentUnlinked(A1, 1))
    leader.submit(DeclareGone(A1, "op"))
    assert len(leader.state.gone) == GONE_MAX
    assert A1 in leader.state.gone and AgentId("g0") not in leader.state.gone
    check(leader.state)


def test_tasks_are_listed_by_agent() -> None:
    leader = crowded()
    assert len(view_tasks(leader.state, is_all=False, agent_id="a1")) == CROWD
    assert view_tasks(leader.state, is_all=True, agent_id="a2") == ()
