"""Starter: brings an accepted launch to a running container, or says why not."""

import asyncio
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import structlog

from agent.config import AgentConfig
from agent.containerizer.containerizer import (
    Amounts,
    Containerizer,
    ContainerSpec,
    Exited,
    MountedVolume,
    Started,
)
from agent.containerizer.containerizer import LaunchFailed as NotLaunched
from agent.containerizer.outcome import EXITS_OF_STEPS, describe_unrunnable
from agent.core.state import State
from agent.core.tasks import ContainerEnded, ContainerStarted, LaunchFailed
from agent.core.volumes import is_unmade
from agent.environment import environment_of
from agent.fetcher import Fetcher, FetchFailed
from agent.paths import Paths, Sandbox
from agent.probes import AgentProbe
from agent.sandbox import Account, NoSuchUser, account_of, make_sandbox
from agent.volumes import make_volume
from protocol.errors import Unavailable
from protocol.messages.agent import Launch
from protocol.messages.values import TaskReason
from protocol.resources import Resources

log = structlog.get_logger()

FETCHING_MAX = 8  # at once; threads of their own, the log must not wait behind a slow server
LAUNCHER_RETRY_S = 1.0

Outcome: TypeAlias = ContainerStarted | ContainerEnded | LaunchFailed


@dataclass(slots=True)
class Start:
    """One launch on its way; nobody wants it any more once it is to be killed."""

    launch: Launch
    unwanted: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_wanted(self) -> bool:
        """Whether nobody has asked for the end yet."""
        return not self.unwanted.is_set()


