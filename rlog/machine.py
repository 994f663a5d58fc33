"""The seam between the loop and a state machine: what a daemon hands in to be driven."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from protocol.decision import Decision, Refused


class Stamped(Protocol):
    """A state that knows the wall time, in nanoseconds, of the last events folded into it."""

    now_ns: int


S = TypeVar("S", bound=Stamped)
C = TypeVar("C")
E = TypeVar("E")
F = TypeVar("F")
R = TypeVar("R")
F_co = TypeVar("F_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)


class Machine(Protocol[S, C, E, F_co, R_co]):
    """Decides commands against a state and folds events into it; never does I/O.

    The loop sets `state.now_ns` before it calls `decide` or `apply`.
    """

    def empty(self) -> S:
        """Return the state before the first event."""

    def decide(self, state: S, command: C, now_ns: int) -> Decision[E, F_co, R_co] | Refused:
        """Return what follows from the command, without changing the state."""

    def apply(self, state: S, event: E) -> None:
        """Fold a durable event; total on logged events, and blind to soft state."""

    def apply_soft(self, state: S, event: object) -> None:
        """Fold an event that is never logged and that only a leader's state knows."""

    def drop_soft(self, state: S) -> None:
        """Forget all that `apply_soft` did."""

    def take_over(self, term: int, address: str) -> C:
        """Return the first command of a leadership; a term may be taken over more than once."""

    def tick(self) -> C:
        """Return the command that does what time has made due."""

    def due(self, state: S) -> int | None:
        """Return the wall time in nanoseconds at which `tick` has work; cheap, asked every turn."""

    def encode(self, stamp_ns: int, events: Sequence[E]) -> bytes:
        """Return the log payload of one batch."""

    def decode(self, content: bytes) -> tuple[int, Sequence[E]]:
        """Return the stamp and the events of one log payload."""

    def dump(self, state: S) -> bytes:
        """Return the durable part of the state."""

    def load(self, content: bytes) -> S:
        """Return the state that `dump` wrote."""
