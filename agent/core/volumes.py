"""Volumes: what the agent keeps for roles beyond the life of tasks.

That one is to be made, or deleted, is in the log before it begins; both are begun again after a
restart, and neither does harm when it is done twice. The masters repeat what they want until they
hear that it is so.
"""

from dataclasses import dataclass, replace

from agent.core.effects import MakeVolume, SendReports, WipeVolume
from agent.core.events import VolumeDropped, VolumeKept, VolumeWiped
from agent.core.reasons import Reason
from agent.core.state import VOLUMES_MAX, State
from agent.core.updates import Outcome
from protocol.decision import Decision, Refused
from protocol.ids import check_id
from protocol.messages.agent import VolumeReport
from protocol.messages.values import TaskDescription, Volume, VolumeState


@dataclass(frozen=True, slots=True)
class KeepVolume:
    """A master wants a volume to be there, of this size."""

    volume: Volume


@dataclass(frozen=True, slots=True)
class RemoveVolume:
    """A master wants nothing to be left of a volume."""

    volume: Volume


@dataclass(frozen=True, slots=True)
class VolumeMade:
    """The volume's directory is there, and holds no more than its size."""

    volume: Volume


@dataclass(frozen=True, slots=True)
class VolumeNotMade:
    """It cannot be made, or cannot be so small."""

    volume: Volume
    message: str


@dataclass(frozen=True, slots=True)
class VolumeDeleted:
    """Nothing of it is left."""

    volume: str
    number: int


def decide_keep(state: State, command: KeepVolume) -> Outcome:
    """Make it, or find out whether it can be of that size; answered with a report in any case."""
    volume = command.volume
    known = state.volumes.get(volume.id)
    fault = ""
    if (wrong := check_id(volume.id)) or volume.number < 1 or volume.size_bytes < 1:
        fault = f"it is none that can be made: {wrong or 'no number, or no size'}"
    elif known is not None and known.number != volume.number:
        fault = f"the agent keeps volume {known.number} under this name"
    elif volume.number in state.dropped:
        fault = "the agent is deleting it"
    elif known is None and len(state.volumes) >= VOLUMES_MAX:
        fault = f"the agent keeps {VOLUMES_MAX} volumes"
    if fault:
        return Decision(effects=(_report(volume, VolumeState.FAILED, fault),))
    if known is None:
        made = replace(volume, state=VolumeState.CREATING)
        return Decision(events=(VolumeKept(made),), effects=(MakeVolume(made),))
    return Decision(effects=(MakeVolume(replace(volume, state=known.state)),))


def decide_remove(state: State, command: RemoveVolume) -> Outcome:
    """Delete it; what is not here is reported gone.

    Refuses: VOLUME_IN_USE while a task has it mounted: the master will ask again.
    """
    volume = command.volume
    if volume.number in state.dropped:
        return Decision(effects=(WipeVolume(volume.id, volume.number),))
    known = state.volumes.get(volume.id)
    if known is None or known.number != volume.number:
        return Decision(effects=(_report(volume, VolumeState.GONE),))
    if is_mounted(state, volume.id):
        return Refused(Reason.VOLUME_IN_USE, f"volume {volume.id}")
    dropped = VolumeDropped(volume.id, volume.number)
    return Decision(events=(dropped,), effects=(WipeVolume(volume.id, volume.number),))


def decide_made(state: State, command: VolumeMade) -> Outcome:
    """Say that it is kept.

    Refuses: UNKNOWN_VOLUME when it was to be deleted meanwhile.
    """
    volume = command.volume
    known = state.volumes.get(volume.id)
    if known is None or known.number != volume.number:
        return Refused(Reason.UNKNOWN_VOLUME, f"volume {volume.id}")
    ready = replace(volume, state=VolumeState.READY)
    events = () if known == ready else (VolumeKept(ready),)
    return Decision(events=events, effects=(_report(ready, VolumeState.READY),))


def decide_not_made(state: State, command: VolumeNotMade) -> Outcome:
    """Say so; one that was there before stays as it was, and one that a task was launched on: it
    may be made yet, and nobody else may have its name before that task has ended.

    Refuses: UNKNOWN_VOLUME when it was to be deleted meanwhile.
    """
    volume = command.volume
    known = state.volumes.get(volume.id)
    if known is None or known.number != volume.number:
        return Refused(Reason.UNKNOWN_VOLUME, f"volume {volume.id}")
    report = _report(volume, VolumeState.FAILED, command.message)
    if known.state is VolumeState.READY or is_mounted(state, volume.id):
        return Decision(effects=(report,))
    dropped = VolumeDropped(volume.id, volume.number)
    wiped = VolumeWiped(volume.id, volume.number)
    return Decision(events=(dropped, wiped), effects=(report,))


def decide_deleted(state: State, command: VolumeDeleted) -> Outcome:
    """Say that it is gone. Refuses: UNKNOWN_VOLUME for a repetition."""
    if command.number not in state.dropped:
        return Refused(Reason.UNKNOWN_VOLUME, f"volume {command.volume}")
    gone = _report(Volume(command.volume, command.number), VolumeState.GONE)
    return Decision(events=(VolumeWiped(command.volume, command.number),), effects=(gone,))


def unfinished(state: State) -> tuple[MakeVolume | WipeVolume, ...]:
    """What an agent begins again at its start."""
    makes = (MakeVolume(each) for each in state.volumes.values() if is_unmade(each))
    wipes = (WipeVolume(name, number) for number, name in state.dropped.items())
    return (*makes, *wipes)


def is_unmade(volume: Volume) -> bool:
    return volume.state is not VolumeState.READY


def is_mounted(state: State, name: str) -> bool:
    """Whether a task that has not ended has the volume."""
    return any(
        mount.volume == name
        for launch in state.live.values()
        for mount in state.tasks[launch].description.volumes
    )


def fault_of_mounts(state: State, description: TaskDescription) -> str:
    """Why a task cannot have the volumes that it names, or nothing."""
    for mount in description.volumes:
        known = state.volumes.get(mount.volume)
        if known is None:
            return f"the agent does not keep volume {mount.volume!r}"
        if not known.is_shared and is_mounted(state, known.id):
            return f"another task has volume {mount.volume!r}"
    return ""


def apply_kept(state: State, event: VolumeKept) -> None:
    """The volume is there, or to be made, and of this size."""
    known = state.volumes.get(event.volume.id)
    assert known is None or known.number == event.volume.number
    state.volumes[event.volume.id] = event.volume


def apply_dropped(state: State, event: VolumeDropped) -> None:
    """Nobody may have the volume any more; its content goes."""
    assert state.volumes[event.volume].number == event.number
    del state.volumes[event.volume]
    state.dropped[event.number] = event.volume


def apply_wiped(state: State, event: VolumeWiped) -> None:
    """Nothing is left of it."""
    del state.dropped[event.number]


def _report(volume: Volume, told: VolumeState, message: str = "") -> SendReports:
    return SendReports((VolumeReport(replace(volume, state=told), message),))
