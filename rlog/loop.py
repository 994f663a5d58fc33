"""The one writer of a state: commands in, events to the log, answers and effects out at commit."""

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum, auto
from functools import partial
from typing import Generic, TypeVar

import structlog

from protocol.decision import Refused
from protocol.errors import Broken, Diverged, Fault, NotLeader, Overloaded
from rlog.commands import CommandQueue, Done, LoopLimits, Queued
from rlog.fold import Flight, Fold
from rlog.log import Capture, Committed, Log
from rlog.machine import C, E, F, Machine, R, S
from rlog.outbox import Answer, Outbox
from rlog.probes import LoopProbe, SilentLoopProbe
from rlog.stamps import StampClock
from rlog.ticker import Ticker

log = structlog.get_logger()
T = TypeVar("T")


class _Mode(Enum):
    FOLLOWING = auto()
    TAKING_OVER = auto()
    SERVING = auto()
    BROKEN = auto()


def _raise(error: Broken) -> None:
    raise error


class Loop(Generic[S, C, E, F, R]):
    """Drives a machine over a log; the log calls it back as its `LogReader`.

    Callbacks of the owner: `on_lead(term)` once leadership is taken over and committed,
    `on_follow(leader)` when it is lost or another leader is known, `on_broken(error)` when the
    state or the log cannot be trusted any more and the process must stop. After a failure in
    `apply` the head is folded again without its soft part: `on_follow("")`, then `on_lead` of
    the same term.
    """

    def __init__(
        self,
        machine: Machine[S, C, E, F, R],
        replicated: Log,
        perform: Callable[[F], None],
        clock_ns: Callable[[], int],
        probe: LoopProbe | None = None,
        *,
        limits: LoopLimits | None = None,
    ) -> None:
        self._machine = machine
        self._log = replicated
        self._probe = probe or SilentLoopProbe()
        self._limits = limits or LoopLimits()
        self._stamps = StampClock(clock_ns)
        self._ticker = Ticker(self._stamps, self._limits, self._tick)
        self._fold: Fold[S, E] = Fold(machine)
        self._outbox: Outbox[F] = Outbox(perform, self._probe)
        self._queue: CommandQueue[C] = CommandQueue(self._limits)
        self._queries = 0
        self._mode = _Mode.FOLLOWING
        self._term = 0
        self._is_take_over_due = False
        self._is_turn_due = False
        self._is_ticking = False
        self.on_lead: Callable[[int], None] = lambda term: None
        self.on_follow: Callable[[str], None] = lambda leader: None
        self.on_broken: Callable[[Broken], None] = _raise

    @property
    def state(self) -> S:
        """The folded state; a leader's is ahead of what is committed, so it must not leave."""
        return self._fold.state

    @property
    def is_serving(self) -> bool:
        """Whether this is the leader and its taking over is committed."""
        return self._mode is _Mode.SERVING

    @property
    def epoch(self) -> int:
        """The term of the newest leadership held here."""
        return self._term

    async def start(self) -> None:
        """Open the log and begin to take part."""
        await self._log.start(self)

    async def stop(self) -> None:
        """Close the log; what waits is answered with `NotLeader`."""
        await self._log.stop()
        if self._mode is not _Mode.BROKEN:
            self._cease("")

    def submit(self, command: C, done: Done | None = None, size_bytes: int = 512) -> None:
        """Have a command decided in order; never answers before it returns.

        `done` gets the reply (or None) or a `Refused` once what it rests on is committed, or a
        `Fault`: `Overloaded` surely without effect, `NotLeader` with unknown outcome, others
        when our own code failed. `size_bytes` is what the command weighs in queue and batch.
        """
        if self._mode not in (_Mode.TAKING_OVER, _Mode.SERVING):
            self._answer_soon(done, NotLeader(self._log.leader))
        elif self._queue.offer(Queued(command, done, size_bytes)):
            self._schedule_turn()
        else:
            self._probe.overloaded()
            self._answer_soon(done, Overloaded("too many commands wait"))

    def query(self, view: Callable[[S], T], done: Callable[[T | Fault], None]) -> None:
        """Answer with a linearizable view; it must not share what `apply` changes in place."""
        if self._queries >= self._limits.queue_commands_max:
            self._probe.overloaded()
            self._answer_soon(done, Overloaded("too many queries wait"))
            return
        self._queries += 1

        def answer(is_proven: bool) -> None:
            self._queries -= 1
            self._view(view, done, is_proven)

        self._log.read_barrier(answer)

    # What the log calls.

    def restore(self, snapshot: bytes | None, index: int) -> None:
        """Begin at a snapshot."""
        try:
            self._fold.restore(snapshot, index)
        except Exception as error:
            raise self._break("a snapshot cannot be loaded", error) from error

    def committed(self, entries: Sequence[Committed]) -> None:
        """Fold others' entries; release what waited for our own."""
        if self._mode is _Mode.BROKEN:
            return
        try:
            landed = self._fold.advance(entries)
        except Exception as error:
            raise self._break("a committed entry cannot be folded", error) from error
        now_s = asyncio.get_running_loop().time()
        for flight in landed:
            self._probe.committed(now_s - flight.appended_s)
        self._outbox.release(self._fold.committed)
        self._schedule_turn()

    def snapshot(self) -> Capture | None:
        """Return the state of the head, to be dumped before it changes."""
        if self._mode is _Mode.BROKEN:
            return None
        return Capture(self._fold.head, partial(self._machine.dump, self._fold.state))

    def lead(self, term: int) -> None:
        """Take over: the machine's own command goes first, everything else waits for it."""
        if self._mode is _Mode.BROKEN:
            return
        if self._mode is not _Mode.FOLLOWING:
            self._cease("")
        assert self._fold.is_at_rest
        self._term = term
        self._stamps.begin(self._fold.state.now_ns)
        self._take_over()

    def follow(self, leader: str) -> None:
        """Drop the head; the outcome of what waited for it is unknown here."""
        if self._mode is not _Mode.BROKEN:
            self._cease(leader)
            self.on_follow(leader)

    def broken(self, error: Broken) -> None:
        """Stop for good."""
        if self._mode is not _Mode.BROKEN:
            self._break("the log is lost", error)

    # Turns.

    def _schedule_turn(self) -> None:
        if not self._is_turn_due:
            self._is_turn_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_turn_due = False
        is_free = self._log.window_free > 0
        if self._mode is _Mode.TAKING_OVER and self._is_take_over_due and is_free:
            self._is_take_over_due = False
            command = self._machine.take_over(self._term, self._log.name)
            self._run([Queued(command, self._taken_over, 0)])
        elif self._mode is _Mode.SERVING and self._queue and is_free:
            self._run(self._queue.take_batch())
            if self._queue:
                self._schedule_turn()
        self._probe.queued(len(self._queue))
        if self._mode is _Mode.SERVING and not self._is_ticking:
            self._ticker.arm(self._machine.due(self._fold.state))

    def _run(self, batch: list[Queued[C]]) -> None:
        """Decide, fold and append one batch; what cannot be folded or logged is undone."""
        state = self._fold.state
        logged_ns, state.now_ns = state.now_ns, self._stamps.now_ns()
        now_ns = state.now_ns
        events: list[E] = []
        answers: list[Answer[F]] = []
        failed: Exception | None = None
        for queued in batch:
            answer, failed = self._decide(queued, now_ns, events)
            answers.append(answer)
            if failed is not None:
                break
        if not events:
            state.now_ns = logged_ns  # the state depends on the log alone
        elif (error := self._append(now_ns, events)) is not None:
            self._undo(batch, error)
            return
        self._probe.batch(len(answers), len(events))
        self._outbox.put(self._fold.head, answers)
        if failed is not None:
            self._queue.put_back(batch[len(answers) :])
            self._fold_again(failed)
        self._outbox.release(self._fold.committed)

    def _decide(
        self, queued: Queued[C], now_ns: int, events: list[E]
    ) -> tuple[Answer[F], Exception | None]:
        """Return the answer, and what `apply` raised if the state is now half changed."""
        machine, state = self._machine, self._fold.state
        try:
            decision = machine.decide(state, queued.command, now_ns)
        except Exception as error:
            return self._fault("decide", queued, error), None
        if isinstance(decision, Refused):
            self._probe.refused(decision.reason.name)
            return Answer(queued.done, decision), None
        try:
            for event in decision.events:
                machine.apply(state, event)
            for soft in decision.soft:
                machine.apply_soft(state, soft)
        except Exception as error:
            return self._fault("apply", queued, error), error
        events.extend(decision.events)
        return Answer(queued.done, decision.reply, decision.effects), None

    def _append(self, stamp_ns: int, events: Sequence[E]) -> Exception | None:
        """Append one entry, or return why that could not be."""
        try:
            payload = self._machine.encode(stamp_ns, events)
            index = self._log.append(payload)
        except Exception as error:
            return error
        self._fold.extend(Flight(index, payload, asyncio.get_running_loop().time()))
        return None

    def _undo(self, batch: list[Queued[C]], error: Exception) -> None:
        """The head holds events that no entry does: fold it again without them."""
        if isinstance(error, Broken):
            self._queue.put_back(batch)
            self._break("the log takes no more", error)
        elif isinstance(error, NotLeader):
            self._queue.put_back(batch)
            self._cease(error.leader, is_dirty=True)
            self.on_follow(error.leader)
        elif len(batch) > 1:
            log.warning("a batch cannot be logged, trying its commands singly", error=str(error))
            self._queue.put_back(batch, is_singly=True)
            self._fold_again(error)
        else:
            self._outbox.put(self._fold.head, [self._fault("append", batch[0], error)])
            self._fold_again(error)
            self._outbox.release(self._fold.committed)

    def _fault(self, stage: str, queued: Queued[C], error: Exception) -> Answer[F]:
        text = repr(queued.command)[:500]
        log.error("a command failed in our own code", stage=stage, command=text, exc_info=error)
        self._probe.faulted(stage)
        return Answer(queued.done, Fault(f"INTERNAL: {stage} failed: {error!r}"))

    def _view(self, view: Callable[[S], T], done: Done, is_proven: bool) -> None:
        """Take the view of the head, to be released when the head is committed."""
        if not is_proven or self._mode not in (_Mode.TAKING_OVER, _Mode.SERVING):
            self._outbox.answer(done, NotLeader(self._log.leader))
            return
        reply: T | Fault
        try:
            reply = view(self._fold.state)
        except Exception as error:
            log.exception("a view failed")
            self._probe.faulted("view")
            reply = Fault(f"INTERNAL: view failed: {error!r}")
        self._outbox.put(self._fold.head, [Answer(done, reply)])
        self._outbox.release(self._fold.committed)

    def _answer_soon(self, done: Done | None, fault: Fault) -> None:
        asyncio.get_running_loop().call_soon(self._outbox.answer, done, fault)

    # Leadership.

    def _take_over(self) -> None:
        self._machine.drop_soft(self._fold.state)
        self._mode = _Mode.TAKING_OVER
        self._is_take_over_due = True
        self._schedule_turn()

    def _taken_over(self, reply: object) -> None:
        if self._mode is not _Mode.TAKING_OVER:
            return
        if isinstance(reply, Refused | Fault):
            self._break("leadership cannot be taken over", Diverged(str(reply)))
            return
        self._mode = _Mode.SERVING
        self._probe.serving(self._term)
        self.on_lead(self._term)
        self._schedule_turn()

    def _fold_again(self, error: Exception) -> None:
        """Make the head what the log and our payloads in flight say, and take over anew."""
        if self._mode is _Mode.TAKING_OVER:
            self._break("leadership cannot be taken over", error)
            return
        if self._rewind(is_keeping_flights=True):
            self._stop_ticking()
            self.on_follow("")
            self._take_over()

    def _cease(self, leader: str, *, is_dirty: bool = False) -> None:
        was_leading = self._mode is not _Mode.FOLLOWING
        self._mode = _Mode.FOLLOWING
        self._is_take_over_due = False
        self._stop_ticking()
        if (is_dirty or not self._fold.is_at_rest) and not self._rewind(is_keeping_flights=False):
            return
        self._machine.drop_soft(self._fold.state)
        self._fail_waiting(NotLeader(leader))
        if was_leading:
            self._probe.serving(0)

    def _rewind(self, *, is_keeping_flights: bool) -> bool:
        started_s = asyncio.get_running_loop().time()
        try:
            self._fold.rewind(self._log, is_keeping_flights=is_keeping_flights)
        except Exception as error:
            self._break("the log cannot be folded again", error)
            return False
        self._probe.refolded(asyncio.get_running_loop().time() - started_s)
        return True

    def _break(self, why: str, error: Exception) -> Broken:
        """Stop for good: nothing more is decided, answered with success, or snapshotted."""
        broken = error if isinstance(error, Broken) else Diverged(f"{why}: {error!r}")
        # A Broken says by itself what is wrong; anything else is our own fault, to be found.
        trace = None if isinstance(error, Broken) else error
        log.error("the loop stops for good", why=why, reason=str(error), exc_info=trace)
        self._mode = _Mode.BROKEN
        self._stop_ticking()
        self._fail_waiting(broken)
        self.on_broken(broken)
        return broken

    def _fail_waiting(self, fault: Fault) -> None:
        self._outbox.fail(fault)
        for queued in self._queue.take_all():
            self._outbox.answer(queued.done, fault)

    def _tick(self) -> None:
        due_ns = self._machine.due(self._fold.state)
        if due_ns is None or due_ns > self._stamps.now_ns():
            self._ticker.arm(due_ns)
            return
        self._is_ticking = True
        self._queue.put_back([Queued(self._machine.tick(), self._ticked, 0)])
        self._schedule_turn()

    def _ticked(self, reply: object) -> None:
        self._is_ticking = False
        if isinstance(reply, Fault):
            self._ticker.back_off()
        self._schedule_turn()

    def _stop_ticking(self) -> None:
        self._is_ticking = False
        self._ticker.cancel()
