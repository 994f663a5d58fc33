"""Readers of entries who wait until more is committed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from protocol.messages.operator import EntriesPart, Failed, OperatorMessage, ReadEntries

WAIT_NS_MAX = 30_000_000_000
WAITING_MAX = 1000  # each is looked at whenever more is committed

Say: TypeAlias = Callable[[OperatorMessage], None]


class Caller(Protocol):
    """What is used of the link of who asks."""

    @property
    def is_open(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class _Reader:
    request: ReadEntries
    say: Say
    timer: asyncio.TimerHandle


Key: TypeAlias = tuple[Caller, int]


class Following:
    """Owns the readers who wait; nothing is kept for one but its question."""

    def __init__(self, look: Callable[[ReadEntries], EntriesPart | Failed]) -> None:
        self._look = look
        self._readers: dict[Key, _Reader] = {}

    def answer(self, request: ReadEntries, caller: Caller, say: Say) -> None:
        """Say what there is; if nothing new is, and the reader waits, later."""
        answer = self._look(request)
        key = (caller, request.call)
        self._take(key)
        if not _is_awaited(request, answer) or not caller.is_open:
            say(answer)
        elif len(self._readers) >= WAITING_MAX:
            text = f"{WAITING_MAX} readers wait for entries already; ask another master"
            say(Failed(request.call, "OVERLOADED", text))
        else:
            wait_s = min(request.wait_ns, WAIT_NS_MAX) / 1e9
            timer = asyncio.get_running_loop().call_later(wait_s, self._end, key)
            self._readers[key] = _Reader(request, say, timer)

    def touch(self) -> None:
        """Answer those for whom something has been committed, or who must ask elsewhere."""
        for key, reader in tuple(self._readers.items()):
            answer = self._look(reader.request)
            if not _is_awaited(reader.request, answer):
                self._take(key)
                reader.say(answer)

    def forget(self, caller: Caller) -> None:
        """Drop what a link that is gone has asked."""
        for key in tuple(self._readers):
            if key[0] is caller:
                self._take(key)

    def _end(self, key: Key) -> None:
        reader = self._readers[key]
        self._take(key)
        reader.say(self._look(reader.request))

    def _take(self, key: Key) -> None:
        reader = self._readers.pop(key, None)
        if reader is not None:
            reader.timer.cancel()


def _is_awaited(request: ReadEntries, answer: EntriesPart | Failed) -> bool:
    """Whether what is asked for is still to come, and its reader waits for it."""
    if isinstance(answer, Failed) or answer.entries:
        return False
    return request.wait_ns > 0 and request.first > answer.committed
