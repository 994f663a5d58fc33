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
from rlog.replica import ReplicatedLog

ENTRIES_BYTES = 256 << 10  # per answer, beyond the first entry


class LogCopier:
    """Answers for one master's log; any replica has what is committed."""

    def __init__(self, log: ReplicatedLog, cluster: str, clock_ns: Callable[[], int]) -> None:
        self._log, self._cluster, self._clock_ns = log, cluster, clock_ns
        self._clearing = Clearing(log)

    def compact(self, done: Callable[[Outcome], None]) -> None:
        """Have a snapshot taken now, and what it covers dropped."""
        self._clearing.begin(done)

    def answer(self, request: ReadSnapshot | ReadEntries) -> SnapshotPart | EntriesPart | Failed:
        """Return what was asked for, or why not."""
        try:
            if isinstance(request, ReadSnapshot):
                return self._answer_snapshot(request)
            return self._answer_entries(request)
        except CorruptLog as error:
            return Failed(request.call, "CORRUPT_LOG", str(error))

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
        entries = self._log.copy_entries(request.first, request.last, ENTRIES_BYTES)
        if entries is None:
            text = f"entries from {request.first} on are not held here; begin again"
            return Failed(request.call, "COMPACTED", text)
        found = tuple(LogEntry(each.index, each.term, each.command) for each in entries)
        return EntriesPart(request.call, found)
