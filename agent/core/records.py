"""Records: what the agent remembers about each launch."""

from dataclasses import dataclass, field

from protocol.ids import TaskKey, task_key
from protocol.messages.values import TaskDescription, TaskReason, TaskStatus
from protocol.states import is_ended


@dataclass(frozen=True, slots=True)
class KillIntent:
    """A task was asked to end; from `deadline_ns` on it is ended by force."""

    grace_ns: int
    deadline_ns: int
    reason: TaskReason


@dataclass(slots=True)
class TaskRecord:
    """One launch, from its acceptance until the master acknowledged how it ended."""

    launch: int
    framework_id: str
    role: str
    user: str
    description: TaskDescription
    newest: TaskStatus
    start_ticks: int = 0
    pending: list[TaskStatus] = field(default_factory=list)
    kill: KillIntent | None = None

    @property
    def key(self) -> TaskKey:
        """The task this launch belongs to."""
        return task_key(self.framework_id, self.description.task_id)

    @property
    def is_ended(self) -> bool:
        """Whether its container has ended, or never will start."""
        return is_ended(self.newest.state)

    @property
    def is_started(self) -> bool:
        """Whether its container is known to have started."""
        return self.newest.pid > 0
