"""Handlers: what comes over links as commands, what was decided as answers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from master.core.agents import AgentUnlinked, RegisterAgent
from master.core.draft import ToBeContinued
from master.core.frameworks import (
    FrameworkUnlinked,
    LeaveFramework,
    SubscribeFramework,
    TeardownFramework,
)
from master.core.offers import AcceptOffers
from master.core.reasons import Reason
from master.core.state import State
from master.core.updates import AcknowledgeUpdates, UpdateStatuses
from master.handlers import AgentReceiver, FrameworkReceiver
from master.perform import Performer
from master.probes import SilentMasterProbe
from master.sessions import Link, Sessions
from protocol.codecs.agent import encode_agent_message
from protocol.codecs.framework import encode_framework_message
from protocol.decision import Refused
from protocol.errors import Malformed, NotLeader, Overloaded
from protocol.ids import AgentId, FrameworkId
from protocol.messages.agent import (
    AgentMessage,
    AgentRefused,
    AgentRegistered,
    StatusUpdates,
)
from protocol.messages.agent import RegisterAgent as Registration
from protocol.messages.framework import (
    Accept,
    Acknowledge,
    Acknowledgement,
    CallDone,
    FrameworkMessage,
    Kept,
    Leave,
    Offers,
    Reconcile,
    Subscribe,
    Subscribed,
    Teardown,
)
from protocol.messages.link import Leader
from protocol.messages.values import TaskStatus
from rlog.requests import SpaceReceiver
from tests.unit.master.links import RecordedLink

A1, F1 = AgentId("a1"), FrameworkId("fw-1")
REQUESTS_PER_S = 20


@dataclass
class Shell:
    """A master's shell whose loop is the test."""

    submitted: list[Any] = field(default_factory=list)
    outcomes: dict[type, Any] = field(default_factory=dict)  # what commands of a type come to
    waiting: list[Callable[[Any], None]] = field(default_factory=list)
    sessions: Sessions = field(default_factory=Sessions)
    state: State = field(default_factory=State)
    now_s: float = 0.0

    def __post_init__(self) -> None:
        probe = SilentMasterProbe()
        self.performer = Performer(self.sessions, probe)
        self.performer.begin(3)
        self.agents = AgentReceiver(self.submit, self.sessions, self.performer, probe)
        spaces = SpaceReceiver(
            self.submit, self.query, self.say_kept, REQUESTS_PER_S, lambda: self.now_s
        )
        self.frameworks = FrameworkReceiver(
            self.submit, self.sessions, self.performer, spaces, probe
        )

    def say_kept(self, link: Link, content: bytes) -> None:
        self.performer.say(link, Kept(content))

    def query(self, view: Callable[[State], Any], done: Callable[[Any], None]) -> None:
        done(view(self.state))

    def submit(
        self, command: Any, done: Callable[[Any], None] | None = None, size_bytes: int = 512
    ) -> None:
        self.submitted.append(command)
        if done is None:
            return
        if type(command) in self.outcomes:
            done(self.outcomes[type(command)])
        else:
            self.waiting.append(done)

    def agent(self, link: RecordedLink, message: AgentMessage) -> None:
        self.agents.received(link, encode_agent_message(message), 0)

    def call(self, link: RecordedLink, message: FrameworkMessage) -> None:
        self.frameworks.received(link, encode_framework_message(message), 0)

    def subscribed(self, name: str = "web") -> RecordedLink:
        link = RecordedLink(name)
        self.frameworks.connected(link)
        self.outcomes[SubscribeFramework] = Subscribed(1, F1)
        self.call(link, Subscribe(1, name=name))
        return link


def play(act: Callable[[Shell], None], shell: Shell | None = None) -> Shell:
    """Act on a shell inside an event loop and let what it said leave."""
    shell = shell or Shell()

    async def run() -> None:
        act(shell)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(run())
    return shell


def test_agent_registers_as_the_principal_and_number_of_its_link() -> None:
    link = RecordedLink("a1", "the-agents")

    def act(shell: Shell) -> None:
        shell.agents.connected(link)
        shell.agent(link, Registration("a1", "host"))

    command = play(act).submitted[0]
    assert command == RegisterAgent(Registration("a1", "host"), "the-agents", 1)


