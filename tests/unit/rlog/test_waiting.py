"""Questions for news: they wait for it, see it once it is committed, and never wait for ever."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from protocol.decision import Refused
from protocol.errors import NotLeader
from rlog import waiting
from rlog.requests import SpaceReceiver
from rlog.spaces import commands
from rlog.spaces.commands import ChangeSpace
from rlog.spaces.messages import (
    AppendRecords,
    Change,
    Changes,
    Claimed,
    ClaimJournal,
    ReadChanges,
    ReadRecords,
    Records,
    SpaceAnswer,
    SpaceRefused,
    SpaceRequest,
    Transact,
)
from rlog.spaces.records import SpaceLimits, Spaces
from rlog.spaces_codec import decode_space_answer, encode_space_request

LONG_NS = 10_000_000_000
SHORT_NS = 1_000_000


@dataclass(eq=False)
class Link:
    """Somebody who asks, and what they were told."""

    principal: str = "p"
    is_open: bool = True
    told: list[SpaceAnswer] = field(default_factory=list)

    def told_changes(self) -> list[tuple[int, list[str]]]:
        found = [each for each in self.told if isinstance(each, Changes)]
        return [(c.revision, [k.key for r in c.revisions for k in r.changes]) for c in found]


@dataclass
class Leader:
    """A loop of one member that commits at once; `has_lost` makes it a follower."""

    spaces: Spaces = field(default_factory=Spaces)
    has_lost: bool = False

    def __post_init__(self) -> None:
        self.receiver = SpaceReceiver(self.submit, self.query, self.say, 2_000)

    def ask(self, link: Link, request: SpaceRequest) -> None:
        self.receiver.received(link, encode_space_request(request))

    def say(self, link: Any, content: bytes) -> None:
        link.told.append(decode_space_answer(content))

    def query(self, view: Callable[[Any], Any], done: Callable[[Any], None]) -> None:
        done(NotLeader("other:1") if self.has_lost else view(self))

    def submit(
        self, command: ChangeSpace, done: Callable[[Any], None] | None = None, size_bytes: int = 0
    ) -> None:
        assert done is not None
        outcome = commands.decide(self.spaces, command, 0, SpaceLimits())
        assert not isinstance(outcome, Refused)
        for event in outcome.events:
            commands.apply(self.spaces, event)
        done(outcome.reply)
        for effect in outcome.effects:
            self.receiver.touched(effect.space)

    def put(self, link: Link, key: str) -> None:
        self.ask(link, Transact(99, "s", changes=(Change(key, b"v"),)))


async def pass_turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def play(act: Callable[[Leader, Link], Any]) -> Link:
    """Act on a leader with one watcher's link, and return what that was told."""
    link = Link()

    async def run() -> None:
        await act(Leader(), link)

    asyncio.run(run())
    return link


def test_watcher_is_told_when_something_has_changed() -> None:
    async def act(leader: Leader, link: Link) -> None:
        leader.ask(link, ReadChanges(1, "s", wait_ns=LONG_NS))
        await pass_turns()
        assert link.told == []
        leader.put(Link(), "k")
        await pass_turns()

    assert play(act).told_changes() == [(1, ["k"])]


def test_changes_of_one_turn_are_told_together() -> None:
    async def act(leader: Leader, link: Link) -> None:
        leader.ask(link, ReadChanges(1, "s", wait_ns=LONG_NS))
        for key in "abc":
            leader.put(Link(), key)
        await pass_turns()

    assert play(act).told_changes() == [(3, ["a", "b", "c"])]


def test_watcher_of_a_prefix_sleeps_on_over_other_keys() -> None:
    async def act(leader: Leader, link: Link) -> None:
        leader.ask(link, ReadChanges(1, "s", "job/", wait_ns=LONG_NS))
        leader.put(Link(), "other")
        await pass_turns()
        assert link.told == []
        leader.put(Link(), "job/1")
        await pass_turns()

    assert play(act).told_changes() == [(2, ["job/1"])]


def test_who_waited_long_enough_is_told_how_far_it_is() -> None:
    async def act(leader: Leader, link: Link) -> None:
        leader.ask(link, ReadChanges(1, "s", "job/", wait_ns=SHORT_NS))
        leader.put(Link(), "other")
        while not link.told:  # noqa: ASYNC110 – a timer of its own ends it
            await asyncio.sleep(0.001)

    assert play(act).told_changes() == [(1, [])]


def test_reader_of_a_journal_is_told_of_the_next_record() -> None:
    async def act(leader: Leader, link: Link) -> None:
        writer = Link()
        leader.ask(writer, ClaimJournal(1, "s", "", "j", "w"))
        (claimed,) = writer.told
        assert isinstance(claimed, Claimed)
        leader.ask(link, ReadRecords(1, "s", "j", wait_ns=LONG_NS))
        await pass_turns()
        assert link.told == []
        append = AppendRecords(2, "s", "", "j", claimed.epoch, records=(b"r",))
        leader.ask(writer, append)
        await pass_turns()

    assert play(act).told == [Records(1, 1, (b"r",), 1, 2, 1)]


def test_who_waits_at_a_deposed_leader_is_sent_on() -> None:
    async def act(leader: Leader, link: Link) -> None:
        leader.ask(link, ReadChanges(1, "s", wait_ns=LONG_NS))
        leader.has_lost = True
        leader.receiver.deposed()
        await pass_turns()

    assert play(act).told == [SpaceRefused(1, "NOT_LEADER", "other:1")]


def test_who_is_gone_is_told_nothing() -> None:
    async def act(leader: Leader, link: Link) -> None:
        leader.ask(link, ReadChanges(1, "s", wait_ns=LONG_NS))
        leader.receiver.disconnected(link)
        leader.put(Link(), "k")
        await pass_turns()

    assert play(act).told == []


def test_one_too_many_is_answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PRINCIPAL_WAITING_MAX", 2)

    async def act(leader: Leader, link: Link) -> None:
        for number in (1, 2, 3):
            leader.ask(link, ReadChanges(number, "s", wait_ns=LONG_NS))
        leader.ask(Link("other"), ReadChanges(4, "s", wait_ns=LONG_NS))
        await pass_turns()

    assert play(act).told == [Changes(3)]


def test_question_that_is_asked_again_waits_once() -> None:
    async def act(leader: Leader, link: Link) -> None:
        for _ in range(2):
            leader.ask(link, ReadChanges(1, "s", wait_ns=LONG_NS))
        leader.put(Link(), "k")
        await pass_turns()

    assert play(act).told_changes() == [(1, ["k"])]
