"""The log of a running cluster, read from outside: entry by entry, from any point that is kept."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from master.ctl.asking import ANSWER_S_MAX, ask_over
from master.ctl.target import CommandError
from protocol.client import OperatorClient
from protocol.messages.operator import (
    EntriesPart,
    Failed,
    ReadEntries,
    ReadSnapshot,
    SnapshotPart,
)
from rlog.messages import Entry

INDEX_MAX = 2**63
WAIT_S = 2.0  # what a master may keep us waiting for before it says "nothing new"
NOT_NOW_S = 0.2  # before who is asked may know better
NOT_NOW_MAX = 50
STREAM_S = 0.02  # between questions while there is always more: one reader asks at most so often


class Compacted(Exception):  # noqa: N818 – not an error: whoever reads begins elsewhere
    """What was asked for is covered by a snapshot, and not kept any more."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Index of the first entry that is kept and of the last one that is committed."""

    first: int
    committed: int


class EntryReader:
    """Reads from whoever a client asks; indexes mean the same on every master, whoever leads."""

    def __init__(self, client: OperatorClient) -> None:
        self._client = client

    async def bounds(self) -> Bounds:
        """Raises: CommandError, Unavailable."""
        part = await self._ask(ReadEntries())
        if not part.first:
            raise CommandError("these masters cannot say what they keep; are they of this version?")
        return Bounds(part.first, part.committed)

    async def read(self, first: int, last: int) -> AsyncIterator[Entry]:
        """Yield the entries of these indexes, all of which must be committed.

        Raises: Compacted, CommandError, Unavailable.
        """
        while first <= last:
            part = await self._ask(ReadEntries(first=first, last=last))
            if not part.entries:
                await asyncio.sleep(NOT_NOW_S)  # a new leader may not know yet what is committed
            for entry in _entries_of(part):
                yield entry
                first = entry.index + 1

    async def follow(self, first: int) -> AsyncIterator[Entry]:
        """Yield all entries from `first` on, as they are committed; it never ends.

        Raises: Compacted when what is next is not kept any more; CommandError, Unavailable.
        """
        loop = asyncio.get_running_loop()
        while True:
            asked_s = loop.time()
            question = ReadEntries(first=first, last=INDEX_MAX, wait_ns=int(WAIT_S * 1e9))
            for entry in _entries_of(await self._ask(question)):
                yield entry
                first = entry.index + 1
            await asyncio.sleep(max(0.0, STREAM_S - (loop.time() - asked_s)))

    async def snapshot(self) -> AsyncIterator[SnapshotPart]:
        """Yield the newest snapshot piece by piece; one without content when there is none.

        Raises: Compacted when it is replaced by another meanwhile; CommandError, Unavailable.
        """
        part = await self._ask_snapshot(ReadSnapshot())
        index, size, offset = part.index, part.size_bytes, len(part.content)
        yield part
        while offset < size:
            part = await self._ask_snapshot(ReadSnapshot(index=index, offset=offset))
            if not part.content:
                raise Compacted
            offset += len(part.content)
            yield part

    async def _ask(self, question: ReadEntries) -> EntriesPart:
        for _ in range(NOT_NOW_MAX):
            found = await self._client.ask(question, ANSWER_S_MAX + WAIT_S)
            if isinstance(found, EntriesPart):
                return found
            reason = found.reason if isinstance(found, Failed) else ""
            if reason == "COMPACTED":
                raise Compacted
            if reason != "NOT_NOW":
                return await ask_over(self._client, question, EntriesPart)  # says what is wrong
            await asyncio.sleep(NOT_NOW_S)
        raise CommandError("the master that is asked takes no part in the log; try again")

    async def _ask_snapshot(self, question: ReadSnapshot) -> SnapshotPart:
        found = await self._client.ask(question)
        if isinstance(found, Failed) and found.reason in ("COMPACTED", "NOT_NOW"):
            raise Compacted
        if isinstance(found, SnapshotPart):
            return found
        return await ask_over(self._client, question, SnapshotPart)  # says what is wrong


def _entries_of(part: EntriesPart) -> list[Entry]:
    return [Entry(each.index, each.term, each.command) for each in part.entries]
