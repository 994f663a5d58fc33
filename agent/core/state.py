"""State: everything an agent must not forget when its process dies."""

from dataclasses import dataclass, field

from agent.core.records import TaskRecord
from protocol.ids import TaskKey
from protocol.messages.values import Volume

TASKS_MAX = 2048  # live and not yet acknowledged launches; all fit one registration
VOLUMES_MAX = 1000  # all fit one registration
FORGOTTEN_MAX = 4096  # launches whose late repetition must not start them again


@dataclass(slots=True)
class State:
    """The tasks of one agent; everything but `retry_ns` is in its log."""

    now_ns: int = 0
    agent_id: str = ""
    origin: str = ""  # of the masters that took it in first
    boot_id: str = ""
    tasks: dict[int, TaskRecord] = field(default_factory=dict)  # by launch
    live: dict[TaskKey, int] = field(default_factory=dict)  # launch that has not ended
    unacknowledged: dict[int, None] = field(default_factory=dict)  # launches with pending statuses
    dying: dict[int, None] = field(default_factory=dict)  # launches asked to end that have not
    timed: dict[int, int] = field(default_factory=dict)  # launch that runs → when it must end
    forgotten: dict[int, None] = field(default_factory=dict)  # oldest first
    volumes: dict[str, Volume] = field(default_factory=dict)  # kept, or to be made
    dropped: dict[int, str] = field(default_factory=dict)  # number → volume that is being deleted
    retry_ns: int = 0  # soft: when statuses and kills without an answer are repeated
