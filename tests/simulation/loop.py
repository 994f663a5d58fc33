"""An event loop in virtual time: waiting is free, and a killed process never runs again."""

from __future__ import annotations

import asyncio
import collections
import contextvars
import random
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from protocol.errors import DiskFull
from tests.simulation.network import Network

DISK_MEAN_S = 0.002
PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)
ROUNDING_S = 1e-6
START_S = 1000.0  # not 0: a forgotten "never" of 0.0 would look like now


class Process:
    """One incarnation of a simulated process: what was started in it dies or stops with it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.is_dead = False
        self.paused_until_s = 0.0
        self.held: collections.deque[Callable[[], None]] = collections.deque()
        self.tasks: list[asyncio.Task[Any]] = []

    def enter(self) -> contextvars.Context:
        """A context in which everything belongs to this process."""
        context = contextvars.copy_context()
        context.run(PROCESS.set, self)
        return context


class _NoSelector:
    """What the base loop asks for events: there are none, so time moves on."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout_s: float | None) -> list[object]:
        if timeout_s is None:
            raise RuntimeError("the simulation has nothing left to do, yet somebody waits")
        if timeout_s > 0:
            self._loop.advance(timeout_s)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Deterministic: the order of callbacks depends on nothing but the code and the seed."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._now_s = START_S
        self._selector = _NoSelector(self)
        self._clock_resolution = 1e-9
        self.rng = rng
        self.network = Network(self, rng)
        self.disk_mean_s: dict[str, float] = {}
        self.full_until_s: dict[str, float] = {}  # when a host's disk has room again
        self.set_task_factory(_make_task)
        self.set_exception_handler(self._record)
        self.failures: list[str] = []
        self._graveyard: list[Process] = []  # kept, so that no `finally` of theirs ever runs

    def time(self) -> float:
        return self._now_s

    def advance(self, by_s: float) -> None:
        self._now_s += by_s

    # -- what the base class wants of a platform
    def _process_events(self, event_list: list[object]) -> None:
        return

    def _write_to_self(self) -> None:
        return

    # -- callbacks run only while their process lives
    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        return super().call_soon(self._guarded(callback, context), *args, context=context)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return super().call_at(when, self._guarded(callback, context), *args, context=context)

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now_s + delay, callback, *args, context=context)

    def _guarded(
        self, callback: Callable[..., object], context: contextvars.Context | None
    ) -> Callable[..., object]:
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is None:
            return callback

        def run(*args: Any) -> None:
            if process.is_dead:
                return
            if process.paused_until_s > self._now_s:
                process.held.append(lambda: run(*args))
                return
            callback(*args)

        return run

    def is_full(self, host: str) -> bool:
        """Whether nothing can be written there now."""
        return self.full_until_s.get(host, 0.0) > self._now_s

    def pause(self, process: Process, for_s: float) -> None:
        """Stop a process as SIGSTOP would; what happens to it meanwhile happens afterwards."""
        process.paused_until_s = self._now_s + for_s
        asyncio.BaseEventLoop.call_later(self, for_s, self._resume, process)

    def _resume(self, process: Process) -> None:
        if process.paused_until_s > self._now_s + ROUNDING_S:
            return  # stopped again meanwhile, for longer
        process.paused_until_s = 0.0
        held, process.held = process.held, collections.deque()
        for callback in held:
            asyncio.BaseEventLoop.call_soon(self, callback, context=process.enter())

    def kill(self, process: Process) -> None:
        """End a process as SIGKILL would: nothing of it runs again, its links break."""
        process.is_dead = True
        process.held.clear()
        self._graveyard.append(process)
        self.network.drop_process(process)

    # -- the world outside
    async def create_connection(  # type: ignore[override]
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, **_: Any
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        process = PROCESS.get()
        assert process is not None, "only simulated processes have a network"
        return await self.network.connect(process, factory, (host, port))

    async def create_server(  # type: ignore[override]
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, **_: Any
    ) -> object:
        process = PROCESS.get()
        assert process is not None, "only simulated processes have a network"
        return self.network.listen(process, factory, (host, port))

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Do the work after a disk's delay, or never if the process is killed before."""
        future: asyncio.Future[Any] = self.create_future()
        process = PROCESS.get()
        mean_s = self.disk_mean_s.get(process.host if process else "", DISK_MEAN_S)
        delay_s = self.rng.expovariate(1 / mean_s)

        def work() -> None:
            if future.cancelled():
                return
            try:
                if process is not None and self.is_full(process.host):
                    raise DiskFull(f"the disk of {process.host} is full")
                result = func(*args)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.call_later(delay_s, work)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        return

    # -- what went wrong
    def _record(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, AssertionError | RuntimeError | KeyError | TypeError | AttributeError):
            self.failures.append(f"{context.get('message')}: {error!r}")

    def spawn(self, process: Process, work: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Run a coroutine as part of a process."""
        return process.enter().run(self.create_task, work)


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    process = PROCESS.get()
    if process is not None:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        process.tasks.append(task)
        task.add_done_callback(lambda done: process.tasks.remove(done))
    return task


def quiet_leftovers() -> None:
    """Coroutines of killed processes are closed by the collector; what they say then is noise."""
    sys.unraisablehook = lambda _: None