def test_agent_cannot_register_under_another_name_than_its_links() -> None:
    def act(shell: Shell) -> None:
        link = RecordedLink("a1")
        shell.agents.connected(link)
        with pytest.raises(Malformed, match="agent a1 registers as a2"):
            shell.agent(link, Registration("a2"))

    assert play(act).submitted == []


def test_agent_that_is_not_admitted_hears_why() -> None:
    link = RecordedLink("a1")

    def act(shell: Shell) -> None:
        shell.outcomes[RegisterAgent] = Refused(Reason.TOO_MANY, "50000 agents are the limit")
        shell.agents.connected(link)
        shell.agent(link, Registration("a1"))

    play(act)
    assert link.to_agent == [AgentRefused("TOO_MANY", "50000 agents are the limit")]


def test_agent_is_not_turned_away_by_a_master_that_does_not_lead() -> None:
    link = RecordedLink("a1")

    def act(shell: Shell) -> None:
        shell.outcomes[RegisterAgent] = NotLeader("m2:7000")
        shell.agents.connected(link)
        shell.agent(link, Registration("a1"))

    play(act)
    assert (link.sent, link.is_open) == ([], True)


def test_agent_comes_back_to_an_overloaded_master() -> None:
    link = RecordedLink("a1")

    def act(shell: Shell) -> None:
        shell.outcomes[RegisterAgent] = Overloaded("too many commands wait")
        shell.agents.connected(link)
        shell.agent(link, Registration("a1"))

    play(act)
    assert (link.sent, link.is_open) == ([], False)


def test_registration_that_takes_several_entries_is_decided_again_while_the_link_stands() -> None:
    async def act() -> list[Any]:
        link, shell = RecordedLink("a1"), Shell()
        shell.agents.connected(link)
        shell.agent(link, Registration("a1"))
        shell.waiting.pop()(ToBeContinued())
        link.is_open = False
        shell.waiting.pop()(ToBeContinued())
        return shell.submitted

    assert asyncio.run(act()) == 2 * [RegisterAgent(Registration("a1"), "p", 1)]


def test_agent_statuses_before_registration_are_not_heard() -> None:
    def act(shell: Shell) -> None:
        link = RecordedLink("a1")
        shell.agents.connected(link)
        shell.agent(link, StatusUpdates((TaskStatus(task_id="t1"),)))

    assert play(act).submitted == []


def test_agent_statuses_are_those_of_the_seats_owner() -> None:
    statuses = (TaskStatus(framework_id="fw-1", task_id="t1", launch=1, sequence=1),)

    def act(shell: Shell) -> None:
        link = RecordedLink("a1")
        shell.agents.connected(link)
        shell.sessions.agents.take(A1, link)
        shell.agent(link, StatusUpdates(statuses))

    assert play(act).submitted == [UpdateStatuses(A1, statuses)]


def test_agent_that_is_gone_is_unlinked_under_its_number() -> None:
    def act(shell: Shell) -> None:
        link = RecordedLink("a1")
        shell.agents.connected(link)
        shell.sessions.agents.take(A1, link)
        shell.agents.disconnected(link, "reset")

    assert play(act).submitted == [AgentUnlinked(A1, 1)]


def test_agent_that_left_while_it_was_admitted_is_unlinked() -> None:
    def act(shell: Shell) -> None:
        link = RecordedLink("a1")
        shell.agents.connected(link)
        shell.agent(link, Registration("a1"))
        link.close()
        shell.agents.disconnected(link, "reset")
        shell.waiting[0](None)

    assert play(act).submitted[-1] == AgentUnlinked(A1, 1)


def test_agent_that_speaks_as_a_master_is_dropped() -> None:
    def act(shell: Shell) -> None:
        link = RecordedLink("a1")
        shell.agents.connected(link)
        with pytest.raises(Malformed, match="AgentRegistered from an agent"):
            shell.agent(link, AgentRegistered("a1"))
        with pytest.raises(Malformed):
            shell.agents.leader_changed(link, Leader("me:1", 9, True))

    play(act)


def test_framework_gets_the_seat_with_its_answer() -> None:
    shell = Shell()
    links: list[RecordedLink] = []
    play(lambda shell: links.append(shell.subscribed()), shell)
    assert links[0].to_framework == [Subscribed(1, F1)]
    assert shell.sessions.frameworks.link_of(F1) is links[0]


