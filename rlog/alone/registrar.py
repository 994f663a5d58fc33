"""The core as a machine for the log: adds how its events become bytes and come back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from protocol.decision import Refused
from protocol.errors import CorruptLog, Malformed
from protocol.handshake import no_id
from rlog.alone.codec import decode_log_batch, encode_log_batch
from rlog.alone.core import versions
from rlog.alone.core.events import LogBatch, LogEvent
from rlog.alone.core.machine import Command, Machine, Outcome, TakeOver
from rlog.alone.core.state import MARK, State, is_ours
from rlog.spaces.records import SpaceReason
from rlog.versions import Slowest, mark, needed_by, nobody, object_to, unmark

REVISIONS_SKIPPED = 1_000_000_000  # more than a log gives between a backup and its loss


@dataclass(frozen=True, slots=True)
class LoneRegistrar(Machine):
    """An `rlog.machine.Machine`.

    `identify` tells the id of the log it is driven by, `slowest` which other member understands
    least of it.
    """

    identify: Callable[[], str] = no_id
    slowest: Callable[[], Slowest] = nobody

    def take_over(self, term: int, address: str) -> TakeOver:
        return TakeOver(term, address, self.identify())

    def decide(self, state: State, command: Command, now_ns: int) -> Outcome:
        """Refuses: UPGRADE_UNFINISHED what not all members would understand; as the core does."""
        outcome = Machine.decide(self, state, command, now_ns)
        if versions.SINCE and not isinstance(outcome, Refused):
            needed = needed_by(outcome.events, versions.SINCE)
            if objection := object_to(needed, state.version, self.slowest()):
                return Refused(SpaceReason.UPGRADE_UNFINISHED, objection)
        return outcome

    def encode(self, stamp_ns: int, events: Sequence[LogEvent]) -> bytes:
        content = encode_log_batch(LogBatch(stamp_ns, tuple(events)))
        return MARK + mark(content, needed_by(events, versions.SINCE))

    def decode(self, content: bytes) -> tuple[int, Sequence[LogEvent]]:
        """Raises: NewerLog, CorruptLog: an event that cannot be read must not be skipped."""
        if not is_ours(content):
            raise CorruptLog("an entry of the log is not of a log that runs by itself")
        try:
            batch = decode_log_batch(unmark(content[len(MARK) :], versions.VERSION))
        except Malformed as error:
            raise CorruptLog(f"an entry of the log cannot be read: {error}") from error
        return batch.stamp_ns, batch.events

    def load(self, content: bytes) -> State:
        """Raises: NewerLog, CorruptLog."""
        try:
            return Machine.load(self, content)
        except (ValueError, msgspec.MsgspecError) as error:
            raise CorruptLog(f"a snapshot of the log cannot be read: {error}") from error
