"""Performing: effects as messages, gathered per link and turn, stamped with their leadership."""

import asyncio
from collections.abc import Callable

from master.core.effects import (
    AnswerAgent,
    EvictFramework,
    RefuseAgent,
    SendAcknowledge,
    SendKill,
    SendLaunch,
    SendOffers,
    SendUpdates,
)
from master.perform import ITEMS_MAX, Performer
from master.probes import SilentMasterProbe
from master.sessions import Sessions
from protocol.ids import AgentId, FrameworkId
from protocol.messages.agent import (
    AcknowledgeStatuses,
    AgentRefused,
    AgentRegistered,
    Kill,
    KillTasks,
    Launch,
    LaunchTasks,
    StatusAcknowledgement,
)
from protocol.messages.framework import FrameworkFailed, Offer, Offers, Subscribed, Updates
from protocol.messages.values import TaskDescription, TaskStatus
from tests.unit.master.links import RecordedLink

A1, F1 = AgentId("a1"), FrameworkId("fw-1")


def turn(act: Callable[[Performer, Sessions], None]) -> None:
    """Act inside one turn of an event loop, then let the next turn pass."""

    async def play() -> None:
        sessions = Sessions()
        performer = Performer(sessions, SilentMasterProbe())
        performer.begin(7)
        act(performer, sessions)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(play())


def seated(sessions: Sessions, link: RecordedLink) -> int:
    number = sessions.open(link)
    sessions.agents.take(A1, link)
    sessions.frameworks.take(F1, link)
    return number


def launch(number: int, size: int = 0) -> Launch:
    return Launch(number, F1, description=TaskDescription(task_id=f"t{number}", name="x" * size))


def test_perform_gathers_neighbours_of_one_kind() -> None:
    link = RecordedLink()

    def act(performer: Performer, sessions: Sessions) -> None:
        seated(sessions, link)
        performer.perform(SendLaunch(A1, (launch(1),)))
        performer.perform(SendLaunch(A1, (launch(2),)))

    turn(act)
    assert link.to_agent == [LaunchTasks((launch(1), launch(2)))]


def test_perform_keeps_the_order_of_different_kinds() -> None:
    link = RecordedLink()

    def act(performer: Performer, sessions: Sessions) -> None:
        seated(sessions, link)
        performer.perform(SendLaunch(A1, (launch(1),)))
        performer.perform(SendKill(A1, (Kill(F1, "t1", 1),)))
        performer.perform(SendLaunch(A1, (launch(2),)))

    turn(act)
    assert [type(message) for message in link.to_agent] == [LaunchTasks, KillTasks, LaunchTasks]


def test_perform_stamps_frames_with_the_leadership() -> None:
    link = RecordedLink()

    def act(performer: Performer, sessions: Sessions) -> None:
        seated(sessions, link)
        performer.perform(SendAcknowledge(A1, (StatusAcknowledgement(F1, "t1", 1, 1),)))

    turn(act)
    assert [epoch for _, epoch in link.sent] == [7]


def test_perform_sends_what_an_ended_leadership_decided_under_its_own_epoch() -> None:
    link = RecordedLink()

    def act(performer: Performer, sessions: Sessions) -> None:
        seated(sessions, link)
        performer.perform(SendUpdates(F1, (TaskStatus(task_id="t1"),)))
        performer.begin(8)

    turn(act)
    assert [epoch for _, epoch in link.sent] == [7]


def test_perform_splits_lists_that_are_long() -> None:
    link = RecordedLink()

    def act(performer: Performer, sessions: Sessions) -> None:
        seated(sessions, link)
        statuses = tuple(TaskStatus(task_id=f"t{number}") for number in range(ITEMS_MAX + 1))
        performer.perform(SendUpdates(F1, statuses))

    turn(act)
    sizes = [len(each.statuses) for each in link.to_framework if isinstance(each, Updates)]
    assert sizes == [ITEMS_MAX, 1]


