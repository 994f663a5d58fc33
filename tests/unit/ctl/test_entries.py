"""Reading a running log: each entry once, whoever answers, until what is asked for is gone."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from master.ctl import entries
from master.ctl.entries import Bounds, Compacted, EntryReader
from master.ctl.target import CommandError
from protocol.messages.operator import (
    EntriesPart,
    Failed,
    LogEntry,
    OperatorMessage,
    ReadEntries,
    ReadSnapshot,
    SnapshotPart,
)

Answer = Callable[[OperatorMessage], OperatorMessage]


@dataclass
class Client:
    """Answers by what it was given first, then from a log of entries 3 to 9."""

    first_answers: list[Answer] = field(default_factory=list)
    asked: list[OperatorMessage] = field(default_factory=list)
    last: int = 9

    async def ask(self, message: OperatorMessage, deadline_s: float = 0) -> OperatorMessage:
        self.asked.append(message)
        if self.first_answers:
            return self.first_answers.pop(0)(message)
        if isinstance(message, ReadSnapshot):
            return SnapshotPart(0, 5, size_bytes=6, content=b"abcdef"[message.offset :][:4])
        assert isinstance(message, ReadEntries)
        if 0 < message.first < 3:
            return Failed(0, "COMPACTED")
        last = min(message.last, self.last, message.first + 1)  # two at a time
        found = range(message.first, last + 1) if message.first else ()
        return EntriesPart(0, tuple(LogEntry(index, 1, b"c") for index in found), 3, self.last)


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "NOT_NOW_S", 0.0)
    monkeypatch.setattr(entries, "STREAM_S", 0.0)


async def read(client: Client, first: int, last: int) -> list[int]:
    reader = EntryReader(client)  # type: ignore[arg-type]
    return [entry.index async for entry in reader.read(first, last)]


def test_all_that_is_asked_for_is_read_in_order() -> None:
    assert asyncio.run(read(Client(), 3, 9)) == [3, 4, 5, 6, 7, 8, 9]


def test_bounds_are_asked_for_without_entries() -> None:
    reader = EntryReader(Client())  # type: ignore[arg-type]
    assert asyncio.run(reader.bounds()) == Bounds(3, 9)


def test_masters_that_know_no_bounds_are_named_as_older() -> None:
    client = Client([lambda message: EntriesPart(0)])
    with pytest.raises(CommandError, match="of this version"):
        asyncio.run(EntryReader(client).bounds())  # type: ignore[arg-type]


def test_new_leader_that_knows_less_for_a_while_is_asked_again() -> None:
    client = Client(
        [
            lambda message: EntriesPart(0, (), 3, 2),
            lambda message: Failed(0, "NOT_NOW", "a snapshot is being installed"),
        ]
    )
    assert asyncio.run(read(client, 8, 9)) == [8, 9]


def test_entries_that_are_gone_are_said_to_be() -> None:
    with pytest.raises(Compacted):
        asyncio.run(read(Client(), 2, 9))


def test_other_trouble_is_told_as_it_was_said() -> None:
    client = Client([lambda message: Failed(0, "CORRUPT_LOG", "entry 4 is missing")] * 2)
    with pytest.raises(CommandError, match="entry 4 is missing"):
        asyncio.run(read(client, 3, 9))


def test_master_that_takes_no_part_for_ever_is_given_up() -> None:
    client = Client([lambda message: Failed(0, "NOT_NOW")] * entries.NOT_NOW_MAX)
    with pytest.raises(CommandError, match="takes no part"):
        asyncio.run(read(client, 3, 9))


def test_follower_reads_on_where_it_was_and_waits() -> None:
    client = Client()

    async def follow() -> list[int]:
        found: list[int] = []
        async for entry in EntryReader(client).follow(7):  # type: ignore[arg-type]
            found.append(entry.index)
            client.last = max(client.last, entry.index + 1)
            if len(found) == 5:
                break
        return found

    assert asyncio.run(follow()) == [7, 8, 9, 10, 11]
    assert all(isinstance(each, ReadEntries) and each.wait_ns for each in client.asked)


def test_snapshot_is_read_piece_by_piece() -> None:
    async def pieces(client: Client) -> list[bytes]:
        parts = EntryReader(client).snapshot()  # type: ignore[arg-type]
        return [part.content async for part in parts]

    assert asyncio.run(pieces(Client())) == [b"abcd", b"ef"]
    replaced = Client([lambda m: SnapshotPart(0, 5, size_bytes=6, content=b"abcd")])
    replaced.first_answers.append(lambda m: Failed(0, "COMPACTED", "it was replaced"))
    with pytest.raises(Compacted):
        asyncio.run(pieces(replaced))
