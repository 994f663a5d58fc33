"""Commands that wait for their turn, bounded in number and bytes."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from rlog.machine import C

Done = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """Bounds of what waits and of what one turn does."""

    queue_commands_max: int = 16_384  # about a second of work; more only makes answers late
    queue_bytes_max: int = 64 << 20
    batch_commands_max: int = 256  # keeps a turn well under the heartbeat interval
    batch_bytes_max: int = 64 << 10  # the same for big ones; some 200 launches, about 20 ms
    tick_s_min: float = 0.01  # a deadline that cannot be met must not spin
    tick_s_max: float = 5.0  # bounds what a jump of the wall clock can delay


@dataclass(frozen=True, slots=True)
class Queued(Generic[C]):
    """A command and whom to tell what became of it."""

    command: C
    done: Done | None
    size_bytes: int


class CommandQueue(Generic[C]):
    """Owns the order in which commands are decided, and cuts it into batches."""

    def __init__(self, limits: LoopLimits) -> None:
        self._limits = limits
        self._waiting: deque[Queued[C]] = deque()
        self._bytes = 0
        self._isolated = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, queued: Queued[C]) -> bool:
        """Append a command if there is room."""
        if (
            len(self._waiting) >= self._limits.queue_commands_max
            or self._bytes + queued.size_bytes > self._limits.queue_bytes_max
        ):
            return False
        self._waiting.append(queued)
        self._bytes += queued.size_bytes
        return True

    def put_back(self, batch: Sequence[Queued[C]], *, is_singly: bool = False) -> None:
        """Return commands to the front; singly: one of them is bad, so batch none with another."""
        self._waiting.extendleft(reversed(batch))
        self._bytes += sum(queued.size_bytes for queued in batch)
        if is_singly:
            self._isolated += len(batch)

    def take_batch(self) -> list[Queued[C]]:
        """Take what one turn decides: at least one command if any waits."""
        batch: list[Queued[C]] = []
        size_bytes = 0
        commands_max = 1 if self._isolated else self._limits.batch_commands_max
        while self._waiting and len(batch) < commands_max:
            size_bytes += self._waiting[0].size_bytes
            if batch and size_bytes > self._limits.batch_bytes_max:
                break
            batch.append(self._waiting.popleft())
        self._bytes -= sum(queued.size_bytes for queued in batch)
        self._isolated = max(0, self._isolated - len(batch))
        return batch

    def take_all(self) -> list[Queued[C]]:
        """Empty the queue."""
        waiting = list(self._waiting)
        self._waiting.clear()
        self._bytes = self._isolated = 0
        return waiting
