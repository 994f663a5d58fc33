"""Frameworks: bounds of what they may say and how many there may be."""

from dataclasses import replace

import pytest

from master.core import tasks
from master.core.agents import RegisterAgent
from master.core.draft import Outcome
from master.core.effects import SendUpdates
from master.core.frameworks import FrameworkUnlinked, SubscribeFramework, TeardownFramework
from master.core.offers import AcceptOffers
from master.core.reasons import Reason
from master.core.settings import SECOND_NS, Settings
from master.core.tasks import PORTION_NS, ReconcileTasks
from protocol.decision import Decision, Refused
from protocol.ids import FrameworkId
from protocol.messages.framework import Subscribe, Subscribed
from protocol.messages.values import Label
from tests.unit.master.leader import (
    Leader,
    acceptance,
    description,
    offers_of,
    registration,
    subscription,
)

GOOD = subscription()


@pytest.mark.parametrize(
    ("subscribe", "reason"),
    [
        (replace(GOOD, roles=()), Reason.BAD_ROLE),
        (replace(GOOD, roles=("a b",)), Reason.BAD_ROLE),
        (replace(GOOD, roles=tuple(f"r{n}" for n in range(33))), Reason.TOO_MANY),
        (replace(GOOD, name="x" * 257), Reason.BAD_NAME),
        (replace(GOOD, hostname="a\nb"), Reason.BAD_NAME),
        (replace(GOOD, token="x" * 257), Reason.BAD_NAME),
        (replace(GOOD, failover_timeout_ns=-1), Reason.BAD_DURATION),
        (replace(GOOD, failover_timeout_ns=2**62), Reason.BAD_DURATION),
        (replace(GOOD, labels=(Label("", "x"),)), Reason.BAD_NAME),
        (replace(GOOD, labels=(Label("a", "x" * 5000),)), Reason.BAD_NAME),
        (replace(GOOD, labels=(Label("a", "b"),) * 65), Reason.TOO_MANY),
        (replace(GOOD, framework_id="fw-9"), Reason.UNKNOWN_FRAMEWORK),
    ],
)
def test_bad_subscription_is_refused(subscribe: Subscribe, reason: Reason) -> None:
    outcome = Leader().submit(SubscribeFramework(subscribe, "p", 1))
    assert isinstance(outcome, Refused)
    assert outcome.reason is reason
    assert outcome.text


def test_frameworks_are_bounded() -> None:
    leader = Leader.with_settings(Settings(frameworks_max=2))
    outcomes = [leader.submit(SubscribeFramework(GOOD, "p", link)) for link in range(3)]
    assert isinstance(outcomes[2], Refused)
    assert outcomes[2].reason is Reason.TOO_MANY


def test_reply_repeats_the_number_of_the_call() -> None:
    outcome = Leader().submit(SubscribeFramework(replace(GOOD, call=7), "p", 1))
    assert isinstance(outcome, Decision)
    assert isinstance(outcome.reply, Subscribed)
    assert (outcome.reply.call, outcome.reply.framework_id) == (7, "fw-1")


def test_frameworks_without_token_are_different() -> None:
    leader = Leader()
    for link in (1, 2):
        leader.submit(SubscribeFramework(GOOD, "p", link))
    assert list(leader.state.frameworks) == ["fw-1", "fw-2"]


def test_role_named_twice_counts_once() -> None:
    leader = Leader()
    leader.submit(SubscribeFramework(subscription("web", "web"), "p", 1))
    assert leader.state.frameworks[FrameworkId("fw-1")].roles == ("web",)


def test_removed_token_does_not_come_back() -> None:
    leader = Leader()
    call = subscription(token="once")
    leader.submit(SubscribeFramework(call, "p", 1))
    leader.submit(TeardownFramework(FrameworkId("fw-1")))
    outcome = leader.submit(SubscribeFramework(call, "p", 2))
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.FRAMEWORK_REMOVED


def test_framework_without_failover_timeout_ends_with_its_link() -> None:
    leader = Leader()
    leader.advance(100 * SECOND_NS)
    leader.submit(SubscribeFramework(subscription(failover_timeout_ns=0), "p", 1))
    leader.submit(FrameworkUnlinked(FrameworkId("fw-1"), 1))
    leader.advance(0)
    assert leader.state.frameworks[FrameworkId("fw-1")].is_removed


def test_end_of_an_unknown_link_means_nothing() -> None:
    leader = Leader()
    assert leader.submit(FrameworkUnlinked(FrameworkId("fw-9"), 1)) == Decision()


def leader_with_tasks(count: int) -> Leader:
    leader = Leader()
    leader.submit(RegisterAgent(registration(resources="cpus:100;mem:100GiB"), "p", 1))
    leader.submit(SubscribeFramework(GOOD, "p", 2))
    leader.advance(SECOND_NS)
    launches = [description(f"t{number}") for number in range(count)]
    leader.submit(AcceptOffers(FrameworkId("fw-1"), acceptance(offers_of(leader)[0], *launches)))
    return leader


def answered(outcomes: list[Outcome]) -> list[list[str]]:
    """The tasks of each message with statuses."""
    return [
        [status.task_id for status in effect.statuses]
        for outcome in outcomes
        if isinstance(outcome, Decision)
        for effect in outcome.effects
        if isinstance(effect, SendUpdates)
    ]


def test_many_tasks_are_told_to_a_subscriber_by_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "PORTION_BYTES_MAX", 500)
    leader = leader_with_tasks(7)
    outcome = leader.submit(SubscribeFramework(replace(GOOD, framework_id="fw-1"), "p", 3))
    assert isinstance(outcome, Decision)
    assert isinstance(outcome.reply, Subscribed)
    told = [status.task_id for status in outcome.reply.tasks]
    assert 0 < len(told) < 5
    portions = []
    while portion := answered(leader.advance(PORTION_NS)):
        assert len(portion) == 1
        portions += portion
    assert len(portions) > 1
    assert [*told, *(task for portion in portions for task in portion)] == [
        f"t{number}" for number in range(7)
    ]


def test_answers_end_with_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "PORTION_BYTES_MAX", 1)
    leader = leader_with_tasks(3)
    assert answered([leader.submit(ReconcileTasks(FrameworkId("fw-1"), ()))]) == [["t0"]]
    leader.submit(FrameworkUnlinked(FrameworkId("fw-1"), 2))
    assert answered(leader.advance(SECOND_NS)) == []


def test_question_after_all_is_answered_whatever_is_asked_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "PORTION_BYTES_MAX", 1)
    leader = leader_with_tasks(3)
    told: list[list[str]] = []
    for _ in range(3):
        told += answered([leader.submit(ReconcileTasks(FrameworkId("fw-1"), ()))])
        told += answered(leader.advance(PORTION_NS))
    assert {task for portion in told for task in portion} == {"t0", "t1", "t2"}
