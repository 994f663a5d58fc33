"""Questions to masters and agents: answers, or one clear trouble."""

import asyncio
import getpass
import logging
import socket
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import structlog
import uvloop

from master.ctl.target import CommandError, MisuseError, Target
from protocol.client import OperatorClient
from protocol.credentials import Credentials, CredentialsError, load_credentials
from protocol.errors import Denied, Unavailable
from protocol.handshake import LinkIdentity
from protocol.messages.link import LinkRole
from protocol.messages.operator import (
    Agents,
    Bookings,
    Failed,
    Frameworks,
    ListAgents,
    ListBookings,
    ListFrameworks,
    ListMasters,
    ListOffers,
    ListPolicies,
    ListQuotas,
    ListReservations,
    ListRoles,
    ListTasks,
    ListVolumes,
    ListWindows,
    Masters,
    MasterView,
    OfferList,
    OperatorMessage,
    Policies,
    Quotas,
    Reservations,
    Roles,
    Tasks,
    Volumes,
    Windows,
)

MASTERS_MAX = 15
ANSWER_S_MAX = 6.0  # longer than it takes to elect a leader
MASTER_S_MAX = 3.0  # one silent master must not hold up the view of the others
REMEDIES = {
    "SECRET_NEEDED": "; give --credentials FILE",
    "WRONG_SECRET": "; compare the line in --credentials with the masters'",
}

T = TypeVar("T")
A = TypeVar("A")
List = (
    ListAgents
    | ListFrameworks
    | ListOffers
    | ListPolicies
    | ListQuotas
    | ListReservations
    | ListRoles
    | ListTasks
    | ListVolumes
    | ListWindows
    | ListBookings
)

# How each list is answered: by which message, in which of its fields, and how the last one of a
# page is named to get the next.
PAGES: dict[type, tuple[type, str, Callable[[Any], str]]] = {
    ListAgents: (Agents, "agents", lambda view: view.agent_id),
    ListFrameworks: (Frameworks, "frameworks", lambda view: view.framework_id),
    ListOffers: (OfferList, "offers", lambda view: view.offer_id),
    ListPolicies: (Policies, "policies", lambda view: view.role),
    ListQuotas: (Quotas, "quotas", lambda view: view.role),
    ListReservations: (
        Reservations,
        "reservations",
        lambda view: f"{view.agent_id}/{view.reservation.id}",
    ),
    ListRoles: (Roles, "roles", lambda view: view.role),
    ListBookings: (Bookings, "bookings", lambda view: view.booking.id),
    ListVolumes: (Volumes, "volumes", lambda view: f"{view.agent_id}/{view.volume.id}"),
    ListWindows: (Windows, "windows", lambda view: view.name),
    ListTasks: (Tasks, "tasks", lambda view: f"{view.status.launch:020}"),
}


def quieten() -> None:
    """Log nothing: a person reads the answer, not what links say of themselves."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def run(question: Coroutine[Any, Any, T]) -> T:
    """Run a question to its end.

    Raises: CommandError.
    """
    quieten()
    try:
        return uvloop.run(question)
    except ValueError as error:  # an address that is none
        raise MisuseError(f"--masters: {error}") from None
    except Denied as error:
        remedy = REMEDIES.get(error.code, "")
        raise CommandError(f"refused: {error}{remedy}") from None
    except Unavailable as error:
        raise CommandError(str(error)) from None


def identify(target: Target, role: LinkRole = LinkRole.OPERATOR) -> LinkIdentity:
    """Return whom we are to the cluster.

    Raises: MisuseError when the credentials name nobody who may ask.
    """
    name = f"{getpass.getuser()}@{socket.gethostname()}"
    if target.is_insecure:
        return LinkIdentity(role, name, "", Credentials.insecure(), "")
    try:
        credentials = load_credentials(target.credentials)
        principal = credentials.principal_for(role)
    except CredentialsError as error:
        raise MisuseError(str(error)) from None
    return LinkIdentity(role, name, principal, credentials, "")


async def connect(target: Target) -> OperatorClient:
    """Return a client of whichever master leads. Raises: CommandError, Unavailable, Denied."""
    return await OperatorClient.connect(target.masters, identify(target), ANSWER_S_MAX)


async def ask(target: Target, question: OperatorMessage, answer: type[A]) -> A:
    """Return the leading master's answer.

    Raises: CommandError, Unavailable, Denied.
    """
    client = await connect(target)
    try:
        return await ask_over(client, question, answer)
    finally:
        await client.close()


async def ask_over(client: OperatorClient, question: OperatorMessage, answer: type[A]) -> A:
    """Return the answer that comes over an open link.

    Raises: CommandError, Unavailable, Denied.
    """
    found = await client.ask(question)
    if isinstance(found, Failed):
        raise CommandError(found.text or found.reason)
    if not isinstance(found, answer):
        raise CommandError(
            f"unexpected answer {type(found).__name__}; is the cluster a newer version?"
        )
    return found


async def list_all(client: OperatorClient, question: List) -> list[Any]:
    """Return all views of a list, page by page.

    Raises: CommandError, Unavailable, Denied.
    """
    answer, field, key_of = PAGES[type(question)]
    views: list[Any] = []
    while True:
        page: Any = await ask_over(client, question, answer)
        views += getattr(page, field)
        if not page.is_more:
            return views
        question = replace(question, after=key_of(views[-1]))


async def ask_for_list(target: Target, question: List) -> list[Any]:
    """Return all views of a list from the leading master.

    Raises: CommandError, Unavailable, Denied.
    """
    client = await connect(target)
    try:
        return await list_all(client, question)
    finally:
        await client.close()


async def ask_every_master(target: Target) -> list[MasterView]:
    """Return what every master says of itself; those that do not answer are unreachable ones.

    Masters that others name are asked too, so one address is enough to see the whole cluster.
    """
    own: dict[str, MasterView] = {}
    told: list[tuple[MasterView, ...]] = []
    asked: set[str] = set()
    waiting = list(target.masters)
    while waiting and len(asked) < MASTERS_MAX:
        asked.update(waiting)
        answers = await asyncio.gather(*[_ask_master(target, address) for address in waiting])
        for address, views in zip(waiting, answers, strict=True):
            view = views[0] if views else MasterView(address=address)
            own[view.address] = view
        told += [views for views in answers if views]
        named = {view.address: None for views in answers for view in views}
        waiting = [address for address in named if address not in asked and address not in own]
    return [_add_told(own[address], told) for address in sorted(own)]


def _add_told(view: MasterView, told: list[tuple[MasterView, ...]]) -> MasterView:
    """Return a view with what the leader knows better: whether it belongs, how far it is behind.

    Without a leader it is what the master itself says, or what others say of a silent one.
    """
    leading = [views for views in told if views[0].role == "leader"]
    if leading:
        newest = max(leading, key=lambda views: views[0].term)
        told = [newest]
        view = replace(view, member=view.member if view.member == "removed" else "")
    for views in told:
        for known in views:
            is_better = known.member and view.member in ("", "removed")
            if known.address == view.address and is_better:
                trouble = known.trouble if leading else ""
                view = replace(view, member=known.member, lag=known.lag, trouble=trouble)
    return view


async def _ask_master(target: Target, address: str) -> tuple[MasterView, ...]:
    """Return one master's view of itself, then of the others; nothing when it is silent."""
    try:
        client = await OperatorClient.connect_agent(address, identify(target), MASTER_S_MAX)
        try:
            return (await ask_over(client, ListMasters(), Masters)).masters
        finally:
            await client.close()
    except Unavailable:
        return ()


def now_ns() -> int:
    return time.time_ns()
