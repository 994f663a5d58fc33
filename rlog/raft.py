"""A whole member: what it does with a message, with time, and in each turn of its owner.

No I/O and no clock of its own: the owner calls `receive`, `tick` and `turn`, and writes what the
journal has taken in between. The same class runs in daemons and under the simulation.
"""

from collections.abc import Iterator

from pysyncobj.node import Node

from protocol.errors import NotLeader, Overloaded, TooLarge
from rlog.cadence import is_due
from rlog.garbage import uncollected
from rlog.journal import Job
from rlog.log import Committed, LogReader
from rlog.membership import PAYLOAD, kind_of, payload_command
from rlog.messages import (
    Appended,
    AppendEntries,
    Entry,
    InstallSnapshot,
    RaftMessage,
    RequestVote,
    SnapshotReceived,
    TimeoutNow,
    Vote,
)
from rlog.raft_changes import Changer
from rlog.raft_member import Role
from rlog.reads import Then
from rlog.rows import Snapshot
from rlog.taking import SnapshotTaking

APPLY_BYTES = 256 << 10  # entries given to the reader per turn: some 50 ms of a master's folding
HOLD_SNAPSHOTS = 8  # as many snapshots back entries are kept for followers that are being filled


class _SyncObj(Changer):
    """One member of a replicated log."""

    reader: LogReader
    taking: SnapshotTaking
    _told_term = 0  # the term in which the reader was told to lead, 0: it follows
    _told_leader = ""
    is_yielding = False  # appends wait while another member is asked to lead
    _clear_to = 0  # entries up to here are dropped as soon as a snapshot covers them
    _was_full = False  # at the end of the last turn the reader could not append
    _snapshots: tuple[int, ...] = ()  # indexes of the newest of our own

    # What comes in

    def receive(self, name: str, message: RaftMessage) -> None:
        """Take a message of a member."""
        self.__onMessageReceived(Node(name), message)

    def __onMessageReceived(self, node: Node, message: RaftMessage) -> None:  # noqa: N802
        if isinstance(message, RequestVote | AppendEntries | InstallSnapshot):
            is_known = self.cluster_id and message.cluster_id
            if is_known and message.cluster_id != self.cluster_id:
                return  # of another cluster, whatever its name
        if isinstance(message, RequestVote):
            self._on_request_vote(node, message)
            return
        is_pre_vote = isinstance(message, Vote) and message.is_pre_vote and message.is_granted
        if message.term > self.__raftCurrentTerm and not is_pre_vote:
            self._become_follower(message.term)
        if isinstance(message, Vote):
            self._count(message, node.id)
        elif message.term < self.__raftCurrentTerm:
            self._on_stale(node, message)
        elif isinstance(message, AppendEntries):
            self._on_append(node, message)
        elif isinstance(message, Appended):
            self._on_appended(node, message)
        elif isinstance(message, InstallSnapshot):
            self._on_snapshot(node, message)
        elif isinstance(message, SnapshotReceived):
            self._on_snapshot_received(node, message)
        elif isinstance(message, TimeoutNow):
            self._on_timeout_now(node, message)

    def _on_stale(self, node: Node, message: RaftMessage) -> None:
        """Tell a leader of an older term that it is over; drop anything else of the past."""
        if isinstance(message, AppendEntries | InstallSnapshot):
            self._hold(node.id, Appended(self.__raftCurrentTerm))

    def connected(self, name: str) -> None:
        """Note that messages to `name` arrive from now on; earlier ones may be lost."""
        super().connected(name)
        if self.role == Role.LEADER and name in self.peers:
            progress = self._progress_of(name)
            progress.probe(progress.next)
            if progress.sending is not None:
                progress.sending.repeat()  # what was in flight is lost with the link

    # What time brings

    def tick(self) -> None:
        """Do what is due: stand for election, or stop leading without a majority."""
        if self.__raftState == Role.LEADER:
            self._check_quorum()
        elif self._clock_s() > self.__raftElectionDeadline:
            self.campaign()

    def turn(self) -> None:
        """Let go what is on disk, send, commit, and drive the reader; then write the journal."""
        for name, message in self._held.release(self.journal.durable_version, self.term):
            if name == self.name:
                self.receive(name, message)
            else:
                self._network.send(name, message)
        self._install_if_whole()
        if self.__raftState == Role.LEADER:
            self._replicate()
            self._advance()
            self._pin_snapshots()
        else:
            self.journal.pinned = frozenset()
        self._tell_following()
        self.__applyLogEntries()
        self._tell_leading()
        self._tell_room()
        self._snapshot_if_due()

    def written(self, job: Job) -> Snapshot | None:
        """Note that a job is on disk; return the snapshot that came to rest with it."""
        snapshot = self.journal.done(job)
        if snapshot is not None:
            self._snapshots = (*self._snapshots, snapshot.index)[-HOLD_SNAPSHOTS:]
            needed = min((snapshot.index, *self._needed_by_followers()))
            kept = max(needed, self._snapshots[0]) - self.config.keep_entries
            self.journal.compact(max(0, kept, min(self._clear_to, snapshot.index)))
        return snapshot

    def clear(self) -> int:
        """Let a snapshot cover all that is applied now, and no entry before it stay.

        Returns the index from which on entries are held when that is done, less one.
        """
        self._clear_to = self.__raftLastApplied
        if self.journal.snapshot.index >= self._clear_to:
            self.journal.compact(self._clear_to)
        return self._clear_to

    def take_answers(self) -> list[tuple[Then, bool]]:
        """Return the read barriers to be called back now."""
        return self._reads.take_answers()

    # Appending

    @property
    def is_leading(self) -> bool:
        """Whether the reader was told to lead, and still does."""
        is_told = self._told_term == self.__raftCurrentTerm
        return is_told and bool(self.__raftState == Role.LEADER)

    @property
    def window_free(self) -> int:
        """How many more appends are welcome; a leader's own slow disk counts too."""
        if not self.is_leading or self.is_yielding:
            return 0
        settled = min(self.__raftCommitIndex, self.journal.durable)
        return max(0, self.config.window_max - (self.journal.last - settled))

    def append(self, payload: bytes) -> int:
        """Return the index of a payload in flight. Raises: NotLeader, Overloaded, TooLarge."""
        if not self.is_leading:
            raise NotLeader(self.leader)
        if len(payload) > self.config.payload_bytes_max:
            raise TooLarge(f"a payload of {len(payload)} bytes")
        if self.window_free == 0:
            raise Overloaded(f"{self.config.window_max} payloads are in flight")
        return self._append(payload_command(payload))

    # Driving the reader

    def restore(self) -> None:
        """Have the reader begin at the newest snapshot. Raises: CorruptLog, and what it raises."""
        snapshot = self.journal.snapshot
        with uncollected(snapshot.size):
            self.reader.restore(self.journal.load_snapshot(), snapshot.index)

    def _tell_following(self) -> None:
        """Tell the reader of a lost leadership before it is given what others committed."""
        leader = "" if self.__raftState == Role.LEADER else self.leader
        is_lost = self._told_term != 0 and not self.is_leading
        if is_lost or (leader != self._told_leader and not self.is_leading):
            self._told_term, self._told_leader = 0, leader
            self.reader.follow(leader)
        if self._restored is not None:
            content, self._restored = self._restored, None
            with uncollected(len(content)):
                self.reader.restore(content, self.__raftLastApplied)

    @property
    def is_behind(self) -> bool:
        """Whether the reader is to be given more at once, in a turn of its own."""
        return bool(self.__raftLastApplied < self.__raftCommitIndex)

    def __applyLogEntries(self) -> None:  # noqa: N802  # base's name
        """Give the reader what is committed, after a restart bit by bit: others wait for us."""
        if self.is_behind:
            first, end = self.__raftLastApplied + 1, self.__raftCommitIndex + 1
            entries = self.journal.range(first, end, APPLY_BYTES)
            self.__raftLastApplied = entries[-1].index
            self._applied_bytes += sum(len(entry.command) for entry in entries)
            payloads = list(_payloads_of(entries))
            if payloads:
                self.reader.committed(payloads)
        self._reads.apply(self.__raftLastApplied)

    def _tell_leading(self) -> None:
        """Tell the reader to lead once all that earlier leaders committed was given to it."""
        if self.__raftState != Role.LEADER or self.is_leading or not self._is_commit_known:
            return
        if self.__raftLastApplied < (self.__noopIDx or 0):
            return
        self._told_term, self._told_leader = self.__raftCurrentTerm, ""
        self.reader.lead(self.__raftCurrentTerm)

    def _tell_room(self) -> None:
        """Let the reader look again when our own disk, the slowest, has caught up.

        Everything may be committed by then, so that no commit would tell it.
        """
        is_full = self.is_leading and self.window_free == 0
        if self._was_full and self.is_leading and not is_full:
            self.reader.committed(())
        self._was_full = is_full

    def _snapshot_if_due(self) -> None:
        """Let the reader write its state down instead of ever more entries."""
        journal, index, members = self.journal, self.__raftLastApplied, self.configuration.members
        is_now = is_due(self.config, members, journal.snapshot, index, self._applied_bytes)
        is_asked = journal.snapshot.index < self._clear_to
        if (is_now or is_asked) and self.taking.is_welcome:
            capture = self.reader.snapshot()
            if capture is not None and self.taking.begin(capture, index, self._applied_bytes):
                self._applied_bytes = 0
        cluster_id = journal.standing.cluster_id
        self.taking.advance(self.__raftCommitIndex, self._membership.at, cluster_id)

    def replay(self) -> tuple[bytes | None, int, Iterator[Committed]]:
        """Return the newest snapshot, its index, and all payloads after it that were applied."""
        index = self.journal.snapshot.index
        return self.journal.load_snapshot(), index, self._payloads(index + 1)

    def _payloads(self, index: int) -> Iterator[Committed]:
        while index <= self.__raftLastApplied:
            entries = self.journal.range(index, self.__raftLastApplied + 1)
            yield from _payloads_of(entries)
            index = entries[-1].index + 1


def _payloads_of(entries: list[Entry]) -> Iterator[Committed]:
    for entry in entries:
        if kind_of(entry.command) == PAYLOAD:
            yield Committed(entry.index, entry.term, entry.command[1:])


Raft = _SyncObj
