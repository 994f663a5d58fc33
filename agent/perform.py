"""Perform: carries out the core's effects and reports back what became of them."""

import asyncio
from collections.abc import Coroutine
from signal import SIGTERM

import structlog

from agent.checkpoint import CheckpointLoop
from agent.containerizer.containerizer import Containerizer, Exited
from agent.core.effects import (
    DestroyContainer,
    Effect,
    KillContainer,
    MakeVolume,
    ResizeContainer,
    SendReports,
    SendStatuses,
    StartContainer,
    WipeVolume,
)
from agent.core.machine import Command
from agent.core.resizes import ContainerResized
from agent.core.tasks import ContainerEnded, ContainerStarted, LaunchFailed
from agent.core.volumes import VolumeDeleted, VolumeMade, VolumeNotMade
from agent.paths import Paths, Sandbox
from agent.probes import AgentProbe
from agent.sandbox import mark_ended
from agent.session import Session
from agent.starter import Start, Starter, amounts_of, outcome_of
from agent.volumes import TooMuchInside, make_volume, wipe_volume
from protocol.decision import Refused
from protocol.errors import Overloaded, Unavailable
from protocol.messages.agent import Launch
from protocol.messages.values import TaskStatus, Volume
from protocol.resources import EMPTY, format_resources

log = structlog.get_logger()

REPORT_RETRY_S = 0.2


class Performer:
    """Owns the starts on their way and the small works around containers.

    The owner sets `loop` and `session` before the first effect.
    """

    loop: CheckpointLoop
    session: Session

    def __init__(
        self, starter: Starter, containerizer: Containerizer, paths: Paths, probe: AgentProbe
    ) -> None:
        self._starter = starter
        self._containerizer = containerizer
        self._paths = paths
        self._probe = probe
        self._starts: dict[int, Start] = {}
        self._resizes: dict[int, None] = {}  # launches that are being resized
        self._works: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    def perform(self, effect: Effect) -> None:
        """Begin what the effect asks for; never waits."""
        match effect:
            case StartContainer(launch):
                self._start(launch)
            case KillContainer(launch, grace_ns):
                self._kill(launch, grace_ns)
            case ResizeContainer():
                self._work(self._resize(effect))
            case DestroyContainer():
                self._work(self._destroy(effect))
            case SendStatuses(statuses):
                self.session.send_statuses(statuses)
            case MakeVolume(volume):
                self._work(self._make_volume(volume))
            case WipeVolume(name, number):
                self._work(self._wipe_volume(name, number))
            case SendReports(reports):
                self.session.send_reports(reports)

    def report(self, command: Command) -> None:
        """Have the core decide what happened here, however long its queue is."""

        def done(reply: object) -> None:
            if isinstance(reply, Overloaded) and not self._is_stopping:
                asyncio.get_running_loop().call_later(REPORT_RETRY_S, self.report, command)
            elif reply is None:
                self._note(command)
            elif isinstance(reply, Refused):
                log.debug("report refused", reason=reply.reason.name, text=reply.text)

        self.loop.submit(command, done)

    def note_exit(self, container: str, exited: Exited) -> None:
        """Report a container's end; the containerizer calls this."""
        self.report(outcome_of(int(container), exited))

    def note_ended(self, status: TaskStatus) -> None:
        """Say in the log and the counters that a task has its last status."""
        log.info(
            "task ended",
            framework=status.framework_id,
            task=status.task_id,
            launch=status.launch,
            state=status.state.name,
            reason=status.reason.name,
            text=status.message,
        )
        self._probe.task_ended(status.state.name, status.reason.name)

    async def stop(self) -> None:
        """Let go of everything on its way; containers run on, the checkpoint knows the rest."""
        self._is_stopping = True
        self._starter.stop()
        for start in self._starts.values():
            start.unwanted.set()
        works = tuple(self._works)
        for work in works:
            work.cancel()
        if works:
            await asyncio.wait(works)

    def _start(self, launch: Launch) -> None:
        if launch.launch not in self._starts:
            self._starts[launch.launch] = Start(launch)
            self._work(self._run(self._starts[launch.launch]))

    async def _run(self, start: Start) -> None:
        number = start.launch.launch
        try:
            outcome = await self._starter.run(start, self.loop.state)
        finally:
            del self._starts[number]
        self.report(outcome)

    def _kill(self, launch: int, grace_ns: int) -> None:
        start = self._starts.get(launch)
        if start is not None:
            start.unwanted.set()  # a container that runs all the same is killed once reported
        else:
            record = self.loop.state.tasks.get(launch)
            number = record.description.kill_signal if record else 0
            kill = self._containerizer.kill(str(launch), grace_ns / 1e9, number or SIGTERM)
            self._work(self._try("a container cannot be killed now", launch, kill))

    async def _resize(self, effect: ResizeContainer) -> None:
        launch, resources = effect.launch, effect.resources
        if launch in self._resizes:
            return  # the master repeats what is not settled
        self._resizes[launch] = None
        try:
            record = self.loop.state.tasks.get(launch)
            limits = record.description.limits if record else EMPTY
            amounts = amounts_of(resources, limits)
            fault = await self._containerizer.resize(str(launch), amounts)
        finally:
            del self._resizes[launch]
        log.info("task resized", launch=launch, to=format_resources(resources), fault=fault)
        self.report(ContainerResized(launch, effect.number, resources, fault))

    async def _destroy(self, effect: DestroyContainer) -> None:
        path = self._paths.sandbox(effect.framework_id, effect.task_id, effect.launch)
        sandbox = Sandbox(effect.framework_id, effect.task_id, effect.launch, path)
        ended_ns = self.loop.state.now_ns
        await asyncio.get_running_loop().run_in_executor(None, mark_ended, sandbox, ended_ns)
        destroy = self._containerizer.destroy(str(effect.launch))
        await self._try("a container cannot be cleared away now", effect.launch, destroy)

    async def _make_volume(self, volume: Volume) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, make_volume, self._paths, volume)
        except (OSError, TooMuchInside) as error:
            log.warning("a volume cannot be made", volume=volume.id, reason=str(error))
            self.report(VolumeNotMade(volume, str(error)))
        else:
            self.report(VolumeMade(volume))

    async def _wipe_volume(self, name: str, number: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, wipe_volume, self._paths, name, number)
        except OSError as error:  # the master asks again
            log.error("a volume cannot be deleted", volume=name, number=number, reason=str(error))
        else:
            log.info("volume deleted", volume=name, number=number)
            self.report(VolumeDeleted(name, number))

    async def _try(self, failure: str, launch: int, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except Unavailable as error:
            log.warning(failure, launch=launch, reason=str(error))
        except Exception:
            log.exception(failure, launch=launch)

    def _work(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)

    def _note(self, command: Command) -> None:
        if not isinstance(command, ContainerStarted | ContainerEnded | LaunchFailed):
            return
        record = self.loop.state.tasks.get(command.launch)
        if record is None:
            return
        if isinstance(command, ContainerStarted):  # by now a short one may have ended, too
            log.info(
                "task started",
                framework=record.framework_id,
                task=record.description.task_id,
                launch=record.launch,
                pid=command.pid,
            )
        elif record.is_ended:
            self.note_ended(record.newest)


def wait_for(loop: CheckpointLoop, command: Command) -> "asyncio.Future[object]":
    """A future of what the core answers to a command."""
    future: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    def answer(reply: object) -> None:
        if not future.done():
            future.set_result(reply)

    loop.submit(command, answer)
    return future
