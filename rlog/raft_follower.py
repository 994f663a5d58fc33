"""How a follower takes entries and snapshots: verified, conflicts undone, answered when on disk."""

from dataclasses import replace

from pysyncobj.node import Node

from rlog.messages import Appended, AppendEntries, InstallSnapshot, SnapshotReceived
from rlog.raft_elections import Elector
from rlog.raft_member import Role, configuration_of
from rlog.snapshot import SnapshotArriving


class _SyncObj(Elector):
    """A member that follows a leader."""

    _arriving: SnapshotArriving | None = None
    _arrival: tuple[Node, InstallSnapshot]  # its newest chunk, and from whom
    _applied_bytes = 0  # since the last snapshot
    _restored: bytes | None = None  # a snapshot put in place that the reader was not told of

    def _hear(self, node: Node, message: AppendEntries | InstallSnapshot) -> None:
        """Note that the sender leads this term."""
        assert self.__raftState != Role.LEADER, f"{node} leads term {self.term} too"
        self._heard_s = self._clock_s()
        self._put_off_election()
        if self.__raftState != Role.FOLLOWER or self.__raftLeader != node:
            self._become_follower(self.__raftCurrentTerm, node.id)
            if self._arriving is not None and self._arriving.leader != node.id:
                self._stop_arriving()  # a chunk that takes long is no reason to begin anew
        self._pre_term = 0
        self.is_removed = False  # or it would not send us anything for long
        if self.is_amnesiac:
            self._mistrust_ourselves(node, message)

    def _mistrust_ourselves(self, node: Node, message: AppendEntries | InstallSnapshot) -> None:
        """Note durably, before anything is acknowledged, what we must see before we count.

        An entry that this leader appends from now on and commits without us proves that no later
        leader was elected with what we have forgotten, and all that we may have acknowledged is
        before it. Nothing is forgotten by a founder that voted for this very leader.
        """
        term, standing = self.__raftCurrentTerm, self.journal.standing
        is_founder = not self.journal.last and self.__votedForNodeId == node.id
        if is_founder and not message.cluster_id and not standing.amnesia_until:
            return
        if standing.amnesia_term != term:
            noted = replace(standing, amnesia_term=term, amnesia_until=message.last + 1)
            self.journal.set_standing(noted)

    def _trust_ourselves(self) -> None:
        """Count again once what was noted is committed, by the leader it was noted of."""
        standing = self.journal.standing
        is_reached = self.__raftCommitIndex >= standing.amnesia_until
        if standing.amnesia_until and is_reached and standing.amnesia_term == self.term:
            self.journal.set_standing(replace(standing, amnesia_term=0, amnesia_until=0))

    @property
    def _until(self) -> int:
        """What makes our answers count again, 0: they do."""
        return self.journal.standing.amnesia_until

    def _on_append(self, node: Node, message: AppendEntries) -> None:
        self._hear(node, message)
        hint = self._find_conflict(message.previous_index, message.previous_term)
        if hint is not None:
            self._reject(node, message, hint)
            return
        self._take(message)
        # What we know as committed is in every later leader's log.
        floor = max(self.__raftCommitIndex, self.journal.base_index)
        verified = max(floor, message.previous_index + len(message.entries))
        self._commit(min(message.committed, verified))  # our own tail beyond it is not verified
        self._trust_ourselves()
        self._acknowledge(node, message, verified)

    def _find_conflict(self, index: int, term: int) -> int | None:
        """Return where the leader should try next, None when our logs agree at `index`."""
        journal = self.journal
        if index > journal.last:
            return journal.last + 1
        floor = max(self.__raftCommitIndex, journal.base_index)
        ours = journal.term_at(index) if index > floor else term
        if ours == term:
            return None
        while index - 1 > floor and journal.term_at(index - 1) == ours:
            index -= 1  # no entry of that term can be the leader's: skip them all
        return index

    def _take(self, message: AppendEntries) -> None:
        """Append what we lack; only an entry of another term takes ours back."""
        journal = self.journal
        for entry in message.entries:
            if entry.index <= max(self.__raftCommitIndex, journal.base_index):
                continue  # committed: it is the same
            if entry.index <= journal.last:
                if journal.term_at(entry.index) == entry.term:
                    continue
                self._truncate(entry.index)
            self._add(entry)

    def _reject(self, node: Node, message: AppendEntries, hint: int) -> None:
        self._hold(
            node.id,
            Appended(
                term=self.__raftCurrentTerm,
                sequence=message.sequence,
                hint=hint,
                previous_index=message.previous_index,
                until=self._until,
            ),
        )

    def _acknowledge(self, node: Node, message: AppendEntries, verified: int) -> None:
        """Answer that our log matches; a heartbeat is answered by what is on disk already.

        So a slow disk does not make a living follower look dead.
        """
        journal = self.journal
        match = verified if message.entries else min(verified, journal.durable)
        answer = self._match_of(message, match)
        if match <= journal.durable:
            self._hold(node.id, answer)
        else:
            self._held.hold_match(journal.version, journal.taken_version, node.id, answer)

    def _match_of(self, message: AppendEntries | InstallSnapshot, match: int) -> Appended:
        term, until = self.__raftCurrentTerm, self._until
        return Appended(term, message.sequence, is_match=True, match=match, until=until)

    def _on_snapshot(self, node: Node, message: InstallSnapshot) -> None:
        self._hear(node, message)
        if message.index <= self.__raftCommitIndex:
            self._stop_arriving()
            self._answer_held_snapshot(node, message)
            return
        if self._arriving is None or not self._arriving.is_of(node.id, message):
            self._stop_arriving()
            self._arriving = SnapshotArriving(node.id, message)
        arriving, journal = self._arriving, self.journal
        number = arriving.accept(message)
        if number is not None and message.chunk:
            journal.spool(message.index, number, message.chunk)
        if number is not None:
            arriving.version = journal.version
            self._arrival = (node, message)
        # Only what is on disk was received: the leader does not send faster than we write.
        answer = self._received_of(message, arriving.offset)
        self._held.hold(max(arriving.version, journal.term_version), node.id, answer)

    def _stop_arriving(self) -> None:
        if self._arriving is not None:
            self._arriving = None
            self.journal.forget_spooled()

    def _install_if_whole(self) -> None:
        """Put a snapshot in place whose chunks are all on disk."""
        arriving = self._arriving
        if arriving is None or not arriving.is_complete:
            return
        if self.journal.durable_version < arriving.version:
            return
        node, message = self._arrival
        if message.index <= self.__raftCommitIndex:  # entries were faster than its last write
            self._stop_arriving()
            self._answer_held_snapshot(node, message)
            return
        whole = arriving.assemble()
        if whole is None:
            self._stop_arriving()
            self._tell_received(node, message, 0)
            return
        self._arriving = None
        snapshot, checksums = whole
        index = snapshot.index
        is_continued = self.journal.term_at(index) == snapshot.term
        self.journal.install(snapshot, checksums)
        self._membership.install(configuration_of(snapshot), index, is_continued=is_continued)
        if not is_continued:
            self._foundings.clear()
        self._learn_cluster(snapshot.cluster_id)
        self._use_configuration()
        self.__raftCommitIndex = self.__raftLastApplied = index
        self._restored, self._applied_bytes = self.journal.load_snapshot(), 0
        self._trust_ourselves()
        self._held.hold(self.journal.version, node.id, self._match_of(message, index))

    def _answer_held_snapshot(self, node: Node, message: InstallSnapshot) -> None:
        """Say that we need no snapshot of this index, once what we hold of it is on disk."""
        if message.index <= self.journal.durable:
            self._hold(node.id, self._match_of(message, message.index))
        else:
            self._tell_received(node, message, message.offset + len(message.chunk))

    def _tell_received(self, node: Node, message: InstallSnapshot, offset: int) -> None:
        self._hold(node.id, self._received_of(message, offset))

    def _received_of(self, message: InstallSnapshot, offset: int) -> SnapshotReceived:
        term, until = self.__raftCurrentTerm, self._until
        return SnapshotReceived(term, message.sequence, message.index, offset, until)


Follower = _SyncObj
