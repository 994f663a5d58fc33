"""What every member of a log is, whatever its role: term, vote, configuration, journal.

This is the one door to pysyncobj. A class named `_SyncObj` shares the private-name prefix of the
base class, so `self.__raftState` here is the base's own field and `__onMessageReceived` in a
subclass of that name replaces the base's private method. The base's version is pinned, and the
names relied on are checked at start.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum
from typing import Any, Protocol

import pysyncobj
from pysyncobj.journal import Journal as PlainJournal
from pysyncobj.node import Node
from pysyncobj.transport import Transport
from pysyncobj.version import VERSION

from rlog.config import LogConfig
from rlog.departures import Departure
from rlog.held import Held
from rlog.journal import Journal
from rlog.membership import CONFIGURATION, FOUNDING, Configuration, Membership, kind_of
from rlog.messages import Entry, RaftMessage
from rlog.reads import Reads
from rlog.rows import Snapshot

PINNED = "0.3.17"
RELIED_ON = (
    "applyLogEntries",
    "generateRaftTimeout",
    "onBecomeLeader",
    "onMessageReceived",
    "onNodeConnected",
    "onNodeDisconnected",
    "setCurrentTerm",
    "setState",
)


class Role(IntEnum):
    """The base's states."""

    FOLLOWER = 0
    CANDIDATE = 1
    LEADER = 2


class Network(Protocol):
    """Where a member sends; delivery is neither promised nor confirmed."""

    def reach(self, name: str) -> None:
        """Keep a link to a member."""

    def leave(self, name: str) -> None:
        """Let the link to a former member go."""

    def send(self, name: str, message: RaftMessage) -> None:
        """Send, or drop when there is no link."""

    def is_writable(self, name: str) -> bool:
        """Whether the link takes more than heartbeats now."""


