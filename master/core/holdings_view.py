"""Views of what is bound to roles, agent by agent."""

from collections.abc import Iterator

from master.core.booked import booked_of, concerns, name_of, phase_of, wanted_of
from master.core.disks import users_of
from master.core.records import Agent, Reservation, Volume
from master.core.state import State
from master.core.view import Page
from protocol.messages.operator import BookingView, ReservationView, VolumeView
from protocol.messages.values import Booking
from protocol.resources import Resources, sum_resources


def view_reservations(state: State, page: Page | None = None) -> tuple[ReservationView, ...]:
    """Return all reservations, named `agent/reservation`."""
    found: list[tuple[Agent, Reservation]] = list(_reservations_of(state))
    if page is not None:
        found = page.take(found, _key_of)
    return tuple(_view_reservation(state, *each) for each in found)


def view_volumes(state: State, page: Page | None = None) -> tuple[VolumeView, ...]:
    """Return all volumes, named `agent/volume`."""
    found = [(agent, each) for agent in state.agents.values() for each in agent.volumes.values()]
    if page is not None:
        found = page.take(found, _key_of)
    return tuple(
        VolumeView(
            agent_id=agent.id,
            hostname=agent.hostname,
            volume=volume.tell(agent.reservations[volume.reservation].role),
            tasks=tuple(users_of(state, agent, volume.id)),
            made_ns=volume.made_ns,
            fault=volume.fault,
        )
        for agent, volume in found
    )


def view_bookings(state: State, page: Page | None = None) -> tuple[BookingView, ...]:
    """Return all bookings, with what they want of how many agents, and what they have."""
    names: list[str] = sorted(state.bookings)
    if page is not None:
        names = page.take(names, str)
    return tuple(_view_booking(state, state.bookings[name]) for name in names)


def _view_booking(state: State, booking: Booking) -> BookingView:
    agents = [each for each in state.agents.values() if concerns(booking, each)]
    wanted = sum_resources(Resources(wanted_of(booking, each).scalars) for each in agents)
    name = name_of(booking)
    has = (booked_of(each, name) for each in state.agents.values() if name in each.reservations)
    return BookingView(
        booking=booking,
        state=phase_of(booking, state.now_ns),
        agents=len(agents),
        wanted=wanted,
        reserved=sum_resources(Resources(each.scalars) for each in has),
    )


def _reservations_of(state: State) -> Iterator[tuple[Agent, Reservation]]:
    for agent in state.agents.values():
        for known in agent.reservations.values():
            yield agent, known


def _key_of(found: tuple[Agent, Reservation] | tuple[Agent, Volume]) -> str:
    agent, known = found
    return f"{agent.id}/{known.id}"


def _view_reservation(state: State, agent: Agent, known: Reservation) -> ReservationView:
    offers = (state.soft.offers[each] for each in state.soft.offers_by_agent.get(agent.id, ()))
    offered = sum_resources(
        draw.resources for offer in offers for draw in offer.draws if draw.reservation == known.id
    )
    kind = "static" if known.is_static else "dynamic"
    return ReservationView(
        agent_id=agent.id,
        hostname=agent.hostname,
        reservation=known.tell(known.resources),
        allocated=known.allocated,
        offered=offered,
        state="ending" if known.is_ending else kind,
        made_ns=known.made_ns,
    )
