"""Which states of a task are terminal, the same for whoever speaks of tasks."""

from protocol.messages.values import TaskState

TERMINAL = frozenset(
    {
        TaskState.FINISHED,
        TaskState.FAILED,
        TaskState.KILLED,
        TaskState.ERROR,
        TaskState.LOST,
        TaskState.DROPPED,
        TaskState.GONE,
    }
)


def is_ended(state: TaskState) -> bool:
    """Whether a task in this state can never change again."""
    return state in TERMINAL
