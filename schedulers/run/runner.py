"""One run of a job: subscribes, follows output, answers ctrl-C, and knows the exit status."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf

from protocol.errors import Denied
from protocol.handshake import LinkIdentity
from protocol.messages.values import TaskState, TaskStatus
from protocol.states import is_ended
from schedulers.driver import Driver
from schedulers.framework import Framework
from schedulers.run.job import Job
from schedulers.run.launcher import Launcher
from schedulers.run.output import (
    AgentOutput,
    Source,
    follow,
    write_stderr,
    write_stdout,
)
from schedulers.run.questions import find_agent, find_shortage
from schedulers.run.screen import Screen

FAILOVER_S = 60.0  # what runs on when this process is killed is ended after so long
DETACHED_FAILOVER_S = 7 * 86_400.0
QUIET_S = 2.0  # a cluster that works has answered by then
WAITING_S = 5.0  # and has offered something by then
REPEAT_S = 15.0  # between two remarks about the same trouble
BROKEN_PIPE = 128 + signal.SIGPIPE
OUTPUT_STATES = (TaskState.RUNNING, TaskState.KILLING)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run a job."""

    is_detached: bool = False
    timeout_s: float = 0.0  # for all instances to be started; 0: for ever


class Runner:
    """Listens to the launcher and decides when the run is over."""

    def __init__(
        self,
        job: Job,
        framework: Framework,
        reader: LinkIdentity,
        screen: Screen,
        options: RunOptions,
        *,
        on_detached: Callable[[str, list[str]], None],
    ) -> None:
        """`reader` is the identity shown to agents, `on_detached` gets framework and tasks.

        Raises: ValueError when an address or the credentials cannot be used.
        """
        self._job = job
        self._masters = framework.addresses
        self._reader = reader
        self._screen = screen
        self._options = options
        self._on_detached = on_detached
        self._launcher = Launcher(job, self)
        self._driver = Driver(framework, self._launcher)
        self._outputs: dict[str, AgentOutput] = {}
        self._follows: dict[str, asyncio.Event] = {}  # task → set once it has ended
        self._following: list[asyncio.Task[str]] = []
        self._over: asyncio.Future[int] | None = None  # the exit status, once it is known
        self._shortage, self._shortage_s = "", -inf  # what the masters said of it, and when
        self._interrupts = 0
        self._interrupted = 0  # the exit status of a run that was interrupted

    async def run(self) -> int:
        """Run the job to its end and return the exit status."""
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt, 128 + number)
        driving = loop.create_task(self._drive())
        watching = loop.create_task(self._watch())
        try:
            status = await self._over
            watching.cancel()
            await driving
        finally:
            watching.cancel()
            for each in self._following:
                each.cancel()
            for output in self._outputs.values():
                await output.close()
        return status

    # What the launcher says.

    def launched(self) -> None:
        """Leave when detached."""
        if self._options.is_detached:
            self._on_detached(self._driver.framework_id, list(self._job.demands))
            if self._over is not None and not self._over.done():
                self._over.set_result(0)
            self._driver.leave()

    def changed(self, status: TaskStatus, address: str) -> None:
        """Show the state; read the output while there is some."""
        if self._options.is_detached:
            return
        self._screen.show_status(status)
        if address and status.pid and (status.state in OUTPUT_STATES or is_ended(status.state)):
            self._follow(status, address)
        if is_ended(status.state) and status.task_id in self._follows:
            self._follows[status.task_id].set()

    def ended(self) -> None:
        """Finish once all output is here."""
        if not self._options.is_detached or self._interrupts:
            asyncio.get_running_loop().create_task(self._drain())

    def given_up(self, text: str) -> None:
        """Finish without success."""
        self._screen.warn(text)
        self._finish(1)

    # Leaves.

    async def _drive(self) -> None:
        try:
            await self._driver.run()
        except Denied:
            self._finish(1)  # the launcher has said why
        except Exception:
            self._finish(1)
            raise
        self._finish(1)  # unless it was over before

    def _finish(self, status: int, *, failover: bool = False) -> None:
        assert self._over is not None
        if not self._over.done():
            self._over.set_result(status)
        self._driver.stop(failover=failover)

    async def _drain(self) -> None:
        """Wait for the rest of all output, then end."""
        missing = await asyncio.gather(*self._following, return_exceptions=True)
        for each in missing:
            if isinstance(each, str) and each:
                self._screen.warn(
                    f"not all output could be read: {each}; `quorate logs` may tell it"
                )
        is_broken = any(isinstance(each, BrokenPipeError) for each in missing)
        status = self._launcher.exit_status
        for each in missing:
            if isinstance(each, BaseException) and not isinstance(each, BrokenPipeError):
                self._screen.warn(f"the output could not be written: {each}")
                status = status or 1
        self._finish(BROKEN_PIPE if is_broken else self._interrupted or status)

    def _interrupt(self, status: int) -> None:
        self._interrupts += 1
        self._interrupted = self._interrupted or status
        live = [f"{self._driver.framework_id}/{task}" for task in self._launcher.live]
        if self._interrupts > 1:
            if live:
                self._screen.warn(
                    f"left at once; {', '.join(live[:10])}{' …' if len(live) > 10 else ''} "
                    f"may still run; the cluster ends what does in {FAILOVER_S:.0f} s"
                )
            self._finish(self._interrupted, failover=True)
            return
        if live:
            self._screen.warn("killing the tasks; ctrl-C again leaves at once")
        self._launcher.kill_all(self._driver)

    def _follow(self, status: TaskStatus, address: str) -> None:
        if status.task_id in self._follows:
            return
        ended = self._follows[status.task_id] = asyncio.Event()
        output = self._outputs.get(address)
        if output is None:
            locate = partial(find_agent, self._masters, self._reader)
            output = AgentOutput(address, self._reader, locate, self._screen.warn)
            self._outputs[address] = output
        is_one = len(self._job.demands) == 1
        number = status.task_id.rpartition("-")[2]
        prefix = b"" if is_one else f"{number}| ".encode()
        for file, sink in (("stdout", write_stdout), ("stderr", write_stderr)):
            source = Source(status.framework_id, status.task_id, file, prefix, sink)
            task = asyncio.get_running_loop().create_task(follow(output, source, ended))
            task.add_done_callback(self._check_pipe)
            self._following.append(task)

    def _check_pipe(self, task: asyncio.Task[str]) -> None:
        """Nobody reads us any more: end the tasks as the shell would end a command."""
        if not task.cancelled() and isinstance(task.exception(), BrokenPipeError):
            self._launcher.kill_all(self._driver)

    async def _watch(self) -> None:
        """Remark on what takes long, and give up at the timeout."""
        loop = asyncio.get_running_loop()
        started_s = trouble_s = loop.time()
        said, said_s = "", 0.0
        while not self._launcher.is_launched:
            await asyncio.sleep(0.25)
            now_s = loop.time()
            waited_s = now_s - started_s
            trouble = await self._find_trouble(now_s - trouble_s)
            if not trouble and self._driver.is_subscribed and not self._launcher.waiting:
                trouble_s = now_s
            if 0 < self._options.timeout_s <= waited_s:
                self.given_up(
                    f"gave up after {self._options.timeout_s:g} s: "
                    f"{await self._find_trouble(inf) or 'the masters did not start everything'}"
                )
                return
            if trouble and (trouble != said or now_s - said_s >= REPEAT_S):
                said, said_s = trouble, now_s
                self._screen.warn(f"waiting {waited_s:.0f} s: {trouble}")

    async def _find_trouble(self, waited_s: float) -> str:
        if not self._driver.is_subscribed:
            return self._explain_masters() if waited_s >= QUIET_S else ""
        shortage = self._launcher.explain_waiting() if waited_s >= WAITING_S else ""
        if shortage:  # offers tell of what fits only, the masters of all there is
            shortage = await self._ask_shortage() or shortage
        return f"{shortage}; `quorate agents` shows what there is" if shortage else ""

    async def _ask_shortage(self) -> str:
        """Return why the masters offer nothing, as they said lately; empty when they do not say."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._shortage_s >= REPEAT_S:
            self._shortage_s = now_s
            self._shortage = await find_shortage(
                self._masters, self._reader, self._driver.framework_id
            )
        return self._shortage

    def _explain_masters(self) -> str:
        silent = self._driver.silent_masters
        tried = ", ".join(f"{name} ({why or 'no answer'})" for name, why in silent.items())
        if len(silent) < len(self._masters):
            return "no master leads yet; are a majority of them running?"
        return f"no master answers at {tried}; is `quorate master` running? --masters names others"
