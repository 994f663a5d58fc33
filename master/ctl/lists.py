"""The commands that list what the cluster knows."""

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from master.ctl.asking import ask_every_master, ask_for_list, now_ns, run
from master.ctl.tables import show
from master.ctl.target import CommandError, Target
from protocol.messages.operator import (
    AgentView,
    BookingView,
    FrameworkView,
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
    MasterView,
    OfferView,
    PolicyView,
    QuotaView,
    ReservationView,
    RoleView,
    TaskView,
    VolumeView,
    WindowView,
)
from protocol.tables import open_console

KEYS = ("offer_id", "framework_id", "agent_id", "role", "name")  # the first of these names it
QUESTIONS: dict[str, tuple[type, Any]] = {
    "tasks": (TaskView, ListTasks()),
    "agents": (AgentView, ListAgents()),
    "frameworks": (FrameworkView, ListFrameworks()),
    "offers": (OfferView, ListOffers()),
    "roles": (RoleView, ListRoles()),
    "policies": (PolicyView, ListPolicies()),
    "quotas": (QuotaView, ListQuotas()),
    "bookings": (BookingView, ListBookings()),
    "volumes": (VolumeView, ListVolumes()),
    "reservations": (ReservationView, ListReservations()),
    "windows": (WindowView, ListWindows()),
}
EMPTY = {
    TaskView: "no tasks; start one with: quorate run -- echo hello",
    AgentView: "no agents; start one with: quorate agent",
    FrameworkView: "no frameworks; start one with: quorate run -- echo hello",
    OfferView: "no offers: nothing is free, or no framework wants more",
    PolicyView: "no policies; set one with: quorate policy set ROLE --least cpus:1",
    QuotaView: "no quotas; set one with: quorate quota set ROLE --limit cpus:4",
    BookingView: "no bookings; make one with: quorate booking set NAME ROLE --share 20",
    VolumeView: "no volumes; make one with: quorate volume create AGENT RESERVATION 20GiB",
    ReservationView: "no reservations; make one with: quorate reserve AGENT ROLE cpus:2",
    WindowView: "no windows; announce one: quorate maintenance schedule NAME AGENT… --start +2h",
    RoleView: "no roles: no framework has subscribed yet",
}


def show_list(what: str, target: Target, form: str, is_all: bool = False) -> None:
    """Print one kind of thing.

    Raises: CommandError when no master answers.
    """
    kind, views = run(fetch(what, target, is_all))
    console = open_console()
    if not views and form == "table":
        sys.stderr.write(f"{EMPTY[kind]}\n")
        return
    show(console, kind, views, form, now_ns())
    if kind is MasterView and form == "table":
        _show_below(views)
    if kind is MasterView and not any(view.role == "leader" for view in views):
        raise CommandError("no master leads: more than half of the masters must be reachable")


def _show_below(views: Sequence[MasterView]) -> None:
    """Print the cluster's id and whom its leader does not reach.

    Several ids are two clusters that know each other's addresses.
    """
    ids = {view.cluster_id: view.address for view in views if view.cluster_id}
    if len(ids) == 1:
        sys.stdout.write(f"cluster id {next(iter(ids))}\n")
    for cluster_id, address in ids.items() if len(ids) > 1 else ():
        sys.stderr.write(f"{address} is in another cluster: id {cluster_id}\n")
    for view in views:
        if view.trouble:
            sys.stderr.write(f"{view.address} does not answer the leader: {view.trouble}\n")


async def fetch(what: str, target: Target, is_all: bool = False) -> tuple[type, Sequence[Any]]:
    """Return the kind and the views of what a list command names."""
    if what == "masters":
        return MasterView, await ask_every_master(target)
    kind, question = QUESTIONS[what]
    if is_all:
        question = replace(question, all=True)
    views = await ask_for_list(target, question)
    if kind is not TaskView:  # those come in the order of their launches
        views.sort(key=_natural_key)
    return kind, views


def _natural_key(view: Any) -> list[tuple[int, str]]:
    """Order fw-2 before fw-10."""
    if isinstance(view, BookingView):
        view = view.booking
    key = next(getattr(view, name) for name in KEYS if hasattr(view, name))
    parts = re.split(r"(\d+)", key)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