class _TermJournal(PlainJournal):  # type: ignore[misc]  # pysyncobj is untyped
    """The base's view of the journal: it sets the term through it and asks how long it is."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __len__(self) -> int:
        return self._journal.last - self._journal.base_index

    def setCurrentTerm(self, term: int, vote: str | None) -> None:  # noqa: N802  # base's name
        self._journal.set_term(term, vote or "")


class _SyncObj(pysyncobj.SyncObj):  # type: ignore[misc]  # pysyncobj is untyped
    """A member without a role: it can hold messages, change its term and know its voters."""

    def __init__(
        self,
        config: LogConfig,
        journal: Journal,
        founded: tuple[str, ...],
        network: Network,
        *,
        clock_s: Callable[[], float],
        rng: random.Random,
    ) -> None:
        assert VERSION == PINNED, f"pysyncobj {VERSION}: its private names are known for {PINNED}"
        assert all(hasattr(pysyncobj.SyncObj, f"_SyncObj__{name}") for name in RELIED_ON)
        self.config = config
        self.journal = journal
        self._network = network
        self._clock_s = clock_s
        self._rng = rng
        self._held = Held()
        self._reads = Reads()
        self._heard_s = float("-inf")
        self._membership = Membership(Configuration(0, tuple(sorted(founded))))
        self._foundings: dict[int, str] = {}  # ids by their entries; more than one after a recovery
        self._departures: dict[str, Departure] = {}  # of members that a leader removed
        self.is_removed = False  # we belonged once, and as far as we know no more
        super().__init__(config.name, [], _timing(config), nodeClass=Node, transport=_inert())
        self.__raftLog = _TermJournal(journal)
        self.__raftCurrentTerm: int = journal.term
        self.__votedForNodeId: str | None = journal.vote or None
        self.__raftCommitIndex: int = journal.committed
        self.__raftLastApplied: int = journal.snapshot.index
        self.__noopIDx: int | None = None
        self._recall_membership()
        self._put_off_election()

    # The outside of a member

    @property
    def name(self) -> str:
        """This member, as the others know it."""
        return self.config.name

    @property
    def term(self) -> int:
        """The newest term seen."""
        return self.__raftCurrentTerm

    @property
    def role(self) -> Role:
        """What this member is now."""
        return Role(self.__raftState)

    @property
    def leader(self) -> str:
        """Name of the leader of this term, empty when not known."""
        leader = self.__raftLeader
        return "" if leader is None else str(leader.id)

    @property
    def committed(self) -> int:
        """Highest index known to be committed."""
        return self.__raftCommitIndex

    @property
    def applied(self) -> int:
        """Highest index given to the reader, or passed over as the log's own."""
        return self.__raftLastApplied

    @property
    def configuration(self) -> Configuration:
        """Who votes now."""
        return self._membership.newest

    @property
    def committed_members(self) -> tuple[str, ...]:
        """Who belongs for certain, as far as this member knows."""
        return self._membership.at(self.__raftCommitIndex).members

    @property
    def is_voter(self) -> bool:
        """Whether this member's own vote and disk count."""
        return self.name in self.configuration.voters

    @property
    def peers(self) -> tuple[str, ...]:
        """The other members, in an order that is the same in every run."""
        return tuple(sorted(node.id for node in self.__otherNodes))

    @property
    def cluster_id(self) -> str:
        """The id of the cluster, empty until its founding is known to be committed.

        A member that is being filled has none: its log may go through ids of the past.
        """
        standing = self.journal.standing
        return "" if standing.amnesia_until else standing.cluster_id

    @property
    def is_amnesiac(self) -> bool:
        """Whether this member may have lost a disk that held its votes and acknowledgements.

        It may as well be new: nobody can tell, itself least of all.
        """
        standing = self.journal.standing
        is_blank = not self.journal.last and not standing.cluster_id
        return is_blank or bool(standing.amnesia_until)

    def connected(self, name: str) -> None:
        """Note that messages to `name` arrive from now on; earlier ones may be lost."""
        self.__onNodeConnected(Node(name))

    def disconnected(self, name: str) -> None:
        """Note that messages to `name` do not arrive."""
        self.__onNodeDisconnected(Node(name))

    # Membership

    def _recall_membership(self) -> None:
        """Find the newest configuration: the log's, committed or not, before the snapshot's."""
        journal = self.journal
        snapshot = journal.snapshot
        if snapshot.index:
            known = configuration_of(snapshot)
            self._membership.install(known, snapshot.index, is_continued=False)
        index = max(journal.first, snapshot.index + 1)
        while index <= journal.last:
            entries = journal.range(index, journal.last + 1)
            for entry in entries:
                self._notice(entry)
            index += len(entries)
        self._use_configuration()

    def _use_configuration(self) -> None:
        """Make the links and the base's set of nodes follow the newest configuration."""
        reached = (*self.configuration.members, *self._departures)
        wanted = {Node(name) for name in reached if name != self.name}
        for node in sorted(wanted - self.__otherNodes, key=str):
            self._network.reach(node.id)
        for node in sorted(self.__otherNodes - wanted, key=str):
            self._network.leave(node.id)
        self.__otherNodes: set[Node] = wanted

    def _add(self, entry: Entry) -> None:
        self.journal.add(entry)
        if self._notice(entry):
            self._use_configuration()

    def _notice(self, entry: Entry) -> bool:
        """Take in what an entry of the log's own says; return whether the members change."""
        kind = kind_of(entry.command)
        if kind == CONFIGURATION:
            self._membership.append(entry.index, entry.command)
        elif kind == FOUNDING:
            self._foundings[entry.index] = entry.command[1:].decode()
        return kind == CONFIGURATION

    def _truncate(self, index: int) -> None:
        assert index > self.__raftCommitIndex, f"taking back committed entry {index}"
        self.journal.truncate(index)
        self._membership.truncate(index)
        self._foundings = {i: name for i, name in self._foundings.items() if i < index}
        self._use_configuration()

    # Term and time

    def _become_follower(self, term: int, leader: str = "") -> None:
        """Follow `leader`, or nobody known, in `term`."""
        if term > self.__raftCurrentTerm:
            self.__setCurrentTerm(term, None)
        if self.__raftState != Role.FOLLOWER:
            self._put_off_election()
        self.__setState(Role.FOLLOWER)
        self.__raftLeader: Node | None = Node(leader) if leader else None
        self._reads.refuse_all()
        if self._departures:
            self._departures.clear()
            self._use_configuration()

    def step_down(self) -> None:
        """Lead no more."""
        self._become_follower(self.__raftCurrentTerm)

    def _put_off_election(self) -> None:
        self.__raftElectionDeadline: float = self._clock_s() + self.__generateRaftTimeout()

    def __generateRaftTimeout(self) -> float:  # noqa: N802  # base's name
        return self.config.election_timeout_s * (1 + self._rng.random())

    def _commit(self, index: int) -> None:
        if index > self.__raftCommitIndex:
            before, self.__raftCommitIndex = self.__raftCommitIndex, index
            self.journal.set_committed(index)
            for founded, cluster_id in self._foundings.items():
                if before < founded <= index:
                    self._learn_cluster(cluster_id)

    def _learn_cluster(self, cluster_id: str) -> None:
        """Remember which cluster this is for ever: its founding is committed."""
        if cluster_id not in ("", self.journal.standing.cluster_id):
            self.journal.set_standing(replace(self.journal.standing, cluster_id=cluster_id))

    def _hold(self, name: str, message: RaftMessage) -> None:
        """Send when our term and vote are on disk."""
        self._held.hold(self.journal.term_version, name, message)


def configuration_of(snapshot: Snapshot) -> Configuration:
    """Return who the members were at a snapshot."""
    return Configuration(snapshot.configuration_index, snapshot.voters, snapshot.learners)


def _timing(config: LogConfig) -> Any:
    """Return the base's configuration; the base never keeps time itself here."""
    return pysyncobj.SyncObjConf(
        autoTick=False,
        pollerType="select",  # holds no descriptor
        raftMinTimeout=config.election_timeout_s,
        raftMaxTimeout=2 * config.election_timeout_s,
        appendEntriesPeriod=config.heartbeat_s,
        leaderFallbackTimeout=config.election_timeout_s,
        connectionTimeout=4 * config.election_timeout_s,
    )


def _inert() -> Any:
    """Return a transport that never carries anything: messages go through `Network`."""
    return Transport(None, None, [])


Member = _SyncObj
