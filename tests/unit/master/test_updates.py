"""Updates: bounds of what is kept for frameworks, and what a history holds."""

from dataclasses import replace

import pytest

from master.core.agents import RegisterAgent
from master.core.effects import SendAcknowledge
from master.core.frameworks import SubscribeFramework, TeardownFramework
from master.core.offers import AcceptOffers
from master.core.settings import SECOND_NS
from master.core.updates import (
    HISTORY_BYTES_MAX,
    HISTORY_MAX,
    PENDING_MAX,
    REMOVED_HISTORY_MAX,
    REMOVED_MAX,
    AcknowledgeUpdates,
    UpdateStatuses,
)
from master.core.validity import weigh_description
from protocol.decision import Decision
from protocol.ids import AgentId, FrameworkId, TaskId, task_key
from protocol.messages.framework import Acknowledgement
from protocol.messages.values import TaskState, Variable
from tests.unit.master.leader import (
    Leader,
    acceptance,
    description,
    offers_of,
    registration,
    status,
    subscription,
)

F1, A1 = FrameworkId("fw-1"), AgentId("a1")
KEY = task_key(F1, "t1")


@pytest.fixture
def leader() -> Leader:
    """Return a leader with one agent, one framework and one launched task t1."""
    leader = Leader()
    leader.submit(RegisterAgent(registration(), "p", 1))
    leader.submit(SubscribeFramework(subscription(), "p", 2))
    leader.advance(SECOND_NS)
    leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], description())))
    return leader


def run_tasks(leader: Leader, count: int) -> None:
    """Have one task after the other run to its end and be acknowledged."""
    leader.is_checking = False  # checking a full state after each step would take minutes
    for _ in range(count):
        leader.advance(10 * SECOND_NS)
        launch = leader.state.launches_next
        task = description(f"x{launch}")
        leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], task)))
        ended = status(f"x{launch}", TaskState.FINISHED, 1, launch)
        leader.submit(UpdateStatuses(A1, (ended,)))
        leader.submit(AcknowledgeUpdates(F1, (Acknowledgement(f"x{launch}", launch, 1),)))
    leader.is_checking = True


def test_several_statuses_of_one_task_in_one_message_are_numbered_in_order(leader: Leader) -> None:
    statuses = (
        status(state=TaskState.STARTING, sequence=1),
        status(state=TaskState.RUNNING, sequence=2),
        status(state=TaskState.RUNNING, sequence=2),
        status(state=TaskState.FINISHED, sequence=3),
    )
    outcome = leader.submit(UpdateStatuses(A1, statuses))
    assert isinstance(outcome, Decision)
    assert len(outcome.events) == 3
    assert [each.sequence for each in leader.state.tasks[KEY].pending] == [1, 2, 3]


def test_pending_updates_are_bounded_and_keep_the_last_word(leader: Leader) -> None:
    for sequence in range(1, 3 * PENDING_MAX):
        leader.submit(UpdateStatuses(A1, (status(sequence=sequence),)))
    ended = status(state=TaskState.FAILED, sequence=3 * PENDING_MAX)
    leader.submit(UpdateStatuses(A1, (ended,)))
    pending = leader.state.tasks[KEY].pending
    assert len(pending) == PENDING_MAX
    assert pending[0].sequence == 1
    assert pending[-1].state is TaskState.FAILED


def test_message_of_a_status_is_cut(leader: Leader) -> None:
    long = replace(status(), message="x" * 9999)
    leader.submit(UpdateStatuses(A1, (long,)))
    assert len(leader.state.tasks[KEY].status.message) == 1024


def test_ended_task_frees_its_resources_once(leader: Leader) -> None:
    for sequence in (1, 1, 2):
        leader.submit(UpdateStatuses(A1, (status(state=TaskState.FAILED, sequence=sequence),)))
    assert not leader.state.agents[A1].allocated
    assert leader.state.allocated == {}
    assert leader.state.ended_counts == {"FAILED": 1}


def test_history_is_bounded(leader: Leader) -> None:
    run_tasks(leader, HISTORY_MAX + 5)
    history = leader.state.frameworks[F1].history
    assert len(history) == HISTORY_MAX
    assert next(iter(history)) == "x7"  # x2 was the first


def test_history_keeps_little_of_a_big_description() -> None:
    leader = Leader()
    leader.submit(RegisterAgent(registration(), "p", 1))
    leader.submit(SubscribeFramework(subscription(), "p", 2))
    leader.advance(SECOND_NS)
    big = replace(
        description(),
        command=("run", "é" * 50_000, "on"),
        environment=(Variable("NAME", "x" * 50_000),),
        user="nobody",
    )
    leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], big)))
    leader.submit(UpdateStatuses(A1, (status(state=TaskState.FINISHED),)))
    leader.submit(AcknowledgeUpdates(F1, (Acknowledgement("t1", 1, 1),)))
    kept = leader.state.frameworks[F1].history[TaskId("t1")].description
    assert weigh_description(kept) <= HISTORY_BYTES_MAX
    assert kept.command[0] == "run" and kept.command[1].startswith("éé")
    assert (kept.resources, kept.user) == (big.resources, "nobody")
    leader.crash()


def test_removed_framework_keeps_a_short_history(leader: Leader) -> None:
    run_tasks(leader, REMOVED_HISTORY_MAX + 5)
    leader.submit(TeardownFramework(F1))
    assert len(leader.state.frameworks[F1].history) == REMOVED_HISTORY_MAX


def test_removed_frameworks_are_forgotten_in_the_end() -> None:
    leader = Leader()
    for number in range(1, REMOVED_MAX + 4):
        call = subscription(token=f"token{number}")
        leader.submit(SubscribeFramework(call, "p", number))
        leader.submit(TeardownFramework(FrameworkId(f"fw-{number}")))
    assert len(leader.state.frameworks) == REMOVED_MAX
    assert "fw-3" not in leader.state.frameworks
    assert "token3" not in leader.state.tokens


def test_agents_statuses_after_the_end_of_the_framework_need_nobody(leader: Leader) -> None:
    leader.submit(TeardownFramework(F1))
    outcome = leader.submit(UpdateStatuses(A1, (status(state=TaskState.KILLED),)))
    assert isinstance(outcome, Decision)
    assert leader.state.tasks == {}
    assert [type(effect).__name__ for effect in outcome.effects] == ["SendAcknowledge"]


def test_what_is_too_much_for_one_entry_is_not_acknowledged(leader: Leader) -> None:
    long = replace(status(), message="x" * 1000)
    statuses = tuple(replace(long, sequence=sequence) for sequence in range(1, 500))
    heard: list[int] = []
    while len(heard) < 499:
        outcome = leader.submit(UpdateStatuses(A1, statuses[len(heard) :]))
        assert isinstance(outcome, Decision)
        (acknowledge,) = (each for each in outcome.effects if isinstance(each, SendAcknowledge))
        heard += [each.sequence for each in acknowledge.acknowledgements]
        assert len(leader.log[-1]) < 512 << 10
    assert heard == list(range(1, 500))
