"""The core as a machine for the log: adds how its events become bytes and come back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from master.codec import decode_batch, encode_batch
from master.core.events import Batch, Event
from master.core.leadership import TakeOver
from master.core.machine import Machine
from master.core.state import State
from protocol.errors import CorruptLog, Malformed
from protocol.handshake import no_id


@dataclass(frozen=True, slots=True)
class Registrar(Machine):
    """The master's `rlog.machine.Machine`; `identify` tells the id of the log it is driven by."""

    identify: Callable[[], str] = no_id

    def take_over(self, term: int, address: str) -> TakeOver:
        return TakeOver(term, address, self.identify())

    def encode(self, stamp_ns: int, events: Sequence[Event]) -> bytes:
        return encode_batch(Batch(stamp_ns, tuple(events)))

    def decode(self, content: bytes) -> tuple[int, Sequence[Event]]:
        """Raises: CorruptLog: an event that cannot be read must not be skipped."""
        try:
            batch = decode_batch(content)
        except Malformed as error:
            raise CorruptLog(f"an entry of the log cannot be read: {error}") from error
        return batch.stamp_ns, batch.events

    def load(self, content: bytes) -> State:
        """Raises: CorruptLog."""
        try:
            return Machine.load(self, content)
        except (ValueError, msgspec.MsgspecError) as error:
            raise CorruptLog(f"a snapshot of the log cannot be read: {error}") from error