def test_framework_calls_are_answered_under_their_number() -> None:
    links: list[RecordedLink] = []

    def act(shell: Shell) -> None:
        links.append(shell.subscribed())
        shell.outcomes[AcceptOffers] = Refused(Reason.UNKNOWN_OFFER, "offer o1-1 is not open")
        shell.outcomes[TeardownFramework] = None
        shell.call(links[0], Accept(8, ("o1-1",)))
        shell.call(links[0], Teardown(9))
        shell.outcomes[LeaveFramework] = None
        shell.call(links[0], Leave(10))

    play(act)
    assert links[0].to_framework[1:] == [
        CallDone(8, "UNKNOWN_OFFER", "offer o1-1 is not open"),
        CallDone(9),
        CallDone(10),
    ]


def test_framework_that_has_not_subscribed_is_told_to() -> None:
    link = RecordedLink("web")

    def act(shell: Shell) -> None:
        shell.frameworks.connected(link)
        shell.call(link, Reconcile(4))

    assert play(act).submitted == []
    assert link.to_framework == [CallDone(4, "NOT_SUBSCRIBED", "subscribe first")]


def test_framework_is_sent_to_the_leader() -> None:
    link = RecordedLink("web")

    def act(shell: Shell) -> None:
        shell.outcomes[SubscribeFramework] = NotLeader("m2:7000")
        shell.frameworks.connected(link)
        shell.call(link, Subscribe(1))

    play(act)
    assert link.to_framework == [CallDone(1, "NOT_LEADER", "m2:7000")]


def test_framework_acknowledgements_are_not_answered() -> None:
    links: list[RecordedLink] = []
    acknowledgements = (Acknowledgement("t1", 1, 2),)

    def act(shell: Shell) -> None:
        links.append(shell.subscribed())
        shell.call(links[0], Acknowledge(acknowledgements))

    shell = play(act)
    assert shell.submitted[-1] == AcknowledgeUpdates(F1, acknowledgements)
    assert (len(links[0].sent), shell.waiting) == (1, [])


def test_framework_that_is_gone_is_unlinked_under_its_number() -> None:
    def act(shell: Shell) -> None:
        shell.frameworks.disconnected(shell.subscribed(), "reset")

    assert play(act).submitted[-1] == FrameworkUnlinked(F1, 1)


def test_framework_that_left_while_it_subscribed_is_unlinked() -> None:
    def act(shell: Shell) -> None:
        link = RecordedLink("web")
        shell.frameworks.connected(link)
        shell.call(link, Subscribe(1))
        link.close()
        shell.frameworks.disconnected(link, "reset")
        shell.waiting[0](Subscribed(1, F1))

    assert play(act).submitted[-1] == FrameworkUnlinked(F1, 1)


def test_framework_link_that_was_replaced_does_not_unlink_the_newer_one() -> None:
    def act(shell: Shell) -> None:
        older = shell.subscribed()
        shell.subscribed()
        shell.frameworks.disconnected(older, "evicted")

    assert [type(each) for each in play(act).submitted] == [SubscribeFramework] * 2


def test_framework_that_speaks_as_a_master_is_dropped() -> None:
    def act(shell: Shell) -> None:
        link = shell.subscribed()
        with pytest.raises(Malformed, match="Offers from a framework"):
            shell.call(link, Offers())

    play(act)


def test_nonsense_drops_the_link() -> None:
    def act(shell: Shell) -> None:
        link = RecordedLink()
        shell.agents.connected(link)
        with pytest.raises(Malformed):
            shell.agents.received(link, b"\xff" * 40, 0)

    play(act)


def test_link_that_subscribes_a_second_framework_leaves_the_first() -> None:
    async def act() -> list[Any]:
        shell = Shell()
        link = shell.subscribed()
        shell.outcomes[SubscribeFramework] = Subscribed(2, FrameworkId("fw-2"))
        shell.call(link, Subscribe(2, name="web"))
        assert shell.sessions.frameworks.link_of(FrameworkId("fw-2")) is link
        return shell.submitted

    assert asyncio.run(act())[-1] == FrameworkUnlinked(F1, 1)
