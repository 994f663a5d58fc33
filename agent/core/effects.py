"""Effects: what the agent's shell is asked to do once the events behind it are durable."""

from dataclasses import dataclass

from protocol.messages.agent import Launch
from protocol.messages.values import TaskStatus


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
class DestroyContainer:
    """Remove what is left of a container that has ended; its sandbox stays for a while."""

    framework_id: str
    task_id: str
    launch: int


@dataclass(frozen=True, slots=True)
class SendStatuses:
    """Tell the leading master; statuses in a record are repeated until it acknowledges."""

    statuses: tuple[TaskStatus, ...]


Effect = StartContainer | KillContainer | DestroyContainer | SendStatuses
