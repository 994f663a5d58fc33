"""Volumes: what operators want of them, and what agents say of them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from master.core.alarms import AlarmKind
from master.core.disks import (
    check_change,
    check_new,
    check_size,
    disk,
    draft_created,
    draft_doomed,
    draft_resized,
    find_volume,
    order_volume,
)
from master.core.draft import Draft, Outcome, Said
from master.core.events import ResourcesReserved, VolumeCreated, VolumeGone, VolumeSettled
from master.core.holdings import ADOPTED, find_reservation
from master.core.offers import close_offers
from master.core.operations import end_operation
from master.core.reasons import Reason
from master.core.records import Agent, Volume
from master.core.reservations import find_agent, make_room, offers_of, rescinded
from master.core.settings import Settings
from master.core.state import State
from master.core.validity import check_reservable
from protocol.decision import Refused
from protocol.ids import AgentId, check_id
from protocol.messages.agent import VolumeReport
from protocol.messages.operator import ChangeVolume
from protocol.messages.values import Reservation as WireReservation
from protocol.messages.values import Volume as WireVolume
from protocol.messages.values import VolumeState
from protocol.resources import Resources, format_amount


@dataclass(frozen=True, slots=True)
class ChangeVolumeByOperator:
    """Have a volume made, resized or destroyed; replied to with `Said` before it is done."""

    change: ChangeVolume
    principal: str = ""


@dataclass(frozen=True, slots=True)
class ReportVolumes:
    """An agent says what it has done about volumes."""

    agent_id: AgentId
    reports: tuple[VolumeReport, ...]


def decide_change_volume(
    state: State, command: ChangeVolumeByOperator, now_ns: int, settings: Settings
) -> Outcome:
    """Want it; offers that lend the volume, or the disk, are taken back.

    Refuses: UNKNOWN_AGENT, AGENT_UNREACHABLE, UNKNOWN_RESERVATION, UNKNOWN_VOLUME, BAD_ID,
    BAD_RESOURCES, DUPLICATE_VOLUME, TOO_MANY, OVER_CLAIMED, RESOURCES_IN_USE, VOLUME_BUSY,
    VOLUME_IN_USE.
    """
    agent = find_agent(state, command.change.agent_id)
    if isinstance(agent, Refused):
        return agent
    draft = Draft(now_ns, settings)
    said: str | Refused
    if command.change.verb == "create":
        said = _create(draft, state, agent, command)
    elif command.change.verb in ("resize", "destroy"):
        said = _change(draft, state, agent, command.change)
    else:
        said = Refused(Reason.BAD_NAME, f"{command.change.verb[:40]!r} cannot be done to a volume")
    if isinstance(said, Refused):
        return said
    draft.touch(agent.id)
    return draft.decision(Said(said))


def decide_report(state: State, command: ReportVolumes, now_ns: int, settings: Settings) -> Outcome:
    """Note what an agent has done.

    Refuses: AGENT_NOT_LINKED for an agent that has not registered with this leader.
    """
    agent = state.agents.get(command.agent_id)
    if agent is None or command.agent_id not in state.soft.agent_links:
        text = f"agent {command.agent_id} has not registered with this master"
        return Refused(Reason.AGENT_NOT_LINKED, text)
    draft = Draft(now_ns, settings)
    heard: dict[str, VolumeReport] = {each.volume.id: each for each in command.reports}
    for report in heard.values():
        volume = agent.volumes.get(report.volume.id)
        if volume is not None and volume.number == report.volume.number:
            _hear(draft, state, agent, volume, report)
    return draft.decision()


def strays_of(agent: Agent | None, told: Iterable[WireVolume]) -> list[WireVolume]:
    """Return what an agent keeps that we do not know, or not any more."""
    known = {} if agent is None else agent.volumes
    numbers = {each.number for each in known.values()}
    return [
        each
        for each in told
        if each.number not in numbers and each.id not in known and _is_sound(each)
    ]


def draft_adopted(
    draft: Draft, agent_id: AgentId, strays: Iterable[WireVolume], free: Resources
) -> None:
    """Make volumes that an agent brought back their roles' again, as far as there is disk for them.

    We do not know of one when we were restored from a backup, or had given the agent up. What is in
    it is not ours to delete.
    """
    for each in strays:
        size = disk(each.size_bytes)
        if free.contains(size):
            free = free - size
            name = f"{ADOPTED}{each.number}"
            reserved = WireReservation(name, each.role, size, is_kept=True)
            draft.events.append(ResourcesReserved(agent_id, reserved))
            draft.events.append(VolumeCreated(agent_id, replace(each, reservation=name)))
            draft.events.append(VolumeSettled(agent_id, each.id, each.size_bytes))


def await_volumes(draft: Draft, agent: Agent) -> None:
    """Order anew what an agent that comes back has not confirmed."""
    for volume in agent.volumes.values():
        if not volume.is_settled:
            draft.alarm(AlarmKind.VOLUME_UNANSWERED, (agent.id, volume.id), 0)


def ring_volume_unanswered(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    agent = state.agents.get(AgentId(key[0]))
    volume = None if agent is None else agent.volumes.get(key[1])
    if agent is None or volume is None or volume.is_settled:
        return
    if agent.id in state.soft.agent_links:
        order_volume(draft, agent.id, volume, agent.reservations[volume.reservation].role)


def _create(
    draft: Draft, state: State, agent: Agent, command: ChangeVolumeByOperator
) -> str | Refused:
    change = command.change
    known = find_reservation(agent, agent.reservations, change.reservation)
    if isinstance(known, Refused):
        return known
    name = change.volume or f"v{state.volumes_next}"
    refused = check_new(agent, agent.volumes, name, draft.settings) or check_size(
        name, change.size_bytes
    )
    closed = refused or make_room(draft, state, agent, known.id, disk(change.size_bytes))
    if isinstance(closed, Refused):
        return closed
    volume = WireVolume(
        id=name,
        number=state.volumes_next,
        reservation=known.id,
        role=known.role,
        size_bytes=change.size_bytes,
        is_shared=change.is_shared,
        principal=command.principal,
    )
    draft_created(draft, agent, volume, "")
    size = format_amount("disk", change.size_bytes)
    return f"{agent.id} {name}: volume of {size} for {known.role}{rescinded(closed)}"


def _change(draft: Draft, state: State, agent: Agent, change: ChangeVolume) -> str | Refused:
    known = find_volume(agent, agent.volumes, change.volume)
    if isinstance(known, Refused):
        return known
    if refused := check_change(state, agent, known, change.verb):
        return refused
    volume, role = replace(known), agent.reservations[known.reservation].role
    closed = [each for each in offers_of(state, agent) if known.id in each.volumes]
    close_offers(draft, state, [each.id for each in closed], is_told=True)
    if change.verb == "destroy":
        draft_doomed(draft, agent, volume, role, "")
        return f"{agent.id} {known.id}: destroyed with all that is in it{rescinded(closed)}"
    if refused := check_size(known.id, change.size_bytes):
        return refused
    if change.size_bytes == known.wanted_bytes:
        return f"{agent.id} {known.id}: {format_amount('disk', change.size_bytes)} as before"
    more = max(0, change.size_bytes - known.held_bytes)
    others = make_room(draft, state, agent, known.reservation, disk(more))
    if isinstance(others, Refused):
        return others
    draft_resized(draft, agent, volume, role, change.size_bytes, "")
    before, after = (
        format_amount("disk", each) for each in (known.wanted_bytes, change.size_bytes)
    )
    closed += [each for each in others if each not in closed]
    return f"{agent.id} {known.id}: {after} instead of {before}{rescinded(closed)}"


def _hear(draft: Draft, state: State, agent: Agent, volume: Volume, report: VolumeReport) -> None:
    """Take one report; what does not answer what is wanted is an older one."""
    told, operation = report.volume, volume.operation
    fault = report.message or "its agent does not say why"
    if told.state is VolumeState.GONE and volume.is_doomed:
        draft.events.append(VolumeGone(agent.id, volume.id))
        end_operation(draft, state, operation, agent.id)
    elif volume.is_settled or volume.is_doomed or told.size_bytes != volume.wanted_bytes:
        return
    elif told.state is VolumeState.READY:
        draft.events.append(VolumeSettled(agent.id, volume.id, volume.wanted_bytes))
        end_operation(draft, state, operation, agent.id)
    elif told.state is VolumeState.FAILED and volume.kept_bytes:
        draft.events.append(VolumeSettled(agent.id, volume.id, volume.kept_bytes, fault[:500]))
        end_operation(draft, state, operation, agent.id, fault)
    elif told.state is VolumeState.FAILED:
        draft.events.append(VolumeGone(agent.id, volume.id))
        end_operation(draft, state, operation, agent.id, fault)
    draft.touch(agent.id)
    draft.alarm(AlarmKind.RESERVATION_ENDS, (agent.id, volume.reservation), 0)  # if it may by now


def _is_sound(told: WireVolume) -> bool:
    """Whether what an agent says of a volume can be believed."""
    is_named = told.number > 0 and check_id(told.id) is None
    return is_named and not check_reservable(told.role) and not check_size(told.id, told.size_bytes)
