"""What operators may look at and copy of a member that is at work."""

from rlog.log import LogHealth
from rlog.messages import Entry
from rlog.raft import Raft
from rlog.rows import Snapshot
from rlog.store import Store


class OperatorView:
    """A member's health and its content, read while it is open."""

    _store: Store | None = None
    _raft: Raft
    _is_broken = False
    _fsync_s = 0.0  # how long the newest write to disk took

    @property
    def is_open(self) -> bool:
        """Whether it takes part: started, not stopped, not broken, and its disk not full."""
        return self._store is not None and not self._is_broken

    @property
    def is_removed(self) -> bool:
        """Whether it belonged once and does no more, as far as it knows."""
        return self.is_open and self._raft.is_removed

    @property
    def committed(self) -> int:
        """Highest index known to be committed."""
        return self._raft.committed if self.is_open else 0

    def health(self) -> LogHealth | None:
        """Return how this member is; None while it is closed."""
        if not self.is_open or (store := self._store) is None:
            return None
        return LogHealth(
            last=store.last,
            snapshot_index=store.snapshot.index,
            snapshot_bytes=store.snapshot.size,
            fsync_ns=round(self._fsync_s * 1e9),
            used_bytes=store.used_bytes,
            free_bytes=store.free_bytes,
        )

    def copy_snapshot(self, offset: int) -> tuple[Snapshot, bytes] | None:
        """Return the newest snapshot's outside, and a chunk of its content from `offset` on.

        None: not now. Raises: CorruptLog.
        """
        if not self.is_open or (store := self._store) is None:
            return None
        return store.snapshot, store.load_part(offset)

    def copy_entries(self, first: int, last: int, bytes_max: int) -> list[Entry] | None:
        """Return committed entries from `first` on, one at least; None: not held (any more).

        Raises: CorruptLog.
        """
        if not self.is_open or (store := self._store) is None:
            return None
        end = min(last, self.committed)
        if not store.first <= first <= end:
            return None
        return store.range(first, end + 1, bytes_max)