def test_perform_splits_the_answer_to_a_subscription_with_many_tasks() -> None:
    link = RecordedLink()
    tasks = tuple(TaskStatus(task_id=f"t{n}", sequence=3) for n in range(2 * ITEMS_MAX + 1))

    def act(performer: Performer, sessions: Sessions) -> None:
        seated(sessions, link)
        performer.say(link, Subscribed(1, F1, tasks))

    turn(act)
    first, *rest = link.to_framework
    assert isinstance(first, Subscribed)
    found = [each for update in rest if isinstance(update, Updates) for each in update.statuses]
    assert [each.task_id for each in (*first.tasks, *found)] == [each.task_id for each in tasks]
    assert {each.sequence for each in found} == {0}


def test_perform_splits_frames_that_are_large() -> None:
    link = RecordedLink(payload_bytes_max=4000)

    def act(performer: Performer, sessions: Sessions) -> None:
        seated(sessions, link)
        performer.perform(SendLaunch(A1, tuple(launch(number, 900) for number in range(8))))

    turn(act)
    found = [each for message in link.to_agent if isinstance(message, LaunchTasks)
             for each in message.launches]  # fmt: skip
    assert [each.launch for each in found] == list(range(8))


def test_perform_sends_nothing_to_an_empty_seat() -> None:
    link = RecordedLink()

    def act(performer: Performer, sessions: Sessions) -> None:
        sessions.open(link)
        performer.perform(SendOffers(F1, (Offer("o1-1"),)))
        performer.perform(SendLaunch(A1, (launch(1),)))

    turn(act)
    assert link.sent == []


def test_perform_gives_the_seat_to_an_admitted_agent_and_closes_its_older_link() -> None:
    older, newer = RecordedLink(), RecordedLink()

    def act(performer: Performer, sessions: Sessions) -> None:
        seated(sessions, older)
        performer.perform(AnswerAgent(A1, AgentRegistered(A1), sessions.open(newer)))
        performer.perform(SendAcknowledge(A1, (StatusAcknowledgement(F1, "t1", 1, 1),)))

    turn(act)
    assert [type(each) for each in newer.to_agent] == [AgentRegistered, AcknowledgeStatuses]
    assert (older.is_open, older.sent) == (False, [])


def test_perform_tells_an_evicted_scheduler_why_before_it_closes_the_link() -> None:
    link = RecordedLink()

    def act(performer: Performer, sessions: Sessions) -> None:
        number = seated(sessions, link)
        performer.perform(SendOffers(F1, (Offer("o1-1"),)))
        performer.perform(EvictFramework(F1, "REPLACED", "another scheduler came", number))

    turn(act)
    assert link.to_framework == [
        Offers((Offer("o1-1"),)),
        FrameworkFailed("REPLACED", "another scheduler came"),
    ]
    assert not link.is_open


def test_perform_does_not_evict_the_newer_link() -> None:
    older, newer = RecordedLink(), RecordedLink()

    def act(performer: Performer, sessions: Sessions) -> None:
        number = seated(sessions, older)
        seated(sessions, newer)
        performer.perform(EvictFramework(F1, "REPLACED", "another scheduler came", number))
        assert sessions.frameworks.link_of(F1) is newer

    turn(act)
    assert (older.is_open, newer.is_open) == (False, True)


class SeatsProbe(SilentMasterProbe):
    def __init__(self) -> None:
        self.heard: list[object] = []

    def agent_lost(self, agent: AgentId) -> None:
        self.heard.append(agent)

    def links(self, agents: int, frameworks: int) -> None:
        self.heard.append((agents, frameworks))


def test_end_of_a_leadership_frees_all_seats_and_keeps_the_links() -> None:
    sessions, probe, link = Sessions(), SeatsProbe(), RecordedLink()
    number = seated(sessions, link)
    Performer(sessions, probe).clear_seats()
    assert probe.heard == [A1, (0, 0)]
    assert (len(sessions.agents), len(sessions.frameworks)) == (0, 0)
    assert sessions.link_of(number) is link


def test_refused_agent_is_told_and_speaks_for_nobody_any_more() -> None:
    link = RecordedLink()
    seats: list[int] = []

    def act(performer: Performer, sessions: Sessions) -> None:
        seated(sessions, link)
        performer.perform(RefuseAgent(A1, "AGENT_GONE", "gone"))
        performer.perform(SendKill(A1, (Kill(F1, "t1", 1),)))
        seats.append(len(sessions.agents))

    turn(act)
    assert link.to_agent == [AgentRefused("AGENT_GONE", "gone")]
    assert seats == [0]
