"""Maintenance: bounds, answers and snapshots that scripts cannot show."""

import pytest

from master.core.agents import RegisterAgent
from master.core.asked import Inverse
from master.core.frameworks import FrameworkUnlinked, SubscribeFramework
from master.core.inverse import AnswerInverseOffers
from master.core.leadership import reconcile
from master.core.maintenance import AGENTS_MAX, WINDOWS_MAX, EndWindow, ScheduleWindow
from master.core.offers import AcceptOffers
from master.core.reasons import Reason
from master.core.records import Window
from master.core.settings import SECOND_NS, Settings
from master.core.snapshot import digest, dump, load
from protocol.decision import Refused
from protocol.ids import AgentId, FrameworkId
from protocol.messages.framework import AnswerInverse
from tests.unit.master.leader import (
    Leader,
    acceptance,
    description,
    offers_of,
    registration,
    subscription,
)

F1, A1 = FrameworkId("fw-1"), AgentId("a1")


def window(leader: Leader, name: str = "w", *agents: str) -> ScheduleWindow:
    return ScheduleWindow(name, agents or ("a1",), leader.now_ns + 3600 * SECOND_NS, 0, 0, "op")


def asked_leader() -> Leader:
    """Return a leader whose framework was asked to leave a1."""
    leader = Leader()
    leader.submit(RegisterAgent(registration(), "p", 1))
    leader.submit(SubscribeFramework(subscription(takes_inverse=True), "p", 2))
    leader.advance(SECOND_NS)
    leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], description())))
    leader.submit(window(leader))
    leader.advance(SECOND_NS)
    return leader


def only(leader: Leader) -> Inverse:
    [inverse] = leader.state.soft.asked.inverse.values()
    return inverse


def reason_of(outcome: object) -> Reason:
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.reason, Reason)
    return outcome.reason


def test_windows_are_bounded() -> None:
    leader = Leader()
    leader.submit(RegisterAgent(registration(), "p", 1))
    crowd = tuple(f"a{number}" for number in range(AGENTS_MAX + 1))
    assert reason_of(leader.submit(window(leader, "w", *crowd))) is Reason.TOO_MANY
    leader.is_checking = False
    full = {str(n): Window(str(n), (), 0, 0, 0, "op") for n in range(WINDOWS_MAX)}
    leader.state.windows |= full
    assert reason_of(leader.submit(window(leader))) is Reason.TOO_MANY


def test_window_is_in_the_snapshot() -> None:
    leader = asked_leader()
    loaded = load(dump(leader.state))
    assert loaded.windows == leader.state.windows != {}
    assert loaded.window_of == {A1: "w"}
    assert digest(loaded) == digest(leader.state)


def test_question_without_answer_is_outstanding() -> None:
    leader = asked_leader()
    said = [type(effect).__name__ for effect in reconcile(leader.state, Settings())]
    assert "SendInverseOffers" in said
    leader.submit(AnswerInverseOffers(F1, AnswerInverse(1, (only(leader).id,), is_accepted=True)))
    said = [type(effect).__name__ for effect in reconcile(leader.state, Settings())]
    assert "SendInverseOffers" not in said


def test_answer_may_be_changed() -> None:
    leader = asked_leader()
    offer = only(leader).id
    leader.submit(AnswerInverseOffers(F1, AnswerInverse(1, (offer,), is_accepted=False)))
    assert (only(leader).is_accepted, only(leader).is_declined) == (False, True)
    leader.submit(AnswerInverseOffers(F1, AnswerInverse(2, (offer, "i9"), is_accepted=True)))
    assert (only(leader).is_accepted, only(leader).is_declined) == (True, False)


def test_question_ends_with_the_link_of_who_was_asked() -> None:
    leader = asked_leader()
    leader.submit(FrameworkUnlinked(F1, 2))
    assert leader.state.soft.asked.inverse == {}
    again = subscription(framework_id=F1)  # an older scheduler, that cannot be asked
    leader.submit(SubscribeFramework(again, "p", 3))
    leader.advance(3000 * SECOND_NS)
    assert leader.state.soft.asked.inverse == {}


@pytest.mark.parametrize(
    ("framework", "answer", "reason"),
    [
        (F1, AnswerInverse(1, ("i9",)), Reason.UNKNOWN_OFFER),
        (F1, AnswerInverse(1, ("i9",), refuse_ns=-1), Reason.BAD_DURATION),
        (F1, AnswerInverse(1, ("i9",) * 1001), Reason.TOO_MANY),
        (FrameworkId("fw-9"), AnswerInverse(1, ("i9",)), Reason.UNKNOWN_FRAMEWORK),
    ],
)
def test_bad_answer_is_refused(
    framework: FrameworkId, answer: AnswerInverse, reason: Reason
) -> None:
    outcome = asked_leader().submit(AnswerInverseOffers(framework, answer))
    assert reason_of(outcome) is reason


def test_window_that_passed_while_nobody_led_is_over() -> None:
    leader = Leader()
    leader.submit(RegisterAgent(registration(), "p", 1))
    begin_ns = leader.now_ns + SECOND_NS
    leader.submit(ScheduleWindow("w", ("a1",), begin_ns, begin_ns + SECOND_NS, 0, "op"))
    leader.now_ns += 3600 * SECOND_NS
    leader.crash()
    leader.submit(RegisterAgent(registration(), "p", 2))
    leader.advance(SECOND_NS)
    assert leader.state.windows == {}
    assert leader.state.agents[A1].is_active


def test_window_with_an_agent_that_was_forgotten_meanwhile_goes_on() -> None:
    leader = Leader()
    leader.submit(RegisterAgent(registration(), "p", 1))
    leader.submit(RegisterAgent(registration("a2"), "p", 2))
    leader.submit(window(leader, "w", "a1", "a2"))
    del leader.state.agents[A1]
    leader.state.soft.agent_links.pop(A1)
    leader.state.soft.touched.pop(A1)
    leader.is_checking = False
    leader.advance(3601 * SECOND_NS)
    assert leader.state.agents[AgentId("a2")].drain is not None
    leader.submit(EndWindow("w", "op"))
    assert leader.state.agents[AgentId("a2")].is_active
