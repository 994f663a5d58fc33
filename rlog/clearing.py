"""A member's log made short while it works: a snapshot now, and no entries that it covers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from protocol.errors import Fault, Overloaded, TimedOut, Unavailable
from rlog.raft import Raft
from rlog.replica import ReplicatedLog

POLL_S = 0.05  # between looks whether it is done
PATIENCE_S = 600.0  # the state is written down beside everything else


@dataclass(frozen=True, slots=True)
class Cleared:
    """What has come of it."""

    index: int  # of the snapshot
    size_bytes: int  # the same
    dropped: int  # entries
    kept: int
    used_bytes: int  # of the file, which keeps its size and fills what has become free


Outcome = Cleared | Fault


class Clearing:
    """Makes one member's log short when an operator asks, once at a time."""

    def __init__(self, replicated: ReplicatedLog) -> None:
        self._log = replicated
        self._task: asyncio.Task[None] | None = None

    def begin(self, done: Callable[[Outcome], None]) -> None:
        """Have `done` called with what has come of it, or with why nothing has."""
        if self._task is not None:
            done(Overloaded("the log is being compacted already"))
            return
        self._task = asyncio.get_running_loop().create_task(self._answer(done))

    async def _answer(self, done: Callable[[Outcome], None]) -> None:
        outcome: Outcome
        try:
            outcome = await self._clear()
        except Fault as error:
            outcome = error
        self._task = None
        done(outcome)

    async def _clear(self) -> Cleared:
        """Raises: Unavailable, TimedOut."""
        raft, loop = self._open(), asyncio.get_running_loop()
        before, until_s = raft.journal.first, loop.time() + PATIENCE_S
        index = raft.clear()
        self._log.kick()
        while raft.journal.base_index < index or raft.journal.is_flushing:
            if loop.time() > until_s:
                raise TimedOut(f"no snapshot of entry {index} is on disk after {PATIENCE_S:g} s")
            await asyncio.sleep(POLL_S)
            raft = self._open()
        journal, health = raft.journal, self._log.health()
        return Cleared(
            index=journal.snapshot.index,
            size_bytes=journal.snapshot.size,
            dropped=journal.first - before,
            kept=journal.last - journal.base_index,
            used_bytes=0 if health is None else health.used_bytes,
        )

    def _open(self) -> Raft:
        raft = self._log.raft
        if raft is None:
            raise Unavailable("the log is closed: the disk is full, or the master stops")
        return raft
