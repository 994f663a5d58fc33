"""What operators ask of a member: who belongs, how its log is, copies of it, changes."""

from collections.abc import Callable
from dataclasses import astuple
from typing import Protocol, TypeAlias

from protocol.codecs.operator import decode_operator_message, encode_operator_message
from protocol.errors import Fault, Malformed, NotLeader, TimedOut
from protocol.links import parse_address
from protocol.messages.link import Leader
from protocol.messages.operator import (
    AddMaster,
    CompactLog,
    Done,
    Failed,
    ListMasters,
    LogCompacted,
    Masters,
    MasterView,
    OperatorMessage,
    PromoteMaster,
    ReadEntries,
    ReadSnapshot,
    RemoveMaster,
    TransferLeadership,
)
from protocol.peer import Peer
from rlog.answers import reason_of
from rlog.clearing import Cleared
from rlog.following import Caller
from rlog.log import LogHealth
from rlog.raft_changes import ChangeRefused
from rlog.replica import ReplicatedLog
from rlog.roster import Outcome, Roster

MemberChange: TypeAlias = AddMaster | PromoteMaster | RemoveMaster | TransferLeadership
LogQuestion: TypeAlias = ListMasters | ReadSnapshot | ReadEntries | CompactLog | MemberChange

VERBS = {  # of `rlog.roster.Roster`
    AddMaster: "add",
    PromoteMaster: "promote",
    RemoveMaster: "remove",
    TransferLeadership: "transfer",
}

Send: TypeAlias = Callable[[OperatorMessage], None]


class Copier(Protocol):
    """`rlog.copying.LogCopier`."""

    def answer(self, request: ReadSnapshot | ReadEntries, caller: Caller, say: Send) -> None: ...

    def forget(self, caller: Caller) -> None: ...

    def compact(self, done: Callable[[Cleared | Fault], None]) -> None: ...


class ChangeMembers(Protocol):
    """`rlog.roster.Roster.begin`."""

    def __call__(self, verb: str, name: str, done: Callable[[Outcome], None]) -> None: ...


class LogDesk:
    """Answers operators' questions about a log, whatever is kept in it."""

    def __init__(
        self,
        list_members: Callable[[], tuple[MasterView, ...]],
        change_members: ChangeMembers,
        copier: Copier,
    ) -> None:
        self._list_members = list_members
        self._change_members = change_members
        self._copier = copier

    def answer(self, request: LogQuestion, caller: Caller, send: Send) -> None:
        """Send the answer: at once, when a change is final, or when more is committed."""
        match request:
            case ListMasters():
                send(Masters(request.call, self._list_members()))
            case ReadSnapshot() | ReadEntries():
                self._copier.answer(request, caller, send)
            case CompactLog():
                self._compact(request, send)
            case _:
                self._change(request, send)

    def forget(self, caller: Caller) -> None:
        """Drop what a link that is gone waits for."""
        self._copier.forget(caller)

    def _compact(self, request: CompactLog, send: Send) -> None:
        def answer(outcome: Cleared | Fault) -> None:
            if isinstance(outcome, Fault):
                send(failed(request.call, outcome))
            else:
                send(LogCompacted(request.call, *astuple(outcome)))

        self._copier.compact(answer)

    def _change(self, request: MemberChange, send: Send) -> None:
        def answer(outcome: Outcome) -> None:
            send(_answer_to(request.call, outcome))

        try:
            parse_address(request.address)
        except ValueError as error:
            send(Failed(request.call, "REFUSED", str(error)))
        else:
            self._change_members(VERBS[type(request)], request.address, answer)


class DeskReceiver:
    """Receives from operators of a log that has nothing but the log."""

    def __init__(self, desk: LogDesk) -> None:
        self._desk = desk

    def connected(self, peer: Peer) -> None:
        return

    def disconnected(self, peer: Peer, reason: str) -> None:
        self._desk.forget(peer)

    def leader_changed(self, peer: Peer, leader: Leader) -> None:
        raise Malformed("an operator does not know who leads")

    def received(self, peer: Peer, payload: bytes, epoch: int) -> None:
        """Take one request. Raises: Malformed."""

        def send(answer: OperatorMessage) -> None:
            peer.send(encode_operator_message(answer))

        request = decode_operator_message(payload)
        if isinstance(request, LogQuestion):
            self._desk.answer(request, peer, send)
        else:
            text = "this is a log by itself: it has no agents, no frameworks and no tasks"
            send(Failed(request.call, "NO_CLUSTER", text))


def list_members(log: ReplicatedLog, roster: Roster, version: str) -> tuple[MasterView, ...]:
    """Return a member's view: itself first, then the others."""
    health = log.health() or LogHealth(0, 0, 0, 0, 0, 0)
    known = log.configuration
    members = dict.fromkeys(known.voters, "voter") | dict.fromkeys(known.learners, "learner")
    lags = {view.name: view.lag for view in roster.view()}
    own = MasterView(
        address=log.name,
        role=log.role,
        term=log.term,
        committed=log.committed,
        applied=log.applied,
        is_reachable=True,
        version=version,
        last=health.last,
        snapshot_index=health.snapshot_index,
        snapshot_bytes=health.snapshot_bytes,
        fsync_ns=health.fsync_ns,
        used_bytes=health.used_bytes,
        free_bytes=health.free_bytes,
        member="removed" if log.is_removed else members.pop(log.name, ""),
        cluster_id=log.cluster_id,
    )
    others = [
        MasterView(
            address=name,
            role="leader" if name == log.leader else "",
            is_reachable=name in log.reachable,
            member=member,
            lag=lags.get(name, 0),
            trouble=log.trouble_of(name),
        )
        for name, member in members.items()
        if name != log.name
    ]
    return (own, *others)


def _answer_to(call: int, outcome: Outcome) -> Done | Failed:
    match outcome:
        case None:
            return Done(call)
        case ChangeRefused():
            return Failed(call, outcome.reason, str(outcome))
        case TimedOut():
            return Failed(call, "TIMED_OUT", str(outcome))
        case _:
            return failed(call, outcome)


def failed(call: int, fault: Fault) -> Failed:
    """Return how an operator is told of a fault."""
    leader = fault.leader if isinstance(fault, NotLeader) else ""
    return Failed(call, *reason_of(fault), leader)
