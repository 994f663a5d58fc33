"""The core as a machine for the log: adds how its events become bytes and come back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from protocol.errors import CorruptLog, Malformed
from protocol.handshake import no_id
from rlog.alone.codec import decode_log_batch, encode_log_batch
from rlog.alone.core.events import LogBatch, LogEvent
from rlog.alone.core.machine import Machine, TakeOver
from rlog.alone.core.state import MARK, State, is_ours

REVISIONS_SKIPPED = 1_000_000_000  # more than a log gives between a backup and its loss


@dataclass(frozen=True, slots=True)
class LoneRegistrar(Machine):
    """An `rlog.machine.Machine`; `identify` tells the id of the log it is driven by."""

    identify: Callable[[], str] = no_id

    def take_over(self, term: int, address: str) -> TakeOver:
        return TakeOver(term, address, self.identify())

    def encode(self, stamp_ns: int, events: Sequence[LogEvent]) -> bytes:
        return MARK + encode_log_batch(LogBatch(stamp_ns, tuple(events)))

    def decode(self, content: bytes) -> tuple[int, Sequence[LogEvent]]:
        """Raises: CorruptLog: an event that cannot be read must not be skipped."""
        if not is_ours(content):
            raise CorruptLog("an entry of the log is not of a log that runs by itself")
        try:
            batch = decode_log_batch(content[len(MARK) :])
        except Malformed as error:
            raise CorruptLog(f"an entry of the log cannot be read: {error}") from error
        return batch.stamp_ns, batch.events

    def load(self, content: bytes) -> State:
        """Raises: CorruptLog."""
        try:
            return Machine.load(self, content)
        except (ValueError, msgspec.MsgspecError) as error:
            raise CorruptLog(f"a snapshot of the log cannot be read: {error}") from error
