"""What an agent may ask of whatever runs its containers, and the answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from protocol.errors import Broken, Unavailable
from protocol.messages.values import ContainerUsage


@dataclass(frozen=True, slots=True)
class MountedVolume:
    """A directory that appears in the sandbox, under this path."""

    directory: str
    path: str
    is_read_only: bool = False


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What to run and how to fence it.

    `container` is unique on the agent; `sandbox` exists and becomes the working directory, where
    stdout and stderr are made; `directory` is made here. `user` empty: the agent's own. Amounts
    below what a container can live with are raised to it, 0 `pids_max` sets no limit. Other limits
    let it use more than is set aside; 0: no more.
    """

    container: str
    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    sandbox: str
    directory: str
    cpus_milli: int
    memory_bytes: int
    pids_max: int
    user: str
    hostname: str
    volumes: tuple[MountedVolume, ...] = ()
    cpus_limit_milli: int = 0
    memory_limit_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Amounts:
    """What is set aside for a container, and its limits as in `ContainerSpec`."""

    cpus_milli: int
    memory_bytes: int
    cpus_limit_milli: int = 0
    memory_limit_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """The first process of a container; the pid with its start ticks names one process."""

    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """Nothing of the command ran: `step` could not be done, `text` says why."""

    step: str
    text: str


@dataclass(frozen=True, slots=True)
class Exited:
    """How a container ended; `exit_code` counts when `signal` is 0.

    `was_lost`: it ended, but nobody was left to see how.
    """

    exit_code: int
    signal: int
    cpu_ns: int
    memory_peak_bytes: int
    is_out_of_memory: bool
    message: str
    was_lost: bool = False


class WorkDirectoryInUse(Broken):
    """Another agent runs its containers from this work directory."""


class LauncherUnavailable(Unavailable):
    """The launcher process could not be started or does not answer."""


class Containerizer(Protocol):
    """Runs containers that outlive the agent; one per work directory."""

    isolation: tuple[str, ...]  # what is enforced, such as "cgroups-v1:cpu,memory,pids"
    reductions: tuple[str, ...]  # sentences: what is not isolated here and why
    on_exit: Callable[[str, Exited], None]  # set by the owner; called in the loop

    async def start(self) -> None:
        """Make the launcher run and be connected; idempotent.

        Raises: WorkDirectoryInUse, LauncherUnavailable.
        """

    async def launch(self, spec: ContainerSpec) -> Started | LaunchFailed:
        """Run the command; the container is watched when this returns Started.

        Raises: LauncherUnavailable in the rare case that it cannot be known yet; `adopt` later.
        """

    async def adopt(self, container: str) -> Started | Exited | None:
        """Find a container of an earlier agent: running and now watched, ended, or never launched.

        None is definite: it does not run and may be launched.
        Raises: LauncherUnavailable when it can be known only later.
        """

    async def signal(self, container: str, signal: int) -> None:
        """Signal the first process; SIGKILL reaches every process of the container."""

    async def kill(self, container: str, grace_s: float, signal: int = 15) -> None:
        """Ask the first process group by a signal to end and kill everything after the grace.

        Returns at once; the end is told by `on_exit`.
        """

    async def resize(self, container: str, amounts: Amounts) -> str:
        """Give a running container other amounts; it goes on undisturbed.

        Returns why it cannot be, and then nothing has changed; empty when it is done, also where
        nothing is limited.
        """

    def usage(self, container: str) -> ContainerUsage | None:
        """What a container uses now; None when it is not running here."""

    async def destroy(self, container: str) -> None:
        """Remove what an ended container left outside its sandbox; idempotent."""

    async def stop(self) -> None:
        """Let go of everything; containers and launcher run on."""
