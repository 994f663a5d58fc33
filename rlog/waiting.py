"""Questions for what is new, put by until there is something or their time is over."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from rlog.spaces.messages import Changes, ReadChanges, ReadRecords, Records
from rlog.spaces.views import Question

WAIT_NS_MAX = 30_000_000_000
WAITING_MAX = 10_000  # each is looked at again whenever its space changes
PRINCIPAL_WAITING_MAX = 2_000

Hope: TypeAlias = ReadChanges | ReadRecords


class Caller(Protocol):
    """What is used of the link of who asks."""

    @property
    def principal(self) -> str: ...
    @property
    def is_open(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: Hope
    timer: asyncio.TimerHandle


Key: TypeAlias = tuple[Caller, int]
Ask: TypeAlias = Callable[[Caller, Hope], None]


class Waiting:
    """Owns the questions that wait; `ask` puts one of them again.

    One that may wait no longer is put with a `wait_ns` of 0, which is answered whatever there is.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._by_space: dict[str, dict[Key, _Waiting]] = {}
        self._counts: Counter[str] = Counter()
        self._touched: dict[str, None] = {}

    def __len__(self) -> int:
        return self._counts.total()

    def put(self, caller: Caller, request: Question, answer: object) -> bool:
        """Let the question wait, if it may and its answer has nothing new in it."""
        hope = _still_hoped(request, answer)
        if hope is None or not caller.is_open:
            return False
        key = (caller, hope.call)
        self._take(hope.space, key)
        if len(self) >= WAITING_MAX or self._counts[caller.principal] >= PRINCIPAL_WAITING_MAX:
            return False
        loop = asyncio.get_running_loop()
        wait_s = min(hope.wait_ns, WAIT_NS_MAX) / 1e9
        timer = loop.call_later(wait_s, self._end, hope.space, key)
        self._by_space.setdefault(hope.space, {})[key] = _Waiting(hope, timer)
        self._counts[caller.principal] += 1
        return True

    def touch(self, space: str) -> None:
        """Something of a space has changed: look at it again, once for all changes of this turn."""
        if space in self._by_space and space not in self._touched:
            if not self._touched:
                asyncio.get_running_loop().call_soon(self._look)
            self._touched[space] = None

    def touch_all(self) -> None:
        """Leadership was lost: all that wait are told."""
        for space in self._by_space:
            self.touch(space)

    def forget(self, caller: Caller) -> None:
        """Drop what a link that is gone has asked."""
        for space, waiting in tuple(self._by_space.items()):
            for key in tuple(waiting):
                if key[0] is caller:
                    self._take(space, key)

    def _look(self) -> None:
        touched, self._touched = self._touched, {}
        for space in touched:
            for key in tuple(self._by_space.get(space, ())):
                self._put_again(space, key)

    def _put_again(self, space: str, key: Key) -> None:
        """Its time goes on, so that no stream of changes elsewhere in the space prolongs it."""
        waiting = self._by_space[space][key]
        left_s = waiting.timer.when() - asyncio.get_running_loop().time()
        self._take(space, key)
        self._ask(key[0], replace(waiting.request, wait_ns=max(0, int(left_s * 1e9))))

    def _end(self, space: str, key: Key) -> None:
        waiting = self._by_space[space][key]
        self._take(space, key)
        self._ask(key[0], replace(waiting.request, wait_ns=0))

    def _take(self, space: str, key: Key) -> None:
        waiting = self._by_space.get(space, {}).pop(key, None)
        if waiting is None:
            return
        waiting.timer.cancel()
        self._counts[key[0].principal] -= 1
        if not self._by_space[space]:
            del self._by_space[space]


def _still_hoped(request: Question, answer: object) -> Hope | None:
    """Return what to ask when there may be something new; None when there is, or nobody waits."""
    match request, answer:
        case ReadChanges(), Changes() if request.wait_ns > 0 and not answer.revisions:
            return replace(request, after=answer.revision)
        case ReadRecords(), Records() if request.wait_ns > 0 and answer.position >= answer.next:
            return replace(request, position=answer.position)
        case _:
            return None
