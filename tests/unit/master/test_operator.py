"""Operators: pages of views, changes, and who is told what went wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from master.core.absence import LiftGuard
from master.core.duty import ActivateAgent, DeactivateAgent, DeclareGone, DrainAgent
from master.core.frameworks import TeardownFramework
from master.core.policies import SetPolicy
from master.core.quotas import SetQuota
from master.core.reasons import Reason
from master.core.roles import SetWeight
from master.core.tasks import KillByOperator
from master.operator import Answers, OperatorReceiver, page_of
from master.probes import SilentMasterProbe
from protocol.codecs.operator import encode_operator_message
from protocol.decision import Refused
from protocol.errors import Fault, Malformed, NotLeader, TimedOut
from protocol.ids import AgentId, FrameworkId, TaskId
from protocol.messages.operator import ActivateAgent as ActivateCall
from protocol.messages.operator import (
    AddMaster,
    Agents,
    AgentView,
    CompactLog,
    Done,
    Explain,
    Explanation,
    Failed,
    Finding,
    GuardView,
    KillTaskByOperator,
    ListAgents,
    ListMasters,
    LogCompacted,
    Masters,
    MasterView,
    OperatorMessage,
    PromoteMaster,
    ReadEntries,
    ReadSnapshot,
    RemoveFramework,
    RemoveMaster,
    ShowGuard,
    TransferLeadership,
)
from protocol.messages.operator import DeactivateAgent as DeactivateCall
from protocol.messages.operator import DeclareGone as DeclareGoneCall
from protocol.messages.operator import DrainAgent as DrainCall
from protocol.messages.operator import LiftGuard as LiftGuardCall
from protocol.messages.operator import SetPolicy as SetPolicyCall
from protocol.messages.operator import SetQuota as SetQuotaCall
from protocol.messages.operator import SetWeight as SetWeightCall
from protocol.messages.values import Quantity
from rlog.clearing import Cleared
from rlog.following import Caller, Say
from rlog.operators import LogDesk
from rlog.raft_changes import ChangeRefused
from tests.unit.master.links import RecordedLink

MASTERS = (MasterView("m1:7000", "leader", is_reachable=True),)


@dataclass
class Desk:
    """An operator's receiver whose loop is the test."""

    views: Sequence[Any] | Fault = ()
    outcome: Any = None
    submitted: list[Any] = field(default_factory=list)
    link: RecordedLink = field(default_factory=lambda: RecordedLink("me@host", "operator"))

    def __post_init__(self) -> None:
        self.receiver = OperatorReceiver(
            self.submit,
            self.query,
            LogDesk(lambda: MASTERS, self.change_members, self),
            Answers(
                lambda state, asked: (),
                lambda state, command: self.outcome,
                lambda state: GuardView(waiting=3),
            ),
            SilentMasterProbe(),
        )

    def submit(
        self, command: Any, done: Callable[[Any], None] | None = None, size_bytes: int = 512
    ) -> None:
        self.submitted.append(command)
        assert done is not None
        done(self.outcome)

    def change_members(self, verb: str, name: str, done: Callable[[Any], None]) -> None:
        self.submitted.append((verb, name))
        done(self.outcome)

    def query(self, view: Any, done: Callable[[Sequence[Any] | Fault], None]) -> None:
        done(self.views)

    def answer(self, request: ReadSnapshot | ReadEntries, caller: Caller, say: Say) -> None:
        say(Failed(request.call, "COMPACTED", "not held"))

    def forget(self, caller: Caller) -> None:
        self.submitted.append(caller)

    def compact(self, done: Callable[[Any], None]) -> None:
        done(self.outcome)

    def ask(self, request: OperatorMessage) -> OperatorMessage:
        self.receiver.received(self.link, encode_operator_message(request), 0)
        return self.link.to_operator[-1]


def agents(count: int, size: int = 0) -> list[AgentView]:
    return [AgentView(f"a{number:05}", hostname="h" * size) for number in range(count)]


def test_masters_are_told_by_any_master() -> None:
    assert Desk().ask(ListMasters(4)) == Masters(4, MASTERS)


def test_list_is_answered_under_its_number() -> None:
    assert Desk(agents(2)).ask(ListAgents(5)) == Agents(5, tuple(agents(2)))


def test_guard_is_shown_under_the_number_of_its_question() -> None:
    desk = Desk((GuardView(waiting=3),))
    assert desk.ask(ShowGuard(6)) == GuardView(6, waiting=3)


def test_list_is_answered_by_the_leader_only() -> None:
    answer = Desk(NotLeader("m2:7000")).ask(ListAgents(5))
    assert answer == Failed(5, "NOT_LEADER", "m2:7000", "m2:7000")


