"""What operators ask: views at a proven point of the log, and the few things they change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypeAlias

from master.core import view
from master.core.draft import Said
from master.core.holdings_view import view_bookings, view_reservations, view_volumes
from master.core.machine import Command
from master.core.state import State
from master.probes import MasterProbe
from master.requests import Change, command_of, tell_plan
from master.sessions import Link
from protocol.codecs.operator import decode_operator_message, encode_operator_message
from protocol.decision import Decision, Refused
from protocol.errors import Fault, Malformed
from protocol.messages.link import Leader
from protocol.messages.operator import (
    Agents,
    Bookings,
    Done,
    Explain,
    Explanation,
    Failed,
    Finding,
    Frameworks,
    GuardView,
    ListAgents,
    ListBookings,
    ListFrameworks,
    ListOffers,
    ListPolicies,
    ListQuotas,
    ListReservations,
    ListRoles,
    ListTasks,
    ListVolumes,
    ListWindows,
    OfferList,
    OperatorMessage,
    Policies,
    Quotas,
    Reservations,
    Roles,
    ShowGuard,
    Tasks,
    Volumes,
    Windows,
)
from rlog.answers import Outcome, Submit, reason_of
from rlog.operators import LogDesk, LogQuestion, failed

PAGE_ITEMS_MAX = 1000

List: TypeAlias = (
    ListAgents
    | ListFrameworks
    | ListTasks
    | ListOffers
    | ListRoles
    | ListQuotas
    | ListPolicies
    | ListReservations
    | ListVolumes
    | ListWindows
    | ListBookings
)
Page: TypeAlias = (
    Agents
    | Frameworks
    | Tasks
    | OfferList
    | Roles
    | Quotas
    | Policies
    | Reservations
    | Volumes
    | Windows
    | Bookings
)


class Query(Protocol):
    """`rlog.loop.Loop.query`."""

    def __call__(
        self, view: Callable[[State], Sequence[Any]], done: Callable[[Sequence[Any] | Fault], None]
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Answers:
    """How questions are answered that are about more than the state."""

    explain: Callable[[State, Explain], Sequence[Finding]]
    plan: Callable[[State, Command], Outcome]  # what a command would lead to
    guard: Callable[[State], GuardView]


class OperatorReceiver:
    """Receives from operators' tools; every request is answered under its own number."""

    def __init__(
        self,
        submit: Submit[Command],
        query: Query,
        desk: LogDesk,
        answers: Answers,
        probe: MasterProbe,
    ) -> None:
        self._submit = submit
        self._query = query
        self._desk = desk
        self._answers = answers
        self._probe = probe

    def connected(self, peer: Link) -> None:
        return

    def disconnected(self, peer: Link, reason: str) -> None:
        self._desk.forget(peer)

    def leader_changed(self, peer: Link, leader: Leader) -> None:
        raise Malformed("an operator does not know who leads")

    def received(self, peer: Link, payload: bytes, epoch: int) -> None:
        """Take one request. Raises: Malformed."""
        request = decode_operator_message(payload)
        self._probe.received(type(request).__name__)
        match request:
            case _ if isinstance(request, List):
                self._answer_list(peer, request)
            case Explain():
                self._answer_why(peer, request)
            case ShowGuard():
                self._answer_guard(peer, request)
            case _ if isinstance(request, Change):
                self._change(peer, request)
            case _ if isinstance(request, LogQuestion):
                self._desk.answer(request, peer, partial(_send, peer))
            case _:
                raise Malformed(f"{type(request).__name__} to a master")

    def _answer_list(self, peer: Link, request: List) -> None:
        def answer(views: Sequence[Any] | Fault) -> None:
            if isinstance(views, Fault):
                _send(peer, _failed(request.call, views))
            else:
                _send_page(peer, request, views)

        self._query(lambda state: list_views(state, request), answer)

    def _answer_why(self, peer: Link, request: Explain) -> None:
        def answer(findings: Sequence[Any] | Fault) -> None:
            if isinstance(findings, Fault):
                _send(peer, _failed(request.call, findings))
            else:
                _send(peer, Explanation(request.call, tuple(findings)))

        self._query(lambda state: self._answers.explain(state, request), answer)

    def _answer_guard(self, peer: Link, request: ShowGuard) -> None:
        def answer(views: Sequence[Any] | Fault) -> None:
            if isinstance(views, Fault):
                _send(peer, _failed(request.call, views))
            else:
                _send(peer, replace(views[0], call=request.call))

        self._query(lambda state: (self._answers.guard(state),), answer)

    def _change(self, peer: Link, request: Change) -> None:
        def answer(outcome: Outcome) -> None:
            if isinstance(outcome, (Refused, Fault)):
                _send(peer, _failed(request.call, outcome))
            else:
                _send(peer, Done(request.call, outcome.text if isinstance(outcome, Said) else ""))

        def answer_plan(outcomes: Sequence[Any] | Fault) -> None:
            outcome = outcomes if isinstance(outcomes, Fault) else outcomes[0]
            answer(tell_plan(outcome) if isinstance(outcome, Decision) else outcome)

        command = command_of(request, peer)
        if getattr(request, "plan", False):
            self._query(lambda state: (self._answers.plan(state, command),), answer_plan)
        else:
            self._submit(command, answer)


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
            named["agent_id"] = request.agent_id
            return view.view_tasks(state, is_all=request.all, page=page, **named)
        case ListOffers():
            return view.view_offers(state, page)
        case ListRoles():
            return view.view_roles(state, page)
        case ListQuotas():
            return view.view_quotas(state, page)
        case ListReservations():
            return view_reservations(state, page)
        case ListPolicies():
            return view.view_policies(state, page)
        case ListVolumes():
            return view_volumes(state, page)
        case ListWindows():
            return view.view_windows(state, page)
        case ListBookings():
            return view_bookings(state, page)


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
        case ListReservations():
            return Reservations(request.call, items, is_more)
        case ListPolicies():
            return Policies(request.call, items, is_more)
        case ListVolumes():
            return Volumes(request.call, items, is_more)
        case ListWindows():
            return Windows(request.call, items, is_more)
        case ListBookings():
            return Bookings(request.call, items, is_more)


def _send_page(peer: Link, request: List, views: Sequence[Any]) -> None:
    """Send as much as fits in a frame, at least one item."""
    items_max = PAGE_ITEMS_MAX
    while True:
        content = encode_operator_message(page_of(request, views, items_max))
        if len(content) <= peer.payload_bytes_max or items_max == 1:
            peer.send(content)
            return
        items_max //= 2


def _failed(call: int, outcome: Refused | Fault) -> Failed:
    if isinstance(outcome, Refused):
        return Failed(call, *reason_of(outcome))
    return failed(call, outcome)


def _send(peer: Link, answer: OperatorMessage) -> None:
    peer.send(encode_operator_message(answer))
