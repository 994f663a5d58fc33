"""What may be looked at and copied of a member that is at work."""

from collections.abc import Callable

from rlog.log import LogHealth
from rlog.messages import Entry
from rlog.raft import Raft
from rlog.rows import Snapshot
from rlog.store import Store
from rlog.transport import Transport
from rlog.versions import Slowest


class MemberView:
    """A member's place, health and content, read while it is open."""

    _store: Store | None = None
    _raft: Raft
    _transport: Transport
    _is_broken = False
    _fsync_s = 0.0  # how long the newest write to disk took
    _told_committed = 0

    def __init__(self) -> None:
        self.on_committed: Callable[[], None] = lambda: None  # when more is, at most once a turn

    @property
    def is_open(self) -> bool:
        """Whether it takes part: started, not stopped, not broken, and its disk not full."""
        return self._store is not None and not self._is_broken

    @property
    def term(self) -> int:
        """The newest term seen."""
        return self._raft.term if self.is_open else 0

    @property
    def role(self) -> str:
        """`leader`, `candidate` or `follower`; empty while closed."""
        return self._raft.role.name.lower() if self.is_open else ""

    @property
    def leader(self) -> str:
        """Name of the leader as far as known, empty otherwise."""
        return self._raft.leader if self.is_open else ""

    @property
    def raft(self) -> Raft | None:
        """The consensus; None while closed."""
        return self._raft if self.is_open else None

    @property
    def cluster_id(self) -> str:
        """The id of the cluster, empty while none is known."""
        return self._raft.cluster_id if self.is_open else ""

    @property
    def applied(self) -> int:
        """Highest index the reader has seen, or that was the log's own."""
        return self._raft.applied if self.is_open else 0

    @property
    def is_snapshotting(self) -> bool:
        """Whether a snapshot of our own is being taken."""
        return self.is_open and self._raft.taking.is_under_way

    @property
    def is_removed(self) -> bool:
        """Whether it belonged once and does no more, as far as it knows."""
        return self.is_open and self._raft.is_removed

    @property
    def committed(self) -> int:
        """Highest index known to be committed."""
        return self._raft.committed if self.is_open else 0

    @property
    def held(self) -> tuple[int, int] | None:
        """Index of the first entry held and of the last committed one; None: not now."""
        if not self.is_open or (store := self._store) is None:
            return None
        return store.first, self.committed

    def _tell_committed(self) -> None:
        if self.committed != self._told_committed:
            self._told_committed = self.committed
            self.on_committed()

    def trouble_of(self, name: str) -> str:
        """Return why there is no link to a member; empty when there is one."""
        return self._transport.trouble_of(name)

    def slowest(self) -> Slowest:
        """Return the other member that understands the lowest version of the log."""
        return self._transport.incoming.slowest()

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
