"""Raft messages over links: one outgoing link per peer carries all we say to it."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeVar

import structlog

from protocol.errors import Malformed
from protocol.handshake import LinkIdentity
from protocol.links import Link, LinkPace
from protocol.messages.link import Hello, Leader, LinkRefused, LinkRole
from protocol.peer import Peer
from rlog.acquaintances import Acquaintances
from rlog.codec import decode_raft_message, encode_raft_message
from rlog.config import LogConfig
from rlog.membership import Configuration, is_known
from rlog.messages import AppendEntries, InstallSnapshot, RaftMessage, RequestVote
from rlog.versions import FIRST, Slowest, nobody

SILENCE_S = 10.0  # only ends links to machines that vanished; elections notice far earlier
REFUSED_S = 2.0  # between tries of a member that wants us not
GUESTS_MAX = 16  # more members than a cluster has
STRANGERS_MAX = 64  # names of which something is remembered
NO_MEMBER, WRONG_ID = "NOT_A_VOTER", "WRONG_CLUSTER_ID"

log = structlog.get_logger()
T = TypeVar("T")


class Ear(Protocol):
    """What is told of the others."""

    def connected(self, name: str) -> None:
        """Messages to `name` arrive from now on."""

    def disconnected(self, name: str) -> None:
        """Messages to `name` no longer arrive."""

    def receive(self, name: str, message: RaftMessage) -> None:
        """A member sent this."""

    @property
    def configuration(self) -> Configuration:
        """Who belongs by our log."""

    @property
    def cluster_id(self) -> str:
        """The id of our cluster, empty while we know none."""


class Transport:
    """The network of one member: outgoing links, and what comes in over the server's."""

    def __init__(
        self, config: LogConfig, identity: LinkIdentity, ear: Ear, rng: random.Random
    ) -> None:
        self._identity = replace(
            identity, cluster_id=lambda: ear.cluster_id, log_version=config.version
        )
        self._ear = ear
        self._rng = rng
        election_timeout_s = config.election_timeout_s
        self._pace = LinkPace(
            retry_first_s=election_timeout_s / 10,
            retry_max_s=election_timeout_s,
            connect_s=2 * election_timeout_s,
            silence_s=SILENCE_S,
            refused_s=REFUSED_S,
        )
        self._links: dict[str, Link] = {}
        self._guests: set[str] = set()  # no members that we know of; answered while they stay
        self._leaving: set[asyncio.Task[None]] = set()
        self._is_open = True
        self._encoded: tuple[RaftMessage, bytes] | None = None
        self._acquaintances = Acquaintances(config, ear)
        self.incoming = Incoming(ear, self._acquaintances, self._welcome)

    @property
    def reachable(self) -> frozenset[str]:
        """The members to which a link is open."""
        return frozenset(n for n, link in self._links.items() if _is_open(link))

    def trouble_of(self, name: str) -> str:
        """Return why there is no link to a member, in a few words; empty when there is one."""
        link = self._links.get(name)
        if link is None or link.peer is not None:
            return ""
        return link.refusal[1] if link.refusal is not None else link.failure

    def reach(self, name: str) -> None:
        """Keep a link to a member."""
        self._guests.discard(name)
        if name not in self._links and self._is_open:
            outgoing = Outgoing(name, self._ear, self._acquaintances)
            end = self._part
            # Under another name its messages would never be told apart from a stranger's.
            identity = replace(self._identity, expects=name)
            link = Link(name, identity, outgoing, self._rng, self._pace, on_ended=end)
            self._links[name] = link
            link.start()

    def _welcome(self, name: str) -> None:
        """See that whoever asks us can be answered: our log may lag behind its membership."""
        if name not in self._links and len(self._guests) < GUESTS_MAX:
            try:
                self.reach(name)
            except ValueError:
                return  # its name is no address
            self._guests.add(name)

    def _part(self, link: Link) -> None:
        """Give a guest's link up at its first end."""
        if link.address in self._guests:
            self._guests.discard(link.address)
            self.leave(link.address)

    def leave(self, name: str) -> None:
        """Let the link to a former member go."""
        link = self._links.pop(name, None)
        if link is not None:
            task = asyncio.get_running_loop().create_task(link.stop())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    def send(self, name: str, message: RaftMessage) -> None:
        """Send, or drop when there is no link."""
        link = self._links.get(name)
        if link is not None and link.peer is not None:
            link.peer.send(self._encode(message))

    def flush(self) -> None:
        """Write what is queued for the members now."""
        for link in self._links.values():
            if link.peer is not None:
                link.peer.flush()

    def is_writable(self, name: str) -> bool:
        """Whether the link takes more than heartbeats now."""
        link = self._links.get(name)
        return link is not None and link.peer is not None and link.peer.is_writable

    async def stop(self) -> None:
        """Close all links."""
        self._is_open = False
        for name in sorted(self._links):
            await self._links[name].stop()
        if self._leaving:
            await asyncio.wait(self._leaving)

    def _encode(self, message: RaftMessage) -> bytes:
        # Followers that keep up are sent equal messages one after the other.
        if self._encoded is None or self._encoded[0] != message:
            self._encoded = (message, encode_raft_message(message))
        return self._encoded[1]


