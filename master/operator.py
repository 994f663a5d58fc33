"""What operators ask: views at a proven point of the log, and the few things they change."""

from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any, Protocol, TypeAlias

from master.answers import Outcome, Submit, reason_of
from master.core import view
from master.core.frameworks import TeardownFramework
from master.core.machine import Command
from master.core.quotas import SetQuota
from master.core.roles import SetWeight
from master.core.state import State
from master.core.tasks import KillByOperator
from master.probes import MasterProbe
from master.sessions import Link
from protocol.codecs.operator import decode_operator_message, encode_operator_message
from protocol.decision import Refused
from protocol.errors import Fault, Malformed, NotLeader, TimedOut
from protocol.ids import FrameworkId, TaskId
from protocol.links import parse_address
from protocol.messages.link import Leader
from protocol.messages.operator import (
    AddMaster,
    Agents,
    CompactLog,
    Done,
    Failed,
    Frameworks,
    KillTaskByOperator,
    ListAgents,
    ListFrameworks,
    ListMasters,
    ListOffers,
    ListQuotas,
    ListRoles,
    ListTasks,
    LogCompacted,
    Masters,
    MasterView,
    OfferList,
    OperatorMessage,
    PromoteMaster,
    Quotas,
    ReadEntries,
    ReadSnapshot,
    RemoveFramework,
    RemoveMaster,
    Roles,
    Tasks,
    TransferLeadership,
)
from protocol.messages.operator import SetQuota as SetQuotaCall
from protocol.messages.operator import SetWeight as SetWeightCall
from protocol.quantities import amounts_of
from rlog.clearing import Cleared
from rlog.raft_changes import ChangeRefused
from rlog.roster import Outcome as ChangeOutcome

PAGE_ITEMS_MAX = 1000

List: TypeAlias = ListAgents | ListFrameworks | ListTasks | ListOffers | ListRoles | ListQuotas
Page: TypeAlias = Agents | Frameworks | Tasks | OfferList | Roles | Quotas
Change: TypeAlias = KillTaskByOperator | RemoveFramework | SetWeightCall | SetQuotaCall
MemberChange: TypeAlias = AddMaster | PromoteMaster | RemoveMaster | TransferLeadership

VERBS = {  # of `rlog.roster.Roster`
    AddMaster: "add",
    PromoteMaster: "promote",
    RemoveMaster: "remove",
    TransferLeadership: "transfer",
}


class Query(Protocol):
    """`rlog.loop.Loop.query`."""

    def __call__(
        self, view: Callable[[State], Sequence[Any]], done: Callable[[Sequence[Any] | Fault], None]
    ) -> None: ...


class Copier(Protocol):
    """`master.copying.LogCopier`."""

    def answer(self, request: ReadSnapshot | ReadEntries) -> OperatorMessage: ...

    def compact(self, done: Callable[[Cleared | Fault], None]) -> None: ...


class ChangeMembers(Protocol):
    """`rlog.roster.Roster.begin`."""

    def __call__(self, verb: str, name: str, done: Callable[[ChangeOutcome], None]) -> None: ...


