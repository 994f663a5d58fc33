"""A journal that is written for ever."""

from collections.abc import Sequence
from dataclasses import dataclass

from rlog.client.journal import Writer

JOURNAL_BYTES = 8 << 20  # appended before a truncation; a space holds 16 MiB


@dataclass(slots=True)
class Tape:
    """Appends, and truncates what was appended now and then, as a journal's owner has to."""

    writer: Writer
    left_bytes: int = JOURNAL_BYTES

    async def append(self, records: Sequence[bytes]) -> None:
        """Append records; the call that fills the journal truncates it."""
        self.left_bytes -= sum(len(record) for record in records)
        is_full = self.left_bytes < 0
        if is_full:
            self.left_bytes = JOURNAL_BYTES
        last = await self.writer.append(records)
        if is_full:
            await self.writer.truncate(last)
