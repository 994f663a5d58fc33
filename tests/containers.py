"""Real containers for tests: launched in a directory of their own, and nothing left behind."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from agent.containerizer.containerizer import ContainerSpec, Exited, LaunchFailed, Started
from agent.containerizer.isolation import name_tree
from agent.containerizer.native import NativeContainerizer
from agent.containerizer.processes import read_stat

END_S_MAX = 60.0
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and cgroups need root")
each_backend = pytest.mark.parametrize(
    "backend", [pytest.param("native", marks=needs_root), "process"]
)
STUBBORN = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
for way in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            with open(f"child-{way}", "w") as file:
                file.write(" ")
            time.sleep(3600)
        os._exit(0)
while sum(name.startswith("child-") for name in os.listdir(".")) < 3:
    time.sleep(0.01)
print("ready", flush=True)
time.sleep(3600)
"""


class Containers:
    """A started containerizer that remembers exits, and ends and destroys everything at the end."""

    def __init__(self, work_dir: str, backend: str = "native") -> None:
        self.work_dir = work_dir
        self.backend = backend
        self.ends: dict[str, asyncio.Future[Exited]] = {}
        self.containerizer = self._new()

    def _new(self) -> NativeContainerizer:
        containerizer = NativeContainerizer(self.work_dir, time.time_ns, self.backend)
        containerizer.on_exit = lambda container, exited: self._end(container).set_result(exited)
        return containerizer

    async def __aenter__(self) -> Self:
        await self.containerizer.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.containerizer.start()  # a test may have stopped it
        directory = Path(self.work_dir, "containers")
        for name in [path.name for path in directory.iterdir() if not path.name.startswith(".")]:
            await self.containerizer.destroy(name)
        await self.containerizer.stop()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.containerizer.launcher_pid, signal.SIGTERM)

    async def replace(self) -> None:
        """Drop the agent's side as a crash does, and start another."""
        await self.containerizer.stop()
        self.containerizer = self._new()
        await self.containerizer.start()

    def spec(self, container: str, *argv: str) -> ContainerSpec:
        """Return a spec with plain limits and a sandbox made for it."""
        sandbox = Path(self.work_dir, "sandboxes", container)
        sandbox.mkdir(parents=True, exist_ok=True)
        return ContainerSpec(
            container=container,
            argv=argv,
            environment=(("PATH", os.defpath),),
            sandbox=str(sandbox),
            directory=f"{self.work_dir}/containers/{container}",
            cpus_milli=1000,
            memory_bytes=128 << 20,
            pids_max=64,
            user="",
            hostname="",
        )

    async def launch(self, container: str, *argv: str) -> Started:
        """Launch with plain limits; must start."""
        return await self.launch_spec(self.spec(container, *argv))

    async def launch_spec(self, spec: ContainerSpec) -> Started:
        started = await self.containerizer.launch(spec)
        assert not isinstance(started, LaunchFailed), started
        return started

    async def end_of(self, container: str) -> Exited:
        """Return how a container ended, once it has."""
        return await asyncio.wait_for(asyncio.shield(self._end(container)), END_S_MAX)

    def output(self, container: str, name: str = "stdout") -> str:
        return Path(self.work_dir, "sandboxes", container, name).read_text()

    async def wait_for_output(self, container: str, text: str) -> None:
        """Return once a container has written `text`."""
        deadline = asyncio.get_running_loop().time() + END_S_MAX
        while text not in self.output(container):
            assert asyncio.get_running_loop().time() < deadline, self.output(container)
            await asyncio.sleep(0.005)

    def _end(self, container: str) -> asyncio.Future[Exited]:
        return self.ends.setdefault(container, asyncio.get_running_loop().create_future())


Body = Callable[[Containers], Awaitable[None]]


def python(code: str) -> tuple[str, ...]:
    """Return the command that runs some Python."""
    return (sys.executable, "-S", "-c", code)


async def wait_for_end(pid: int) -> None:
    """Return once a process is over, reaped or not."""
    deadline = asyncio.get_running_loop().time() + END_S_MAX
    while read_stat(pid)[:1] not in ([], ["Z"]):
        assert asyncio.get_running_loop().time() < deadline, pid
        await asyncio.sleep(0.005)


def run_containers(work_dir: Path, backend: str, body: Body) -> None:
    """Run a test's body, and see that no process, control group or descriptor outlives it."""

    async def main() -> None:
        async with Containers(str(work_dir), backend) as containers:
            await body(containers)

    before = set(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    deadline = time.monotonic() + END_S_MAX  # the launcher was only just told to end
    while (left := find_processes(str(work_dir))) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left == [], left
    assert find_groups(work_dir) == set()
    assert set(os.listdir("/proc/self/fd")) <= before


def find_groups(work_dir: Path) -> set[str]:
    """Return the groups of the containers of one work directory."""
    paths = Path("/sys/fs/cgroup").glob(f"*/quorate/{name_tree(str(work_dir))}/*")
    return {str(path) for path in paths if path.is_dir()}


def find_processes(work_dir: str) -> list[str]:
    """Return the processes that were started for, or stay in, a work directory."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().decode(errors="replace")
            place = os.readlink(f"/proc/{name}/cwd")
        except OSError:
            continue
        if int(name) != os.getpid() and (work_dir in words or place.startswith(work_dir)):
            found.append(f"{name} {words!r} in {place}")
    return found