class OperatorReceiver:
    """Receives from operators' tools; every request is answered under its own number."""

    def __init__(
        self,
        submit: Submit,
        query: Query,
        list_masters: Callable[[], tuple[MasterView, ...]],
        change_members: ChangeMembers,
        copier: Copier,
        probe: MasterProbe,
    ) -> None:
        self._submit = submit
        self._query = query
        self._list_masters = list_masters
        self._change_members = change_members
        self._copier = copier
        self._probe = probe

    def connected(self, peer: Link) -> None:
        return

    def disconnected(self, peer: Link, reason: str) -> None:
        return

    def leader_changed(self, peer: Link, leader: Leader) -> None:
        raise Malformed("an operator does not know who leads")

    def received(self, peer: Link, payload: bytes, epoch: int) -> None:
        """Take one request. Raises: Malformed."""
        request = decode_operator_message(payload)
        self._probe.received(type(request).__name__)
        match request:
            case ListMasters():
                _send(peer, Masters(request.call, self._list_masters()))
            case _ if isinstance(request, List):
                self._answer_list(peer, request)
            case ReadSnapshot() | ReadEntries():
                _send(peer, self._copier.answer(request))
            case CompactLog():
                self._compact(peer, request)
            case _ if isinstance(request, Change):
                self._change(peer, request)
            case AddMaster() | PromoteMaster() | RemoveMaster() | TransferLeadership():
                self._change_masters(peer, request)
            case _:
                raise Malformed(f"{type(request).__name__} to a master")

    def _answer_list(self, peer: Link, request: List) -> None:
        def answer(views: Sequence[Any] | Fault) -> None:
            if isinstance(views, Fault):
                _send(peer, _failed(request.call, views))
            else:
                _send_page(peer, request, views)

        self._query(lambda state: list_views(state, request), answer)

    def _change(self, peer: Link, request: Change) -> None:
        def answer(outcome: Outcome) -> None:
            if isinstance(outcome, (Refused, Fault)):
                _send(peer, _failed(request.call, outcome))
            else:
                _send(peer, Done(request.call))

        self._submit(_command_of(request, peer), answer)

    def _compact(self, peer: Link, request: CompactLog) -> None:
        def answer(outcome: Cleared | Fault) -> None:
            if isinstance(outcome, Fault):
                _send(peer, _failed(request.call, outcome))
            else:
                _send(peer, LogCompacted(request.call, *astuple(outcome)))

        self._copier.compact(answer)

    def _change_masters(self, peer: Link, request: MemberChange) -> None:
        def answer(outcome: ChangeOutcome) -> None:
            _send(peer, _answer_to(request.call, outcome))

        try:
            parse_address(request.address)
        except ValueError as error:
            _send(peer, Failed(request.call, "REFUSED", str(error)))
        else:
            self._change_members(VERBS[type(request)], request.address, answer)


def list_views(state: State, request: List) -> Sequence[Any]:
    """Return one page of what the request asks for, and one view more when there is more."""
    page = view.Page(request.after, PAGE_ITEMS_MAX + 1)
    match request:
        case ListAgents():
            return view.view_agents(state, page)
        case ListFrameworks():
            return view.view_frameworks(state, is_all=request.all, page=page)
        case ListTasks():
            named = {"framework_id": request.framework_id, "task": request.task}
            return view.view_tasks(state, is_all=request.all, page=page, **named)
        case ListOffers():
            return view.view_offers(state, page)
        case ListRoles():
            return view.view_roles(state, page)
        case ListQuotas():
            return view.view_quotas(state, page)


def page_of(request: List, views: Sequence[Any], items_max: int) -> Page:
    """Return the first views as an answer, at most so many of them."""
    items, is_more = tuple(views[:items_max]), len(views) > items_max
    match request:
        case ListAgents():
            return Agents(request.call, items, is_more)
        case ListFrameworks():
            return Frameworks(request.call, items, is_more)
        case ListTasks():
            return Tasks(request.call, items, is_more)
        case ListOffers():
            return OfferList(request.call, items, is_more)
        case ListRoles():
            return Roles(request.call, items, is_more)
        case ListQuotas():
            return Quotas(request.call, items, is_more)


def _send_page(peer: Link, request: List, views: Sequence[Any]) -> None:
    """Send as much as fits in a frame, at least one item."""
    items_max = PAGE_ITEMS_MAX
    while True:
        content = encode_operator_message(page_of(request, views, items_max))
        if len(content) <= peer.payload_bytes_max or items_max == 1:
            peer.send(content)
            return
        items_max //= 2


def _command_of(request: Change, peer: Link) -> Command:
    match request:
        case KillTaskByOperator():
            framework, task = FrameworkId(request.framework_id), TaskId(request.task_id)
            return KillByOperator(framework, task, request.grace_ns)
        case RemoveFramework():
            by = peer.principal or peer.name
            return TeardownFramework(FrameworkId(request.framework_id), by=by)
        case SetWeightCall():
            return SetWeight(request.role, request.weight_milli)
        case SetQuotaCall():
            guarantee, limit = amounts_of(request.guarantee), amounts_of(request.limit)
            return SetQuota(request.role, guarantee, limit, request.force)


def _answer_to(call: int, outcome: ChangeOutcome) -> Done | Failed:
    match outcome:
        case None:
            return Done(call)
        case ChangeRefused():
            return Failed(call, outcome.reason, str(outcome))
        case TimedOut():
            return Failed(call, "TIMED_OUT", str(outcome))
        case _:
            return _failed(call, outcome)


def _failed(call: int, outcome: Refused | Fault) -> Failed:
    reason, text = reason_of(outcome)
    leader = outcome.leader if isinstance(outcome, NotLeader) else ""
    return Failed(call, reason, text, leader)


def _send(peer: Link, answer: OperatorMessage) -> None:
    peer.send(encode_operator_message(answer))
