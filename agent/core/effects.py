"""Effects: what the agent's shell is asked to do once the events behind it are durable."""

from dataclasses import dataclass

from protocol.messages.agent import Launch, VolumeReport
from protocol.messages.values import TaskStatus, Volume
from protocol.resources import Resources


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Fetch what the task needs and start its container, unless one is there."""

    launch: Launch


@dataclass(frozen=True, slots=True)
class KillContainer:
    """End a container: politely now, by force after the grace; harmless when it has ended."""

    launch: int
    grace_ns: int


@dataclass(frozen=True, slots=True)
class ResizeContainer:
    """Give a running container other limits, and report by the number what became of it."""

    launch: int
    number: int
    resources: Resources


@dataclass(frozen=True, slots=True)
class DestroyContainer:
    """Remove what is left of a container that has ended; its sandbox stays for a while."""

    framework_id: str
    task_id: str
    launch: int


@dataclass(frozen=True, slots=True)
class SendStatuses:
    """Tell the leading master; statuses in a record are repeated until it acknowledges."""

    statuses: tuple[TaskStatus, ...]


@dataclass(frozen=True, slots=True)
class MakeVolume:
    """Make a volume's directory unless it is there; find out whether more is in it than may."""

    volume: Volume


@dataclass(frozen=True, slots=True)
class WipeVolume:
    """Delete a volume with all that is in it; harmless when that is done."""

    volume: str
    number: int


@dataclass(frozen=True, slots=True)
class SendReports:
    """Tell the leading master about volumes; it asks again when it does not hear."""

    reports: tuple[VolumeReport, ...]


Effect = (
    StartContainer
    | KillContainer
    | ResizeContainer
    | DestroyContainer
    | SendStatuses
    | MakeVolume
    | WipeVolume
    | SendReports
)
