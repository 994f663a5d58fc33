"""Known mistakes, put back one at a time: does the simulation notice?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from protocol.errors import NotLeader
from rlog import repair
from rlog.held import Held
from rlog.journal import Journal
from rlog.membership import Configuration, Membership
from rlog.messages import (
    Appended,
    AppendEntries,
    InstallSnapshot,
    RaftMessage,
    RequestVote,
    SnapshotReceived,
    Vote,
)
from rlog.progress import Progress
from rlog.raft import Raft
from rlog.raft_changes import Changer
from rlog.raft_elections import Elector
from rlog.raft_follower import Follower
from rlog.raft_leader import Leader
from rlog.raft_member import Member, Role, configuration_of
from rlog.reads import Reads
from tests.simulation.raft.plan import Theme


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake, and the attribute of a class, or of a module, that it replaces."""

    mistake: str
    owner: object
    name: str
    replacement: Any
    theme: Theme  # under which it is looked for
    seed: int  # from which on; hunt.py finds others when the code has changed
    also: tuple[tuple[object, str, Any], ...] = ()  # what else it takes


def _release_at_once(self: Held, durable: int, term: int) -> list[tuple[str, RaftMessage]]:
    released = [(name, message) for _, name, message in self._messages]
    self._messages = []
    return released


def _forget_vote(self: Journal, term: int, vote: str) -> None:
    self.term, self.vote = term, ""
    self.version += 1
    self.term_version = self.version


def _grant_anybody(self: Any, node: Any, request: Any) -> bool:
    return bool(request.term >= self.term and self._is_up_to_date(request))


def _take_all(self: Any, message: AppendEntries) -> None:
    for entry in message.entries:
        if entry.index > max(self.committed, self.journal.base_index):
            if entry.index <= self.journal.last:
                self._truncate(entry.index)
            self._add(entry)


def _commit_tail(original: Callable[..., None]) -> Callable[..., None]:
    def on_append(self: Any, node: Any, message: AppendEntries) -> None:
        original(self, node, message)
        if self._find_conflict(message.previous_index, message.previous_term) is None:
            self._commit(min(message.committed, self.journal.last))

    return on_append


def _commit_old(original: Callable[..., None]) -> Callable[..., None]:
    def advance(self: Any) -> None:
        original(self)
        matches = {name: self._progress_of(name).match for name in self.peers}
        matches[self.name] = self.journal.durable
        self._commit(self.configuration.agreed(matches))

    return advance


def _prove_at_once(original: Callable[..., None]) -> Callable[..., None]:
    def prove(self: Reads, sequence: int, committed: int) -> None:
        original(self, 1 << 60, committed)

    return prove


def _accept_stale(original: Callable[..., None]) -> Callable[..., None]:
    def receive(self: Any, node: Any, message: RaftMessage) -> None:
        if isinstance(message, Appended) and message.term < self.term:
            message = replace(message, term=self.term)
        original(self, node, message)

    return receive


def _install(original: Callable[..., None]) -> Callable[..., None]:
    def on_snapshot(self: Any, node: Any, message: InstallSnapshot) -> None:
        if message.index <= self.committed and message.is_last and not message.offset:
            self._restored = message.chunk
            self._SyncObj__raftLastApplied = message.index
        original(self, node, message)

    return on_snapshot


