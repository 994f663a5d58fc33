"""A snapshot of our own, from the moment it is due until the journal has it."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from rlog.dump import Dumper, Dumping
from rlog.journal import Journal
from rlog.log import Capture
from rlog.membership import Configuration
from rlog.rows import Snapshot

RETRY_S = 5.0  # after a failure; the log only grows a little longer meanwhile
UNKNOWN_BYTES = 1 << 40  # more than is ever dumped in this process

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Taken:
    """What is being written down: the state as of an entry of a term."""

    index: int
    term: int
    dumping: Dumping


class SnapshotTaking:
    """Owns the one snapshot under way; a leader's begins before its last entry is committed."""

    def __init__(
        self,
        journal: Journal,
        dumper: Dumper,
        wake: Callable[[], None],
        clock_s: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._dumper = dumper
        self._wake = wake
        self._clock_s = clock_s
        self._taken: _Taken | None = None
        self._after_s = float("-inf")

    @property
    def is_welcome(self) -> bool:
        """Whether another snapshot may begin."""
        return self._taken is None and self._clock_s() >= self._after_s

    @property
    def is_under_way(self) -> bool:
        """Whether a state is being written down."""
        return self._taken is not None

    def begin(self, capture: Capture, applied: int, written_bytes: int) -> bool:
        """Begin with a reader's state after so many bytes of entries; False: nothing is new."""
        journal = self._journal
        index = max(capture.index, applied)
        term = journal.term_at(index)
        if index <= journal.snapshot.index or term is None:
            return False
        dumping = self._dumper.begin(capture.dump, self._expect(written_bytes), self._wake)
        self._taken = _Taken(index, term, dumping)
        return True

    def _expect(self, written_bytes: int) -> int:
        """Return about how big a state is after so many bytes of entries.

        Of a first snapshot nothing is known: a little entry can make a state big.
        """
        snapshot = self._journal.snapshot
        if not snapshot.index:
            return UNKNOWN_BYTES
        # Entries rather change a state than make it grow by all that they weigh. One that does is
        # small enough to be dumped here once more: 16 MB take about 20 ms.
        return snapshot.size + written_bytes // 32

    def advance(
        self,
        committed: int,
        configuration_at: Callable[[int], Configuration],
        cluster_id: str = "",
    ) -> None:
        """Go on: hand the state to the journal once it is known and its entries are committed."""
        taken, journal = self._taken, self._journal
        if taken is None:
            return
        if taken.dumping.failure:
            log.warning("a snapshot failed, to be tried again", reason=taken.dumping.failure)
            self._after_s = self._clock_s() + RETRY_S
            self.abandon()
        elif journal.is_snapshotting:
            return
        elif taken.index <= journal.snapshot.index:
            self.abandon()  # it is on disk, or a leader's newer one is in its place
        elif journal.term_at(taken.index) != taken.term:
            self.abandon()  # another leader's entries took the place of ours
        elif taken.index <= committed and (outline := taken.dumping.outline) is not None:
            known = configuration_at(taken.index)
            snapshot = Snapshot(
                index=taken.index,
                term=taken.term,
                configuration_index=known.index,
                voters=known.voters,
                size=outline.size,
                crc=outline.crc,
                learners=known.learners,
                cluster_id=cluster_id,
            )
            journal.put_snapshot(snapshot, outline, taken.dumping)

    def abandon(self) -> None:
        """Forget what is under way."""
        if self._taken is not None:
            self._journal.drop_snapshot()
            self._taken.dumping.close()
            self._taken = None
