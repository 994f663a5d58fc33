"""How a member comes to lead: pre-vote, votes collected by voter and durable before they count."""

from pysyncobj.node import Node

from rlog.messages import RequestVote, TimeoutNow, Vote
from rlog.raft_member import Member, Role

# Heartbeats that a leader whose link was lost may still miss, and as many again by chance: it says
# more within one if only the link was lost, and members that noticed at once do not stand at once.
MISSED_MIN = 1.5


class _SyncObj(Member):
    """A member that can stand for election and vote."""

    _votes: frozenset[str] = frozenset()
    _amnesiac_votes: frozenset[str] = frozenset()  # of those that may have promised otherwise
    _pre_term = 0  # the term asked for in a pre-vote under way, 0: none

    def disconnected(self, name: str) -> None:
        """Note that messages to `name` do not arrive; a leader that is gone is not waited for."""
        super().disconnected(name)
        if self.__raftState == Role.FOLLOWER and name == self.leader:
            self._heard_s = float("-inf")  # until it says more: another may be elected
            missed = MISSED_MIN * (1 + self._rng.random())
            soon_s = self._clock_s() + missed * self.config.heartbeat_s
            self.__raftElectionDeadline = min(self.__raftElectionDeadline, soon_s)

    def campaign(self, *, is_forced: bool = False) -> None:
        """Ask whether an election could be won, without disturbing a leader that is well."""
        self._put_off_election()
        if not self._may_stand():
            self._sit_out()
            return
        if is_forced:
            self._stand(is_forced=True)
            return
        self._become_follower(self.__raftCurrentTerm)
        self._pre_term = self.__raftCurrentTerm + 1
        self._votes = self._amnesiac_votes = frozenset()
        self._request_votes(self._pre_term, is_pre_vote=True)
        self._count(self._grant_of(self._pre_term, is_pre_vote=True), self.name)

    def _may_stand(self) -> bool:
        """Whether we may be needed to lead: also who goes is, until that is committed.

        Its log may be longer than all others' by its own removal, so that nobody else can win.
        """
        is_going = self.name in self._membership.at(self.__raftCommitIndex).voters
        return (self.is_voter or is_going) and not self.is_removed

    def _sit_out(self) -> None:
        """Follow nobody: no leader is heard, and votes are not ours to ask for."""
        self._become_follower(self.__raftCurrentTerm)
        members = self.committed_members
        if members and self.name not in members and not self.is_amnesiac:
            self.is_removed = True  # while it is filled a member passes through times without it

    def _stand(self, *, is_forced: bool) -> None:
        self._become_follower(self.__raftCurrentTerm)
        self._pre_term = 0
        self._votes = self._amnesiac_votes = frozenset()
        self.__setState(Role.CANDIDATE)
        self.__setCurrentTerm(self.__raftCurrentTerm + 1, self.name)
        self._request_votes(self.__raftCurrentTerm, is_forced=is_forced)
        # Our own vote comes back to us when it is on disk, and counts from then on.
        self._hold(self.name, self._grant_of(self.__raftCurrentTerm))

    def _grant_of(self, term: int, *, is_pre_vote: bool = False, is_granted: bool = True) -> Vote:
        return Vote(term, is_pre_vote, is_granted, self.is_amnesiac)

    def _request_votes(
        self, term: int, *, is_pre_vote: bool = False, is_forced: bool = False
    ) -> None:
        last = self.journal.last
        last_term = self.journal.term_at(last)
        assert last_term is not None
        request = RequestVote(term, is_pre_vote, is_forced, last, last_term, self.cluster_id)
        for name in self.configuration.voters:
            if name != self.name:
                self._hold(name, request)

    def _on_request_vote(self, node: Node, request: RequestVote) -> None:
        if self._is_of_the_past(node, request):
            self._hold(node.id, self._removal_of(request))
            return
        if node.id not in self.configuration.voters and request.term <= self.__raftCurrentTerm:
            return
        if not request.is_forced and self._hears_leader():
            if request.is_pre_vote:
                self._hold(node.id, Vote(self.__raftCurrentTerm, is_pre_vote=True))
            return
        if request.is_pre_vote:
            is_granted = request.term > self.__raftCurrentTerm and self._is_fit(request)
            term = request.term if is_granted else self.__raftCurrentTerm
            self._hold(node.id, self._grant_of(term, is_pre_vote=True, is_granted=is_granted))
            return
        if request.term > self.__raftCurrentTerm:
            self._become_follower(request.term)
        is_granted = self._grant(node, request)
        self._hold(node.id, self._grant_of(self.__raftCurrentTerm, is_granted=is_granted))

    def _is_of_the_past(self, node: Node, request: RequestVote) -> bool:
        """Whether the candidate belongs no more, and cannot know it.

        It lacks something that is committed, so it could not be elected anyway; should it belong
        again by then, a leader that we have not heard of will send it the log.
        """
        if not self.cluster_id or node.id in (*self.configuration.members, *self.committed_members):
            return False
        term, index = self._known_to_last()
        return (request.last_term, request.last_index) < (term, index)

    def _removal_of(self, request: RequestVote) -> Vote:
        term, index = self._known_to_last()
        return Vote(
            self.__raftCurrentTerm, request.is_pre_vote, removed_at=index, removed_term=term
        )

    def _known_to_last(self) -> tuple[int, int]:
        """Return term and index of the newest entry that is known to be committed."""
        index = self.__raftCommitIndex
        term = self.journal.term_at(index)
        assert term is not None
        return term, index

    def _learn_removal(self, vote: Vote) -> None:
        """Ask for no more votes, unless our log goes on beyond what the voter knows."""
        last = self.journal.last
        ours = (self.journal.term_at(last) or 0, last)
        if ours < (vote.removed_term, vote.removed_at) and not self._hears_leader():
            self._become_follower(self.__raftCurrentTerm)
            self._pre_term = 0
            self.is_removed = True

    def _grant(self, node: Node, request: RequestVote) -> bool:
        """Give this term's one vote, or say that it was given to the same member before."""
        if request.term < self.__raftCurrentTerm or not self._is_fit(request):
            return False
        if self.__votedForNodeId is None:
            self.__setCurrentTerm(request.term, node.id)
        if self.__votedForNodeId != node.id:
            return False
        self._put_off_election()
        return True

    def _hears_leader(self) -> bool:
        """Whether there is a leader that an election would only disturb."""
        silence_s = self._clock_s() - self._heard_s
        return self.__raftState == Role.LEADER or silence_s < self.config.election_timeout_s

    def _is_fit(self, request: RequestVote) -> bool:
        """Whether a candidate lacks nothing that we know of.

        Who knows that the cluster was founded, though not what was decided there, helps nobody to
        found it a second time.
        """
        is_witness = self.is_amnesiac and bool(self.journal.standing.cluster_id)
        return self._is_up_to_date(request) and bool(request.last_index or not is_witness)

    def _is_up_to_date(self, request: RequestVote) -> bool:
        last = self.journal.last
        return (request.last_term, request.last_index) >= (self.journal.term_at(last), last)

    def _count(self, vote: Vote, voter: str) -> None:
        """Collect a vote; each voter counts once.

        Learners are asked for none, and theirs count only with one that knows them as voters: a
        promoted member may not have heard of that yet.
        """
        if vote.removed_at:
            self._learn_removal(vote)
        if not vote.is_granted or voter not in self.configuration.voters:
            return
        if vote.is_pre_vote:
            is_asked = vote.term == self._pre_term == self.__raftCurrentTerm + 1
            if is_asked and self._is_won_with(vote, voter):
                self._stand(is_forced=False)
            return
        is_asked = self.__raftState == Role.CANDIDATE and vote.term == self.__raftCurrentTerm
        if is_asked and self._is_won_with(vote, voter):
            self.__onBecomeLeader()

    def _is_won_with(self, vote: Vote, voter: str) -> bool:
        """Whether this vote completes what an election needs.

        A majority of those that remember their promises. Before the founding of the cluster is
        known to be committed everybody will do too: then nobody holds more than the candidate.
        """
        if vote.is_amnesiac:
            self._amnesiac_votes |= {voter}
        else:
            self._votes |= {voter}
        configuration = self.configuration
        if configuration.is_quorum(self._votes):
            return True
        is_founding = not self.journal.standing.cluster_id and not configuration.index
        return is_founding and configuration.is_everybody(self._votes | self._amnesiac_votes)

    def _on_timeout_now(self, node: Node, message: TimeoutNow) -> None:
        """Take over at once: the leader stops and says that our log is as long as its own."""
        if message.term == self.__raftCurrentTerm and node == self.__raftLeader:
            self.campaign(is_forced=True)


Elector = _SyncObj