def _no_majority(self: Configuration, names: Any) -> bool:
    return len(set(names)) >= max(1, len(self.voters) // 2)


def _agreed_too_early(self: Configuration, values: dict[str, int]) -> int:
    reached = sorted((values.get(name, 0) for name in self.voters), reverse=True)
    return reached[max(0, self.majority - 2)]


def _forget(self: Any) -> None:
    """Recall the snapshot's configuration and none of the log's."""
    snapshot = self.journal.snapshot
    if snapshot.index:
        self._membership.install(configuration_of(snapshot), snapshot.index, is_continued=False)
    self._use_configuration()


def _match_rejection(self: Progress, previous: int, hint: int) -> None:
    if previous > self.match:
        self.match = max(self.match, hint)


def _known_at_once(self: Any) -> bool:
    return True


def _count_learners(self: Configuration, values: dict[str, int]) -> int:
    reached = sorted((values.get(name, 0) for name in self.members), reverse=True)
    return reached[self.majority - 1]


def _ask_everybody(
    self: Any, term: int, *, is_pre_vote: bool = False, is_forced: bool = False
) -> None:
    last = self.journal.last
    request = RequestVote(term, is_pre_vote, is_forced, last, self.journal.term_at(last))
    for name in self.peers:
        self._hold(name, request)


def _elect_by_learners(self: Any, vote: Vote, voter: str) -> None:
    is_asked = vote.term == (self._pre_term if vote.is_pre_vote else self.term)
    if not vote.is_granted or not is_asked or self.role == Role.LEADER:
        return
    if not vote.is_pre_vote and self.role != Role.CANDIDATE:
        return
    self._votes |= {voter}
    if len(self._votes) >= self.configuration.majority:
        if vote.is_pre_vote:
            self._stand(is_forced=False)
        else:
            self._SyncObj__onBecomeLeader()


def _never(self: Any) -> bool:
    return False


def _do_nothing(self: Any, *arguments: Any) -> None:
    return


def _count_always(original: Callable[..., None]) -> Callable[..., None]:
    def matched(self: Progress, index: int, *, is_amnesiac: bool) -> None:
        original(self, index, is_amnesiac=False)

    return matched


def _trust_at_last(original: Callable[..., None]) -> Callable[..., None]:
    def mistrust(self: Any, node: Any, message: Any) -> None:
        original(self, node, replace(message, last=max(0, message.last - 1)))

    return mistrust


def _promote_at_once(self: Any, name: str) -> int:
    known = self._settled()
    if name not in known.learners:
        return int(known.index)
    rest = tuple(n for n in known.learners if n != name)
    return int(self._change((*known.voters, name), rest))


def _change_while_changing(self: Any) -> Configuration:
    if self.role != Role.LEADER:
        raise NotLeader(self.leader)
    known: Configuration = self.configuration
    return known


def _keep_voters(self: Membership, index: int) -> None:
    return


def _original(owner: type, name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(owner, name)
    return found


def _sure_of_chunks(self: Any, message: InstallSnapshot, offset: int) -> SnapshotReceived:
    return SnapshotReceived(self.term, message.sequence, message.index, offset)


def mutants() -> list[Mutant]:
    """Return all; tests/unit/rlog/test_raft*.py notice each too."""
    return [*_mutants_of_memory(), *_mutants_of_the_members(), *_mutants_of_the_log()]


def _mutants_of_memory() -> list[Mutant]:
    mistrust, theme = "_mistrust_ourselves", Theme.MEMORY
    matched = _count_always(_original(Progress, "matched"))
    trusting = _trust_at_last(_original(Follower, mistrust))
    before = "what was committed before proves leadership"
    sure = "chunks are received as if nothing was forgotten"
    forgetless = property(_never)
    return [
        Mutant("a member without memory votes", Member, "is_amnesiac", forgetless, theme, 0),
        Mutant("what is filled counts at once", Follower, mistrust, _do_nothing, theme, 1),
        Mutant("acknowledgements without memory count", Progress, "matched", matched, theme, 1),
        Mutant(before, Follower, mistrust, trusting, theme, 14),
        Mutant(sure, Follower, "_received_of", _sure_of_chunks, theme, 0),
        Mutant("who set its file aside counts at once", repair, "UNSEEN", 0, Theme.DAMAGE, 150),
    ]


def _mutants_of_the_members() -> list[Mutant]:
    theme = Theme.MEMBERS
    everybody = (Elector, "_request_votes", _ask_everybody)
    settled, agreed = "_settled", "agreed"
    overlap = _change_while_changing
    return [
        Mutant(
            "acknowledgements of learners count", Configuration, agreed, _count_learners, theme, 35
        ),
        Mutant(
            "a learner votes", Elector, "_count", _elect_by_learners, Theme.VOTES, 7, (everybody,)
        ),
        Mutant(
            "a learner that lags is promoted",
            Changer,
            "promote",
            _promote_at_once,
            Theme.ANSWERS,
            26,
        ),
        Mutant("changes overlap", Changer, settled, overlap, theme, 0),
        Mutant("truncation keeps voters", Membership, "truncate", _keep_voters, theme, 3),
        Mutant("a restart forgets voters", Member, "_recall_membership", _forget, theme, 1),
    ]


def _mutants_of_the_log() -> list[Mutant]:
    received, votes = "_SyncObj__onMessageReceived", Theme.VOTES
    advance, on_append = _original(Leader, "_advance"), _original(Follower, "_on_append")
    on_snapshot, prove = _original(Follower, "_on_snapshot"), _original(Reads, "prove")
    stale, tail = _accept_stale(_original(Raft, received)), _commit_tail(on_append)
    at_once, old = property(_known_at_once), _install(on_snapshot)
    up_to_date, agreed = "_is_up_to_date", "agreed"
    return [
        Mutant("half of the voters elect", Configuration, "is_quorum", _no_majority, votes, 0),
        Mutant("less than a majority commits", Configuration, agreed, _agreed_too_early, votes, 1),
        Mutant("a rejection counts as a match", Progress, "rejected", _match_rejection, votes, 0),
        Mutant("a new leader reads at once", Leader, "_is_commit_known", at_once, votes, 1),
        Mutant("an unverified tail is committed", Follower, "_on_append", tail, Theme.MIXED, 13),
        Mutant(
            "votes for a shorter log", Elector, up_to_date, lambda self, request: True, votes, 1
        ),
        Mutant("an old snapshot is installed", Follower, "_on_snapshot", old, Theme.MIXED, 0),
        Mutant("messages leave before the fsync", Held, "release", _release_at_once, votes, 0),
        Mutant("several votes in one term", Elector, "_grant", _grant_anybody, votes, 1),
        Mutant("matching entries are taken back", Follower, "_take", _take_all, votes, 0),
        Mutant("reads without proof", Reads, "prove", _prove_at_once(prove), Theme.MEMORY, 0),
        Mutant("the vote is not remembered", Journal, "set_term", _forget_vote, votes, 8),
        Mutant("old terms are committed", Leader, "_advance", _commit_old(advance), votes, 0),
        Mutant("answers of an old term count", Raft, received, stale, Theme.ANSWERS, 4),
    ]