def _is_open(link: Link) -> bool:
    return link.peer is not None and link.peer.is_open


class Outgoing:
    """Our end of a link to a member; nothing is said to us over it but who leads and belongs."""

    def __init__(self, name: str, ear: Ear, acquaintances: Acquaintances) -> None:
        self._name = name
        self._ear = ear
        self._acquaintances = acquaintances

    def connected(self, peer: Peer) -> None:
        self._ear.connected(self._name)

    def received(self, peer: Peer, payload: bytes, epoch: int) -> None:
        raise Malformed("a replica answered over the link it was called on")

    def leader_changed(self, peer: Peer, leader: Leader) -> None:
        self._acquaintances.hear(self._name, leader.masters)

    def disconnected(self, peer: Peer, reason: str) -> None:
        self._ear.disconnected(self._name)


class Incoming:
    """The server's links of role REPLICA: who may speak, and what it may say."""

    def __init__(
        self, ear: Ear, acquaintances: Acquaintances, welcome: Callable[[str], None]
    ) -> None:
        self._ear = ear
        self._acquaintances = acquaintances
        self._welcome = welcome
        self._strangers: dict[str, None] = {}  # refused, and logged once: they try on
        self._versions: dict[str, int] = {}  # of the log, that callers said to understand

    def admit(self, hello: Hello) -> LinkRefused | None:
        """Refuse replicas of other clusters and strangers; others are not ours to judge."""
        if hello.role != LinkRole.REPLICA:
            return None
        refusal = self._refusal_of(hello.name, hello.cluster_id)
        if refusal is None:
            self._strangers.pop(hello.name, None)
            _remember(self._versions, hello.name, max(FIRST, hello.log_version))
        return refusal

    def slowest(self) -> Slowest:
        """Return the other member that understands the lowest version of the log."""
        others = self._acquaintances.others
        known = [Slowest(name, self._versions.get(name, 0)) for name in others]
        return min(known, key=lambda one: one.version, default=nobody())

    def connected(self, peer: Peer) -> None:
        return

    def received(self, peer: Peer, payload: bytes, epoch: int) -> None:
        if not peer.is_open:
            return
        message = decode_raft_message(payload)
        check_message(message)
        if isinstance(message, RequestVote | AppendEntries | InstallSnapshot):
            # The link may be older than what either side knows by now.
            refusal = self._refusal_of(peer.name, message.cluster_id)
            if refusal is not None:
                peer.refuse(refusal.code, refusal.text)
                return
            self._welcome(peer.name)
        self._ear.receive(peer.name, message)

    def leader_changed(self, peer: Peer, leader: Leader) -> None:
        return

    def disconnected(self, peer: Peer, reason: str) -> None:
        return

    def _refusal_of(self, name: str, theirs: str) -> LinkRefused | None:
        """Return why a replica is not heard; one of our cluster may know more members than we."""
        ours = self._ear.cluster_id
        if ours and theirs and ours != theirs:
            self._log_once(
                name, "a master of another cluster was refused", ours=ours, theirs=theirs
            )
            return LinkRefused(
                WRONG_ID,
                f"{name} belongs to the cluster with id {theirs}, but here is {ours}; one of the "
                "two was given the other's address",
            )
        known = self._acquaintances
        if known.is_member(name) or (ours and ours == theirs):
            return None
        if theirs and known.is_waiting:
            self._ask_about(name)
        else:
            self._log_once(name, "a replica that is no voter was refused")
        return LinkRefused(NO_MEMBER, known.explain_refusal(name))

    def _ask_about(self, name: str) -> None:
        """Call those that we know, who say at once who belongs; the stranger calls again."""
        for known in self._acquaintances.named:
            self._welcome(known)
        self._log_once(
            name,
            "a master that those we know have not told of is refused until they do",
            known=",".join(self._acquaintances.named),
        )

    def _log_once(self, name: str, event: str, **fields: str) -> None:
        if name in self._strangers:
            return
        log.error(event, name=name, **fields)
        _remember(self._strangers, name, None)


def _remember(notes: dict[str, T], name: str, note: T) -> None:
    """Note something of a caller, whose name may be anything."""
    if name not in notes and len(notes) >= STRANGERS_MAX:
        notes.clear()
    notes[name] = note


def check_message(message: RaftMessage) -> None:
    """Refuse what no member would say. Raises: Malformed."""
    if isinstance(message, AppendEntries):
        index, term = message.previous_index, message.previous_term
        for entry in message.entries:
            if entry.index != index + 1 or not term <= entry.term <= message.term:
                raise Malformed(f"entry {entry.index} does not follow entry {index}")
            if not is_known(entry.command):
                raise Malformed(f"entry {entry.index} is of an unknown kind")
            index, term = entry.index, entry.term
    elif isinstance(message, InstallSnapshot) and not (message.index and message.voters):
        raise Malformed("a snapshot of nothing")
