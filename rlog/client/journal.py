"""Journals: records that one writer appends in order, and anybody of its owner reads."""

import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from rlog.client.asking import Refusal
from rlog.client.grouping import Grouping
from rlog.client.keeper import GROUP_BYTES_MAX, WAIT_NS, Held, Keeper, Pace
from rlog.spaces.messages import (
    Appended,
    AppendRecords,
    Claimed,
    ClaimJournal,
    Fence,
    ReadRecords,
    Records,
    Transacted,
    TruncateJournal,
)

GROUP_MAX = 256  # appends in one request


@dataclass(frozen=True, slots=True)
class Record:
    """One record and its position, which no other record of the journal ever had."""

    position: int
    content: bytes


class Journal:
    """One journal of a space, to be read; `claim` it to write."""

    def __init__(self, keeper: Keeper, name: str) -> None:
        self.name = name
        self._keeper = keeper

    async def claim(self, writer: str) -> "Writer":
        """Become the only writer: earlier ones are refused from now on, whatever they still send.

        Raises: Refusal OTHER_OWNER, TOO_MANY, BAD_NAME.
        """
        token = secrets.token_hex(16)
        request = ClaimJournal(0, self._keeper.space, token, self.name, writer)
        claimed = await self._keeper.asking.ask(request, Claimed)
        return Writer(self._keeper, self.name, claimed.epoch, claimed.next)

    async def page(self, position: int = 0) -> Records:
        """Return the records from a position on that fit in one answer, and the journal's ends.

        Position 0: from the first that there is. Raises: Refusal COMPACTED when it was truncated.
        """
        request = ReadRecords(0, self._keeper.space, self.name, position)
        return await self._keeper.asking.ask(request, Records)

    async def read(self, position: int = 0, end: int | None = None) -> AsyncIterator[Record]:
        """Yield the records from a position on, up to `end` or what is there when it is reached.

        Raises: Refusal COMPACTED.
        """
        while end is None or position < end:
            page = await self.page(position)
            for place, content in enumerate(page.records, page.position):
                if end is not None and place >= end:
                    return
                yield Record(place, content)
            position = page.position + len(page.records)
            if position >= page.next:
                return

    async def tail(self, position: int = 0) -> AsyncIterator[Record]:
        """Yield the records from a position on, and those to come, over leader changes too.

        To resume, begin after the last position seen. Raises: Refusal COMPACTED.
        """
        while True:
            pace = Pace()
            request = ReadRecords(0, self._keeper.space, self.name, position, WAIT_NS)
            page = await self._keeper.asking.ask_patiently(request, Records)
            for place, content in enumerate(page.records, page.position):
                yield Record(place, content)
            position = page.position + len(page.records)
            await pace.rest(is_news=bool(page.records))


class Writer:
    """The right to write a journal, until somebody else claims it."""

    def __init__(self, keeper: Keeper, name: str, epoch: int, following: int) -> None:
        self.epoch = epoch
        self.next = following  # position of the next record, as far as we know
        self._name = name
        self._keeper = keeper
        self._appends: Grouping[Sequence[bytes], int] = Grouping(
            self._append_all, Refusal, questions_max=GROUP_MAX, bytes_max=GROUP_BYTES_MAX
        )

    async def append(
        self, records: Sequence[bytes], held: Iterable[Held] = (), position: int = 0
    ) -> int:
        """Append all records, if the leases are held and the first gets this position (0: any).

        Return the position of the last. Told again over a change of leader, it happens once.
        What is appended at once without conditions follows in the order of the calls.
        Raises: Refusal FENCED, WRONG_POSITION, OVER_QUOTA, TOO_MANY.
        """
        fences = tuple(Fence(each.name, each.token) for each in held)
        if fences or position:
            return await self._append(records, fences, position)
        return await self._appends.ask(records, sum(map(len, records)))

    async def _append_all(self, appends: Sequence[Sequence[bytes]]) -> list[int]:
        """Append the records of all in one request; return the position of each one's last."""
        last = await self._append([record for records in appends for record in records])
        lasts = []
        for records in reversed(appends):
            lasts.append(last)
            last -= len(records)
        return lasts[::-1]

    async def _append(
        self, records: Sequence[bytes], fences: tuple[Fence, ...] = (), position: int = 0
    ) -> int:
        token = secrets.token_hex(16)
        where = (self._keeper.space, token, self._name, self.epoch, position)
        request = AppendRecords(0, *where, fences, tuple(records))
        last = (await self._keeper.asking.ask(request, Appended)).last
        self.next = max(self.next, last + 1)
        return last

    async def truncate(self, first: int) -> None:
        """Drop all records before a position. Raises: Refusal FENCED, WRONG_POSITION."""
        request = TruncateJournal(0, self._keeper.space, self._name, self.epoch, first)
        await self._keeper.asking.ask(request, Transacted)
