"""The core as a machine for the log: adds how its events become bytes and come back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from master.codec import decode_batch, encode_batch
from master.core import versions
from master.core.draft import Outcome
from master.core.events import Batch, Event
from master.core.leadership import TakeOver
from master.core.machine import Command, Machine
from master.core.reasons import Reason
from master.core.state import State
from protocol.decision import Refused
from protocol.errors import CorruptLog, Malformed
from protocol.handshake import no_id
from rlog.versions import Slowest, mark, needed_by, nobody, object_to, unmark


@dataclass(frozen=True, slots=True)
class Registrar(Machine):
    """The master's `rlog.machine.Machine`.

    `identify` tells the id of the log it is driven by, `slowest` which other master understands
    least of it.
    """

    identify: Callable[[], str] = no_id
    slowest: Callable[[], Slowest] = nobody

    def take_over(self, term: int, address: str) -> TakeOver:
        return TakeOver(term, address, self.identify())

    def decide(self, state: State, command: Command, now_ns: int) -> Outcome:
        """Refuses: UPGRADE_UNFINISHED what not all masters would understand; as the core does."""
        outcome = Machine.decide(self, state, command, now_ns)
        if versions.SINCE and not isinstance(outcome, Refused):
            needed = needed_by(outcome.events, versions.SINCE)
            if objection := object_to(needed, state.version, self.slowest()):
                return Refused(Reason.UPGRADE_UNFINISHED, objection)
        return outcome

    def encode(self, stamp_ns: int, events: Sequence[Event]) -> bytes:
        content = encode_batch(Batch(stamp_ns, tuple(events)))
        return mark(content, needed_by(events, versions.SINCE))

    def decode(self, content: bytes) -> tuple[int, Sequence[Event]]:
        """Raises: NewerLog, CorruptLog: an event that cannot be read must not be skipped."""
        content = unmark(content, versions.VERSION)
        try:
            batch = decode_batch(content)
        except Malformed as error:
            raise CorruptLog(f"an entry of the log cannot be read: {error}") from error
        return batch.stamp_ns, batch.events

    def load(self, content: bytes) -> State:
        """Raises: NewerLog, CorruptLog."""
        try:
            return Machine.load(self, content)
        except (ValueError, msgspec.MsgspecError) as error:
            raise CorruptLog(f"a snapshot of the log cannot be read: {error}") from error
