"""Readers of entries: they are told when more is committed, and never wait for ever."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from protocol.errors import CorruptLog
from protocol.messages.operator import EntriesPart, Failed, OperatorMessage, ReadEntries
from rlog import following
from rlog.copying import LogCopier
from rlog.messages import Entry
from rlog.view import MemberView
from tests.unit.rlog.virtual_loop import VirtualLoop

LONG_NS = 5_000_000_000


@dataclass(eq=False)
class Link:
    is_open: bool = True


@dataclass
class Log(MemberView):
    """A member that holds entries 3 to `known`."""

    known: int = 5
    is_taking_part: bool = True
    is_damaged: bool = False
    on_committed: Callable[[], None] = lambda: None

    @property
    def held(self) -> tuple[int, int] | None:
        return (3, self.known) if self.is_taking_part else None

    def copy_entries(self, first: int, last: int, bytes_max: int) -> list[Entry] | None:
        if self.is_damaged:
            raise CorruptLog("entry 4 fails its checksum")
        end = min(last, self.known)
        return [Entry(index, 1, b"c") for index in range(first, end + 1)] if first >= 3 else None


@dataclass
class House:
    io: VirtualLoop
    log: Log = field(default_factory=Log)
    link: Link = field(default_factory=Link)
    said: list[OperatorMessage] = field(default_factory=list)
    calls: int = 0

    def __post_init__(self) -> None:
        self.copier = LogCopier(self.log, "c", lambda: 0)  # type: ignore[arg-type]

    def ask(self, first: int, wait_ns: int = 0, last: int = 99) -> None:
        self.calls += 1
        question = ReadEntries(self.calls, first, last, wait_ns)
        self.io.call(self.copier.answer, question, self.link, self.said.append)

    def commit(self, index: int) -> None:
        self.log.known = index
        self.io.call(self.log.on_committed)


@pytest.fixture
def house() -> Iterator[House]:
    io = VirtualLoop()
    yield House(io)
    io.close()


def indexes(answer: OperatorMessage) -> list[int]:
    assert isinstance(answer, EntriesPart), answer
    return [entry.index for entry in answer.entries]


def reasons(answers: list[OperatorMessage]) -> list[str]:
    return [answer.reason for answer in answers if isinstance(answer, Failed)]


def test_what_is_committed_is_told_at_once(house: House) -> None:
    house.ask(4, LONG_NS)
    assert [indexes(answer) for answer in house.said] == [[4, 5]]


def test_bounds_are_told_without_entries(house: House) -> None:
    house.ask(0, LONG_NS)
    assert house.said == [EntriesPart(1, (), 3, 5)]


def test_reader_that_waits_is_told_what_is_committed_then(house: House) -> None:
    house.ask(6, LONG_NS)
    house.ask(8, LONG_NS)
    assert house.said == []
    house.commit(7)
    assert [indexes(answer) for answer in house.said] == [[6, 7]]
    house.commit(8)
    assert indexes(house.said[1]) == [8]


def test_reader_is_told_that_nothing_came(house: House) -> None:
    house.ask(6, LONG_NS)
    house.io.run_until_complete(asyncio.sleep(LONG_NS / 1e9 + 1))
    assert house.said == [EntriesPart(1, (), 3, 5)]
    house.commit(6)
    assert len(house.said) == 1


def test_reader_that_does_not_wait_is_told_that_nothing_is_there(house: House) -> None:
    house.ask(6)
    assert house.said == [EntriesPart(1, (), 3, 5)]


def test_entries_that_are_gone_are_said_to_be(house: House) -> None:
    house.ask(2, LONG_NS)
    assert reasons(house.said) == ["COMPACTED"]


def test_reader_is_sent_elsewhere_by_a_member_that_takes_no_part(house: House) -> None:
    house.ask(6, LONG_NS)
    house.log.is_taking_part = False
    house.io.call(house.log.on_committed)
    house.ask(6, LONG_NS)
    assert reasons(house.said) == ["NOT_NOW", "NOT_NOW"]


def test_damage_is_said(house: House) -> None:
    house.log.is_damaged = True
    house.ask(4)
    assert reasons(house.said) == ["CORRUPT_LOG"]


def test_link_that_is_gone_waits_for_nothing(house: House) -> None:
    house.ask(6, LONG_NS)
    house.io.call(house.copier.forget, house.link)
    house.commit(9)
    house.link.is_open = False
    house.ask(10, LONG_NS)
    assert house.said == [EntriesPart(2, (), 3, 9)]  # and that one is not kept


def test_readers_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "WAITING_MAX", 2)
    for _ in range(3):
        house.ask(6, LONG_NS)
    assert reasons(house.said) == ["OVERLOADED"]
    house.commit(6)
    assert len(house.said) == 3
