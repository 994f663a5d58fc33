"""What a loop answers to a command, and how a no is said on the wire."""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, TypeVar

from protocol.decision import Refused
from protocol.errors import Fault, NotLeader, Overloaded

Outcome: TypeAlias = object  # a reply, None, Refused or a Fault
C_contra = TypeVar("C_contra", contravariant=True)


class Submit(Protocol[C_contra]):
    """`rlog.loop.Loop.submit`."""

    def __call__(
        self, command: C_contra, done: Callable[[Any], None] | None = None, size_bytes: int = 512
    ) -> None: ...


def reason_of(outcome: Refused | Fault) -> tuple[str, str]:
    """Return the name and the text of a no."""
    match outcome:
        case Refused():
            return outcome.reason.name, outcome.text
        case NotLeader():
            return "NOT_LEADER", outcome.leader
        case Overloaded():
            return "OVERLOADED", str(outcome)
        case _:
            return "INTERNAL", str(outcome)
