"""How a leader makes its log everybody's: sending, counting what is on disk, proving it leads."""

from dataclasses import replace
from functools import partial

from pysyncobj.node import Node

from rlog.journal import size_of
from rlog.membership import founding_command, noop_command
from rlog.messages import Appended, AppendEntries, Entry, SnapshotReceived, TimeoutNow
from rlog.progress import Progress
from rlog.raft_follower import Follower
from rlog.raft_member import Role
from rlog.reads import Then
from rlog.rows import Standing
from rlog.snapshot import SnapshotSending


class _SyncObj(Follower):
    """A member that can lead."""

    _progress: dict[str, Progress]
    _sequence = 0  # of the heartbeat round, in answers
    _heartbeat_s = 0.0  # when the next round is due

    def __onBecomeLeader(self) -> None:  # noqa: N802  # base's name
        self.__raftLeader = Node(self.name)
        self.__setState(Role.LEADER)
        self._progress = {}
        self._heartbeat_s = self._clock_s()
        self.__noopIDx = self.journal.last + 1
        cluster_id = self.journal.standing.cluster_id
        is_founded = cluster_id or self._foundings
        if self.is_amnesiac:
            # Who was elected holds everything, whatever it had forgotten before.
            self.journal.set_standing(Standing(cluster_id))
        self._append(noop_command() if is_founded else founding_command(self.config.proposed_id))

    def _use_configuration(self) -> None:
        """Forget what was known of former members: one that is added again may have lost all."""
        super()._use_configuration()
        if self.__raftState == Role.LEADER:
            self._progress = {n: known for n, known in self._progress.items() if n in self.peers}

    def _append(self, command: bytes) -> int:
        index = self.journal.last + 1
        self._add(Entry(index, self.__raftCurrentTerm, command))
        return index

    # Sending

    def _replicate(self) -> None:
        """Send every follower what it lacks, and a heartbeat when that is due."""
        now_s = self._clock_s()
        self._see_off(now_s)
        is_heartbeat = now_s >= self._heartbeat_s
        if is_heartbeat:
            self._heartbeat_s = now_s + self.config.heartbeat_s
            self._sequence += 1
        for name in self.peers:
            progress = self._progress_of(name)
            if Node(name) not in self.__connectedNodes:
                continue
            if progress.sending is None and progress.next <= self.journal.base_index:
                self._begin_snapshot(progress)
            if progress.sending is not None:
                self._send_chunks(name, progress, is_heartbeat)
            elif progress.is_probing:
                if is_heartbeat or progress.is_probe_due:
                    self._send_append(name, progress)
            else:
                self._stream(name, progress, is_heartbeat)

    def _see_off(self, now_s: float) -> None:
        """Let removed members go that know it, or that time or a snapshot would have to teach."""
        for name, departure in tuple(self._departures.items()):
            progress = self._progress_of(name)
            is_far = progress.sending is not None or progress.next <= self.journal.base_index
            if is_far or departure.is_over(progress.match, now_s):
                progress.sending = None
                del self._departures[name]
                self._use_configuration()

    def _end_for(self, name: str) -> int:
        """Return up to where a member is sent the log.

        One that was removed is still needed if that should not come to be committed, so it must
        not hear of it before.
        """
        return self.__raftCommitIndex if name in self._departures else self.journal.last

    def _progress_of(self, name: str) -> Progress:
        if name not in self._progress:
            self._progress[name] = Progress(self.journal.last, self._clock_s())
        return self._progress[name]

    def _stream(self, name: str, progress: Progress, is_heartbeat: bool) -> None:
        while progress.next <= self._end_for(name) and not progress.is_full:
            if not self._network.is_writable(name):
                break
            self._send_append(name, progress)
            is_heartbeat = False
        if is_heartbeat:
            self._send_append(name, progress, is_empty=True)

    def _send_append(self, name: str, progress: Progress, *, is_empty: bool = False) -> None:
        journal = self.journal
        previous = progress.next - 1
        previous_term = journal.term_at(previous)
        assert previous_term is not None
        entries: list[Entry] = []
        end = self._end_for(name)
        if not is_empty and progress.next <= end and self._network.is_writable(name):
            entries = journal.range(progress.next, end + 1, self.config.batch_bytes)
        message = AppendEntries(
            self.__raftCurrentTerm,
            self._sequence,
            self.__raftCommitIndex,
            previous,
            previous_term,
            tuple(entries),
            journal.last,
            self.cluster_id,
        )
        self._network.send(name, message)
        if entries or progress.is_probing:
            progress.sent(previous + len(entries), sum(map(size_of, entries)))

    def _begin_snapshot(self, progress: Progress) -> None:
        snapshot = self.journal.snapshot
        assert snapshot.index
        read = partial(self.journal.chunk, snapshot.index, self.journal.checksums)
        progress.probe(snapshot.index + 1)
        progress.sending = SnapshotSending(snapshot, read)

    def _send_chunks(self, name: str, progress: Progress, is_heartbeat: bool) -> None:
        sending, term, last = progress.sending, self.__raftCurrentTerm, self.journal.last
        assert sending is not None
        if is_heartbeat:
            sending.beat()
            heartbeat = sending.heartbeat(term, self._sequence)
            self._network.send(name, replace(heartbeat, last=last))
        if self._network.is_writable(name):
            for message in sending.chunks(term, self._sequence):
                self._network.send(name, replace(message, last=last))

    def _pin_snapshots(self) -> None:
        """Keep on disk what is being sent, though a newer snapshot takes its place."""
        self.journal.pinned = frozenset(
            sending.snapshot.index
            for name in self.peers
            if (sending := self._progress_of(name).sending) is not None
        )

    def _needed_by_followers(self) -> tuple[int, ...]:
        """Return up to where those hold everything that hear us now, and are behind perhaps.

        One that is sent a snapshot needs what follows it, or would need another one after it.
        """
        if self.__raftState != Role.LEADER:
            return ()
        heard = (self._progress_of(n) for n in self.peers if Node(n) in self.__connectedNodes)
        return tuple(each.sending.snapshot.index if each.sending else each.match for each in heard)

    # Answers

    def _on_appended(self, node: Node, answer: Appended) -> None:
        progress = self._answering(node, answer)
        if progress is None:
            return
        if answer.is_match:
            progress.matched(answer.match, is_amnesiac=bool(answer.until))
        elif progress.sending is None:
            if answer.until and answer.hint <= progress.match:
                progress.forget()
            progress.rejected(answer.previous_index, answer.hint)

    def _on_snapshot_received(self, node: Node, answer: SnapshotReceived) -> None:
        progress = self._answering(node, answer)
        if progress is None or progress.sending is None:
            return
        if progress.sending.snapshot.index == answer.index:
            progress.sending.received(answer.offset)

    def _answering(self, node: Node, answer: Appended | SnapshotReceived) -> Progress | None:
        if self.__raftState != Role.LEADER or node.id not in self.peers:
            return None
        progress = self._progress_of(node.id)
        progress.answered(answer.sequence, self._clock_s(), is_amnesiac=bool(answer.until))
        if answer.until > self.journal.last:
            self._append(noop_command())  # for this member to see it committed
        return progress

    # What a majority holds

    def _advance(self) -> None:
        """Commit what a majority has on disk, if it is of this term; prove reads."""
        configuration = self.configuration
        matches = {name: self._progress_of(name).trusted.match for name in self.peers}
        matches[self.name] = self.journal.durable
        index = configuration.agreed(matches)
        # An entry of an older term may still be replaced, however many hold it (Raft, 5.4.2).
        is_ours = self.journal.term_at(index) == self.__raftCurrentTerm
        if index > self.__raftCommitIndex and is_ours:
            self._commit(index)
        if self._is_commit_known:
            rounds = {name: self._progress_of(name).trusted.sequence for name in self.peers}
            rounds[self.name] = self._sequence
            self._reads.prove(configuration.agreed(rounds), self.__raftCommitIndex)

    @property
    def _is_commit_known(self) -> bool:
        """Whether an entry of our own term is committed, and with it all before."""
        return self.__noopIDx is not None and self.__raftCommitIndex >= self.__noopIDx

    def _check_quorum(self) -> None:
        """Stop leading when a majority was silent for as long as it takes to elect another."""
        if not self.is_voter and self.__raftCommitIndex >= self.configuration.index:
            self.hand_over()
            self._become_follower(self.__raftCurrentTerm)
            self.is_removed = True
        elif not self.configuration.is_quorum(self._answering_now()):
            self._become_follower(self.__raftCurrentTerm)

    def _answering_now(self) -> list[str]:
        """Return the members whose answers count and are no older than an election timeout."""
        since_s = self._clock_s() - self.config.election_timeout_s
        alive = [n for n in self.peers if self._progress_of(n).trusted.answered_s >= since_s]
        return [self.name, *alive]

    def read_barrier(self, then: Then) -> None:
        """Let `then(True)` be called when a read is linearizable with all before this call."""
        if self.__raftState != Role.LEADER:
            self._reads.refuse(then)
            return
        committed = self.__raftCommitIndex if self._is_commit_known else None
        self._reads.ask(self._sequence + 1, committed, then)
        self._heartbeat_s = self._clock_s()

    # Orderly stop

    def hand_over(self, successor: str = "") -> bool:
        """Ask a voter with the whole log to take over, or only this one; False: not now."""
        if self.__raftState != Role.LEADER:
            return False
        for name in self.configuration.voters:
            if name == self.name or name != (successor or name):
                continue
            is_reachable = Node(name) in self.__connectedNodes
            if is_reachable and self._progress_of(name).trusted.match == self.journal.last:
                self._network.send(name, TimeoutNow(self.__raftCurrentTerm))
                return True
        return False


Leader = _SyncObj
