"""The log for operators: its snapshot and committed entries in frames, and made short on demand."""

from collections.abc import Callable

from protocol.errors import CorruptLog
from protocol.messages.operator import (
    EntriesPart,
    Failed,
    LogEntry,
    ReadEntries,
    ReadSnapshot,
    SnapshotPart,
)
from rlog.clearing import Clearing, Outcome
from rlog.following import Caller, Following, Say
from rlog.replica import ReplicatedLog

ENTRIES_BYTES = 256 << 10  # per answer, beyond the first entry


class LogCopier:
    """Answers for one master's log; any replica has what is committed."""

    def __init__(self, log: ReplicatedLog, cluster: str, clock_ns: Callable[[], int]) -> None:
        self._log, self._cluster, self._clock_ns = log, cluster, clock_ns
        self._clearing = Clearing(log)
        self._following = Following(self._answer_entries)
        log.on_committed = self._following.touch

    def compact(self, done: Callable[[Outcome], None]) -> None:
        """Have a snapshot taken now, and what it covers dropped."""
        self._clearing.begin(done)

    def answer(self, request: ReadSnapshot | ReadEntries, caller: Caller, say: Say) -> None:
        """Say what was asked for, or why not, now or when there is something new."""
        if isinstance(request, ReadEntries):
            self._following.answer(request, caller, say)
            return
        try:
            say(self._answer_snapshot(request))
        except CorruptLog as error:
            say(Failed(request.call, "CORRUPT_LOG", str(error)))

    def forget(self, caller: Caller) -> None:
        """Drop what a link that is gone has asked."""
        self._following.forget(caller)

    def _answer_snapshot(self, request: ReadSnapshot) -> SnapshotPart | Failed:
        found = self._log.copy_snapshot(request.offset)
        if found is None:
            text = "a snapshot is being installed; ask another master, or again"
            return Failed(request.call, "NOT_NOW", text)
        snapshot, content = found
        if request.index not in (0, snapshot.index):
            text = f"the snapshot of entry {request.index} was replaced; begin again"
            return Failed(request.call, "COMPACTED", text)
        return SnapshotPart(
            call=request.call,
            index=snapshot.index,
            term=snapshot.term,
            configuration_index=snapshot.configuration_index,
            voters=snapshot.voters or self._log.configuration.voters,
            size_bytes=snapshot.size,
            crc=snapshot.crc,
            content=content,
            log_term=self._log.term,
            committed=self._log.committed,
            cluster=self._cluster,
            stamp_ns=self._clock_ns(),
        )

    def _answer_entries(self, request: ReadEntries) -> EntriesPart | Failed:
        held = self._log.held
        if held is None:
            text = "this master takes no part now; ask another, or again"
            return Failed(request.call, "NOT_NOW", text)
        first, committed = held
        if 0 < request.first < first:
            text = (
                f"entries before {first} are not held any more, and {request.first} was asked for"
            )
            return Failed(request.call, "COMPACTED", text)
        try:
            entries = self._log.copy_entries(request.first, request.last, ENTRIES_BYTES)
        except CorruptLog as error:
            return Failed(request.call, "CORRUPT_LOG", str(error))
        found = tuple(LogEntry(each.index, each.term, each.command) for each in entries or ())
        return EntriesPart(request.call, found, first, committed)
