"""Reads that wait for proof: that we still led when they were asked, and applied what was then."""

from collections import deque
from collections.abc import Callable

Then = Callable[[bool], None]


class Reads:
    """Barriers in the order they were asked.

    A barrier is proven by heartbeats sent after it was asked: their answers carry the sequence
    number of the round. It is answered when what was committed at asking is applied.
    """

    def __init__(self) -> None:
        self._unproven: deque[tuple[int, int | None, Then]] = deque()
        self._unapplied: deque[tuple[int, Then]] = deque()
        self._answers: list[tuple[Then, bool]] = []

    def ask(self, sequence: int, committed: int | None, then: Then) -> None:
        """Add a barrier proven by round `sequence`.

        `committed` is None while the leader has not committed an entry of its own term: it does
        not know yet how far its predecessors had committed.
        """
        self._unproven.append((sequence, committed, then))

    def refuse(self, then: Then) -> None:
        """Answer no."""
        self._answers.append((then, False))

    def refuse_all(self) -> None:
        """Answer no to everybody: leadership is lost."""
        self._answers += [(then, False) for _, _, then in self._unproven]
        self._answers += [(then, False) for _, then in self._unapplied]
        self._unproven.clear()
        self._unapplied.clear()

    def prove(self, sequence: int, committed: int) -> None:
        """Note that a majority answered round `sequence`, and that the commit index is known."""
        while self._unproven and self._unproven[0][0] <= sequence:
            _, index, then = self._unproven.popleft()
            self._unapplied.append((committed if index is None else index, then))

    def apply(self, applied: int) -> None:
        """Answer yes to those whose index is applied."""
        while self._unapplied and self._unapplied[0][0] <= applied:
            self._answers.append((self._unapplied.popleft()[1], True))

    def take_answers(self) -> list[tuple[Then, bool]]:
        """Return the answers to give now, outside of any consensus code."""
        answers, self._answers = self._answers, []
        return answers
