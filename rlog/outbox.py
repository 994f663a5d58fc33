"""What may leave the process once the log entries it rests on are committed."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic

import structlog

from protocol.errors import Fault
from rlog.commands import Done
from rlog.machine import F
from rlog.probes import LoopProbe

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Answer(Generic[F]):
    """Whom to answer with what, and the effects of the same decision."""

    done: Done | None
    reply: object
    effects: tuple[F, ...] = ()


class Outbox(Generic[F]):
    """Owns answers and effects in the order they were decided, each under its index."""

    def __init__(self, perform: Callable[[F], None], probe: LoopProbe) -> None:
        self._perform = perform
        self._probe = probe
        self._answers: deque[tuple[int, Answer[F]]] = deque()

    def put(self, index: int, answers: Sequence[Answer[F]]) -> None:
        """Hold answers until `index` is committed."""
        self._answers.extend((index, answer) for answer in answers)

    def release(self, committed: int) -> None:
        """Answer and perform all whose index is committed: first the answer, then its effects."""
        while self._answers and self._answers[0][0] <= committed:
            _, answer = self._answers.popleft()
            self.answer(answer.done, answer.reply)
            for effect in answer.effects:
                try:
                    self._perform(effect)
                except Exception:
                    log.exception("performing an effect failed", effect=repr(effect)[:500])
                    self._probe.faulted("perform")

    def fail(self, fault: Fault) -> None:
        """Answer everything held with a fault; its effects never leave."""
        answers, self._answers = self._answers, deque()
        for _, answer in answers:
            self.answer(answer.done, fault)

    def answer(self, done: Done | None, reply: object) -> None:
        """Call back; what the callback raises is its own trouble."""
        if done is None:
            return
        try:
            done(reply)
        except Exception:
            log.exception("a callback failed", reply=repr(reply)[:500])
            self._probe.faulted("answer")
