"""Disks: how volumes are made, resized and removed, whoever asks for it.

Reserved disk becomes a volume at once; it is the reservation's again when the agent has said that
nothing is left of the volume.
"""

from collections.abc import Mapping

from master.core.alarms import AlarmKind
from master.core.draft import Draft, put
from master.core.events import (
    VolumeCreated,
    VolumeDoomed,
    VolumeGone,
    VolumeResizing,
    VolumeSettled,
)
from master.core.reasons import Reason
from master.core.records import Agent, Volume
from master.core.settings import Settings
from master.core.state import State
from master.core.validity import check_count
from protocol.decision import Refused
from protocol.ids import AgentId, TaskKey, check_id
from protocol.messages.values import Volume as WireVolume
from protocol.resources import AMOUNT_MAX, Resources

Volumes = Mapping[str, Volume]


def disk(size_bytes: int) -> Resources:
    """Return so much disk."""
    return Resources({"disk": size_bytes}) if size_bytes else Resources()


def find_volume(agent: Agent, volumes: Volumes, name: str) -> Volume | Refused:
    """Return one of an agent's volumes, or of those offered of it. Refuses: UNKNOWN_VOLUME."""
    found = volumes.get(name)
    if found is None:
        where = f"agent {agent.id} has" if volumes is agent.volumes else "the offers have"
        return Refused(Reason.UNKNOWN_VOLUME, f"{where} no volume {name[:140]!r}")
    return found


def check_new(
    agent: Agent, volumes: Mapping[str, object], name: str, settings: Settings
) -> Refused | None:
    """Check the name of a volume to be made beside those."""
    if fault := check_id(name):
        return Refused(Reason.BAD_ID, f"volume {name[:140]!r}: {fault}")
    if name in volumes:
        text = f"agent {agent.id} has a volume {name} already; choose another name"
        return Refused(Reason.DUPLICATE_VOLUME, text)
    return check_count("volumes of the agent", len(volumes) + 1, settings.agent_volumes_max)


def check_size(name: str, size_bytes: int) -> Refused | None:
    """Check that a volume can be of such a size."""
    if 0 < size_bytes <= AMOUNT_MAX:
        return None
    text = f"volume {name} is to have {size_bytes} bytes, 1 to {AMOUNT_MAX} are possible"
    return Refused(Reason.BAD_RESOURCES, text)


def check_change(state: State, agent: Agent, volume: Volume, verb: str) -> Refused | None:
    """Check that a volume is as it was wanted last, and, if it is to go, that nobody uses it."""
    name = f"volume {volume.id} of agent {agent.id}"
    if not volume.is_settled:
        text = f"{name} is {volume.state.name.lower()}; wait until its agent has done that"
        return Refused(Reason.VOLUME_BUSY, text)
    if verb == "destroy" and (users := users_of(state, agent, volume.id)):
        text = f"{name} is in use by {', '.join(users[:5])}; end them first"
        return Refused(Reason.VOLUME_IN_USE, text)
    return None


def users_of(state: State, agent: Agent, name: str) -> list[TaskKey]:
    """Return the tasks that have a volume mounted."""
    return [
        key
        for key in agent.tasks
        if any(mount.volume == name for mount in state.tasks[key].description.volumes)
    ]


def draft_created(draft: Draft, agent: Agent, volume: WireVolume, operation: str) -> Volume:
    """Make it, and return it."""
    draft.events.append(VolumeCreated(agent.id, volume, operation))
    made = volume_of(volume, operation, draft.now_ns)
    order_volume(draft, agent.id, made, volume.role)
    return made


def draft_resized(
    draft: Draft, agent: Agent, volume: Volume, role: str, size_bytes: int, operation: str
) -> None:
    """Want it larger or smaller."""
    draft.events.append(VolumeResizing(agent.id, volume.id, size_bytes, operation))
    volume.wanted_bytes = size_bytes  # of a copy
    order_volume(draft, agent.id, volume, role)


def draft_doomed(draft: Draft, agent: Agent, volume: Volume, role: str, operation: str) -> None:
    """Want it gone."""
    draft.events.append(VolumeDoomed(agent.id, volume.id, operation))
    volume.is_doomed = True  # of a copy
    order_volume(draft, agent.id, volume, role)


def order_volume(draft: Draft, agent_id: AgentId, volume: Volume, role: str) -> None:
    """Tell the agent, and repeat it until it says that it is so."""
    parcels = draft.errands.removed if volume.is_doomed else draft.errands.kept
    put(parcels, agent_id, volume.tell(role))
    key = (agent_id, volume.id)
    draft.alarm(AlarmKind.VOLUME_UNANSWERED, key, draft.settings.volume_resend_ns)


def volume_of(told: WireVolume, operation: str, now_ns: int) -> Volume:
    """Return the record of a volume that is to be made."""
    return Volume(
        id=told.id,
        number=told.number,
        reservation=told.reservation,
        wanted_bytes=told.size_bytes,
        is_shared=told.is_shared,
        principal=told.principal,
        framework_id=told.framework_id,
        operation=operation,
        made_ns=now_ns,
    )


def apply_created(state: State, event: VolumeCreated) -> None:
    agent = state.agents[AgentId(event.agent_id)]
    told = event.volume
    assert told.id not in agent.volumes
    assert told.reservation in agent.reservations
    agent.volumes[told.id] = volume_of(told, event.operation_id, state.now_ns)
    state.volumes_next = max(state.volumes_next, told.number + 1)


def apply_resizing(state: State, event: VolumeResizing) -> None:
    volume = state.agents[AgentId(event.agent_id)].volumes[event.volume]
    assert volume.is_settled
    volume.wanted_bytes, volume.operation, volume.fault = event.size_bytes, event.operation_id, ""


def apply_doomed(state: State, event: VolumeDoomed) -> None:
    volume = state.agents[AgentId(event.agent_id)].volumes[event.volume]
    assert volume.is_settled
    volume.is_doomed, volume.operation, volume.fault = True, event.operation_id, ""


def apply_settled(state: State, event: VolumeSettled) -> None:
    volume = state.agents[AgentId(event.agent_id)].volumes[event.volume]
    volume.wanted_bytes = volume.kept_bytes = event.size_bytes
    volume.operation, volume.fault = "", event.fault


def apply_gone(state: State, event: VolumeGone) -> None:
    del state.agents[AgentId(event.agent_id)].volumes[event.volume]