def test_compaction_is_answered_with_what_has_come_of_it() -> None:
    cleared = Cleared(index=9, size_bytes=100, dropped=8, kept=1, used_bytes=4096)
    assert Desk(outcome=cleared).ask(CompactLog(5)) == LogCompacted(5, 9, 100, 8, 1, 4096)
    answer = Desk(outcome=TimedOut("no snapshot")).ask(CompactLog(5))
    assert isinstance(answer, Failed)
    assert (answer.call, "no snapshot" in answer.text) == (5, True)


def test_page_says_that_there_is_more() -> None:
    assert page_of(ListAgents(1), agents(3), 2) == Agents(1, tuple(agents(2)), is_more=True)
    assert page_of(ListAgents(1), agents(2), 2) == Agents(1, tuple(agents(2)))


def test_page_shrinks_until_it_fits_in_a_frame() -> None:
    desk = Desk(agents(40, size=500), link=RecordedLink(payload_bytes_max=8000))
    answer = desk.ask(ListAgents(1))
    assert isinstance(answer, Agents)
    assert 0 < len(answer.agents) < 40
    assert answer.is_more


def test_question_why_is_answered_with_findings() -> None:
    findings = [Finding("web", "TURN")]
    assert Desk(findings).ask(Explain(1, role="web")) == Explanation(1, tuple(findings))
    answer = Desk(NotLeader("m2:7000")).ask(Explain(1, role="web"))
    assert answer == Failed(1, "NOT_LEADER", "m2:7000", "m2:7000")


@pytest.mark.parametrize(
    ("request_", "command"),
    [
        (
            KillTaskByOperator(1, "fw-1", "t1", 5),
            KillByOperator(FrameworkId("fw-1"), TaskId("t1"), 5),
        ),
        (RemoveFramework(1, "fw-1"), TeardownFramework(FrameworkId("fw-1"), by="operator")),
        (SetWeightCall(1, "web", 2000), SetWeight("web", 2000)),
        (
            SetQuotaCall(1, "web", (Quantity("cpus", 5),), (Quantity("cpus", 9),), True),
            SetQuota("web", {"cpus": 5}, {"cpus": 9}, True),
        ),
        (SetPolicyCall(1, "web", (Quantity("cpus", 5),)), SetPolicy("web", {"cpus": 5})),
        (DeactivateCall(1, "a1"), DeactivateAgent(AgentId("a1"), "operator")),
        (ActivateCall(1, "a1"), ActivateAgent(AgentId("a1"), "operator")),
        (DrainCall(1, "a1", 2, 3, True), DrainAgent(AgentId("a1"), "operator", 2, 3, True)),
        (DeclareGoneCall(1, "a1"), DeclareGone(AgentId("a1"), "operator")),
        (LiftGuardCall(1, 7), LiftGuard("operator", 7)),
    ],
)
def test_change_becomes_a_command(request_: OperatorMessage, command: object) -> None:
    desk = Desk()
    assert desk.ask(request_) == Done(1)
    assert desk.submitted == [command]


@pytest.mark.parametrize(
    ("request_", "verb"),
    [
        (AddMaster(1, "m4:7000"), "add"),
        (PromoteMaster(1, "m4:7000"), "promote"),
        (RemoveMaster(1, "m4:7000"), "remove"),
        (TransferLeadership(1, "m4:7000"), "transfer"),
    ],
)
def test_change_of_the_masters_is_asked_of_the_log(request_: OperatorMessage, verb: str) -> None:
    desk = Desk()
    assert desk.ask(request_) == Done(1)
    assert desk.submitted == [(verb, "m4:7000")]


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        (ChangeRefused("m4 is behind", "LAGGING"), Failed(1, "LAGGING", "m4 is behind")),
        (TimedOut("not yet"), Failed(1, "TIMED_OUT", "not yet")),
        (NotLeader("m2:7000"), Failed(1, "NOT_LEADER", "m2:7000", "m2:7000")),
    ],
)
def test_change_of_the_masters_that_fails_says_why(outcome: object, answer: Failed) -> None:
    assert Desk(outcome=outcome).ask(PromoteMaster(1, "m4:7000")) == answer


def test_master_without_an_address_is_not_added() -> None:
    desk = Desk()
    answer = desk.ask(AddMaster(1, "m4"))
    assert answer == Failed(1, "REFUSED", "'m4' is not an address; expected host:port")
    assert desk.submitted == []


def test_change_that_is_refused_says_why() -> None:
    desk = Desk(outcome=Refused(Reason.UNKNOWN_TASK, "task fw-1/t1 is not known"))
    answer = desk.ask(KillTaskByOperator(1, "fw-1", "t1"))
    assert answer == Failed(1, "UNKNOWN_TASK", "task fw-1/t1 is not known")


def test_operator_that_speaks_as_a_master_is_dropped() -> None:
    with pytest.raises(Malformed, match="Done to a master"):
        Desk().ask(Done(1))