class Starter:
    """Prepares the sandbox, fetches, and launches; one attempt per launch."""

    def __init__(
        self, config: AgentConfig, paths: Paths, containerizer: Containerizer, probe: AgentProbe
    ) -> None:
        self._config = config
        self._paths = paths
        self._containerizer = containerizer
        self._probe = probe
        self._fetching = ThreadPoolExecutor(FETCHING_MAX, "fetch")  # no thread before its first use

    async def run(self, start: Start, state: State) -> Outcome:
        """Return what became of a launch; never raises but when cancelled.

        `state` says who the agent is, and which volumes the launch may have.
        """
        started_s = asyncio.get_running_loop().time()
        try:
            outcome = await self._prepare_and_launch(start, state)
        except Exception as error:
            log.exception("starting a container failed", launch=start.launch.launch)
            outcome = self._failed(start, "agent", f"the agent failed: {error!r}")
        if isinstance(outcome, ContainerStarted):
            self._probe.container_started(asyncio.get_running_loop().time() - started_s)
        return outcome

    def stop(self) -> None:
        """Fetch nothing more; what is on its way ends with its next chunk."""
        self._fetching.shutdown(wait=False, cancel_futures=True)

    async def _prepare_and_launch(self, start: Start, state: State) -> Outcome:
        launch, description = start.launch, start.launch.description
        path = self._paths.sandbox(launch.framework_id, description.task_id, launch.launch)
        sandbox = Sandbox(launch.framework_id, description.task_id, launch.launch, path)
        loop = asyncio.get_running_loop()
        if not start.is_wanted:
            return self._failed(start, "cancelled", "")
        try:
            account = account_of(description.user, launch.user, self._config.user)
            await loop.run_in_executor(None, make_sandbox, sandbox, account.owner)
            volumes = await loop.run_in_executor(None, self._ready_volumes, start, state, account)
            await self._fetch(start, sandbox, account)
        except NoSuchUser as error:
            return self._failed(start, "user", str(error))
        except FetchFailed as error:
            return self._failed(start, "fetch", str(error), TaskReason.FETCH_FAILED)
        except OSError as error:
            return self._failed(start, "sandbox", f"the sandbox cannot be made: {error}")
        spec = self._spec_of(start, state.agent_id, sandbox, account)
        found = await self._launch(start, replace(spec, volumes=volumes))
        if found is None:
            return self._failed(start, "cancelled", "")
        if isinstance(found, NotLaunched):
            is_command = found.step in EXITS_OF_STEPS  # what was to be run is wrong, not this agent
            self._probe.launch_failed("command" if is_command else "launcher")
        return outcome_of(launch.launch, found)

    def _ready_volumes(
        self, start: Start, state: State, account: Account
    ) -> tuple[MountedVolume, ...]:
        """Return where the task's volumes are; those for it alone belong to its user.

        Raises: OSError.
        """
        ready = []
        for mount in start.launch.description.volumes:
            volume = state.volumes.get(mount.volume)
            if volume is None:  # the launch has just been ended, and the volume removed
                raise FileNotFoundError(errno.ENOENT, "no such volume", mount.volume)
            path = self._paths.volume(volume.id, volume.number)
            if is_unmade(volume):
                make_volume(self._paths, volume)
            if account.owner is not None and not volume.is_shared:
                os.chown(path, *account.owner)
            ready.append(MountedVolume(str(path), mount.path, mount.is_read_only))
        return tuple(ready)

    async def _fetch(self, start: Start, sandbox: Sandbox, account: Account) -> None:
        uris = start.launch.description.uris
        if not uris:
            return
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        deadline_s = started_s + self._config.fetch_timeout_s

        def is_wanted() -> bool:
            return start.is_wanted and loop.time() < deadline_s

        fetcher = Fetcher(str(sandbox.path), account.owner, self._config.fetch_bytes_max, is_wanted)
        fetching = loop.run_in_executor(self._fetching, fetcher.fetch, uris)
        unwanted = loop.create_task(start.unwanted.wait())
        timeout_s = self._config.fetch_timeout_s
        both = (fetching, unwanted)
        await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        unwanted.cancel()
        if not fetching.done():  # its thread may hang on a slow server for a while yet
            fetching.add_done_callback(_ignore)
            text = f"not there within {timeout_s:g} s" if start.is_wanted else "no longer wanted"
            raise FetchFailed(text)
        fetching.result()
        self._probe.fetched(len(uris), loop.time() - started_s)

    async def _launch(
        self, start: Start, spec: ContainerSpec
    ) -> Started | Exited | NotLaunched | None:
        """Launch, and find out what happened when the launcher went away meanwhile.

        None: nothing runs, and nobody wants it any more.
        """
        is_first = True
        while True:
            try:
                if not is_first:
                    await self._containerizer.start()
                    found = await self._containerizer.adopt(spec.container)
                    if found is not None or not start.is_wanted:
                        return found
                elif not start.is_wanted:
                    return None
                return await self._containerizer.launch(spec)
            except Unavailable as error:
                log.warning("no launcher; trying on", launch=spec.container, reason=str(error))
                is_first = False
                await asyncio.sleep(LAUNCHER_RETRY_S)

    def _spec_of(
        self, start: Start, agent_id: str, sandbox: Sandbox, account: Account
    ) -> ContainerSpec:
        launch = start.launch
        amounts = amounts_of(launch.description.resources, launch.description.limits)
        return ContainerSpec(
            container=str(launch.launch),
            argv=launch.description.command,
            environment=environment_of(launch, agent_id, str(sandbox.path)),
            sandbox=str(sandbox.path),
            directory=str(self._paths.container(launch.launch)),
            cpus_milli=amounts.cpus_milli,
            memory_bytes=amounts.memory_bytes,
            pids_max=self._config.pids_max,
            user=account.user,
            hostname=self._config.hostname,
            cpus_limit_milli=amounts.cpus_limit_milli,
            memory_limit_bytes=amounts.memory_limit_bytes,
        )

    def _failed(
        self, start: Start, step: str, text: str, reason: TaskReason = TaskReason.LAUNCH_FAILED
    ) -> LaunchFailed:
        if start.is_wanted:
            self._probe.launch_failed(step)
        return LaunchFailed(start.launch.launch, reason, text)


def amounts_of(resources: Resources, limits: Resources) -> Amounts:
    """Return what a task has and may use, in the words of containers."""
    return Amounts(
        cpus_milli=resources.scalars.get("cpus", 0),
        memory_bytes=resources.scalars.get("mem", 0),
        cpus_limit_milli=limits.scalars.get("cpus", 0),
        memory_limit_bytes=limits.scalars.get("mem", 0),
    )


def outcome_of(launch: int, found: Started | Exited | NotLaunched) -> Outcome:
    """What the containerizer says, in the words of the core."""
    if isinstance(found, Started):
        return ContainerStarted(launch, found.pid, found.start_ticks)
    if isinstance(found, NotLaunched) and found.step in EXITS_OF_STEPS:
        found = describe_unrunnable(found.step, found.text)
    if isinstance(found, NotLaunched):
        return LaunchFailed(launch, TaskReason.LAUNCH_FAILED, f"{found.step}: {found.text}")
    return ContainerEnded(
        launch=launch,
        exit_code=found.exit_code,
        signal=found.signal,
        is_out_of_memory=found.is_out_of_memory,
        is_lost=found.was_lost,
        message=found.message,
    )


def _ignore(fetching: "asyncio.Future[None]") -> None:
    if not fetching.cancelled():
        fetching.exception()
