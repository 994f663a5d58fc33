"""A simulated machine: its containers live on when its agent dies, and remember how they ended."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agent.containerizer.containerizer import (
    Amounts,
    ContainerSpec,
    Exited,
    LaunchFailed,
    Started,
)
from protocol.messages.values import ContainerUsage
from tests.simulation.loop import Process, VirtualLoop

LAUNCH_MEAN_S = 0.004
MARK = "mark"  # a file that a task leaves in its volume
SIGKILL = 9
SIGTERM = 15


@dataclass(slots=True)
class Container:
    """One container: when it ends by itself, and how it ended."""

    pid: int
    ends_s: float
    exit_code: int
    exited: Exited | None = None
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class Machine:
    """What outlives agents: containers by name, and how often each was started."""

    loop: VirtualLoop
    rng: random.Random
    host: str
    containers: dict[str, Container] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    marked: dict[str, None] = field(default_factory=dict)  # volumes that a task has written to
    watcher: SimulatedContainerizer | None = None
    pids: int = 100

    def start(self, spec: ContainerSpec) -> Container:
        """Run `sleep SECONDS` or `exit CODE`-like commands in virtual time."""
        self.starts[spec.container] = self.starts.get(spec.container, 0) + 1
        for volume in spec.volumes:
            (Path(volume.directory) / MARK).touch()
            self.marked[volume.directory] = None
        self.pids += 1
        lasts_s, exit_code = float(spec.argv[1]), int(spec.argv[2])
        container = Container(self.pids, self.loop.time() + lasts_s, exit_code)
        self.containers[spec.container] = container
        ended = Exited(exit_code, 0, 0, 0, is_out_of_memory=False, message="")
        container.timer = self._later(lasts_s, lambda: self.end(spec.container, ended))
        return container

    def end(self, name: str, exited: Exited) -> None:
        container = self.containers.get(name)
        if container is None or container.exited is not None:
            return
        container.exited = exited
        if container.timer is not None:
            container.timer.cancel()
        if self.watcher is not None:
            self.watcher.tell(name, exited)

    def running(self) -> int:
        return sum(1 for c in self.containers.values() if c.exited is None)

    def _later(self, delay_s: float, act: Callable[[], None]) -> asyncio.TimerHandle:
        """Machines belong to no process: nothing of theirs stops when one is killed."""
        return Process(self.host).enter().run(self.loop.call_later, delay_s, act)

    def kill_later(self, name: str, grace_s: float) -> None:
        """SIGTERM is obeyed by most; the rest is killed after the grace."""
        obeys = self.rng.random() < 0.8
        delay_s = self.rng.random() * 0.1 if obeys else grace_s
        number = SIGTERM if obeys else SIGKILL
        ended = Exited(0, number, 0, 0, is_out_of_memory=False, message="")
        self._later(delay_s, lambda: self.end(name, ended))


class SimulatedContainerizer:
    """The real containerizer's twin over a `Machine`; belongs to one incarnation of an agent."""

    def __init__(self, machine: Machine, process: Process) -> None:
        self._machine = machine
        self._process = process
        self.isolation: tuple[str, ...] = ("simulated",)
        self.reductions: tuple[str, ...] = ()
        self.on_exit: Callable[[str, Exited], None] = lambda _name, _exited: None
        self._watched: dict[str, None] = {}

    async def start(self) -> None:
        self._machine.watcher = self

    def tell(self, name: str, exited: Exited) -> None:
        if name in self._watched and not self._process.is_dead:
            del self._watched[name]
            loop = self._machine.loop
            self._process.enter().run(loop.call_soon, self.on_exit, name, exited)

    async def launch(self, spec: ContainerSpec) -> Started | LaunchFailed:
        """The order reaches the launcher at once; only the answer dies with the agent."""
        known = self._machine.containers.get(spec.container)
        if known is not None:
            return LaunchFailed("claim", f"container {spec.container} was started before")
        if self._machine.rng.random() < 0.02:
            return LaunchFailed("exec", "simulated failure")
        container = self._machine.start(spec)
        self._watched[spec.container] = None
        await asyncio.sleep(self._machine.rng.expovariate(1 / LAUNCH_MEAN_S))
        return Started(container.pid, container.pid * 10)

    async def adopt(self, container: str) -> Started | Exited | None:
        await asyncio.sleep(0.001)
        known = self._machine.containers.get(container)
        if known is None:
            return None
        if known.exited is not None:
            return known.exited
        self._watched[container] = None
        return Started(known.pid, known.pid * 10)

    async def signal(self, container: str, signal: int) -> None:
        if signal == SIGKILL:
            ended = Exited(0, SIGKILL, 0, 0, is_out_of_memory=False, message="")
            self._machine.end(container, ended)

    async def kill(self, container: str, grace_s: float, signal: int = 15) -> None:
        self._machine.kill_later(container, grace_s)

    async def resize(self, container: str, amounts: Amounts) -> str:
        await asyncio.sleep(self._machine.rng.expovariate(1 / LAUNCH_MEAN_S))
        return "simulated failure" if self._machine.rng.random() < 0.1 else ""

    def usage(self, container: str) -> ContainerUsage | None:
        known = self._machine.containers.get(container)
        if known is None or known.exited is not None:
            return None
        return ContainerUsage(cpu_ns=1_000_000, memory_bytes=1 << 20, pids=1)

    async def destroy(self, container: str) -> None:
        known = self._machine.containers.get(container)
        assert known is None or known.exited is not None, f"{container} runs and was destroyed"

    async def stop(self) -> None:
        self._machine.watcher = None
