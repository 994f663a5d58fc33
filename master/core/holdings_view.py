"""Views of what is bound to roles, agent by agent."""

from collections.abc import Iterator

from master.core.disks import users_of
from master.core.records import Agent, Reservation, Volume
from master.core.state import State
from master.core.view import Page
from protocol.messages.operator import ReservationView, VolumeView
from protocol.resources import sum_resources


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
