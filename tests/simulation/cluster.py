"""A simulated cluster: hosts with disks, and processes on them that can die and come back."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from agent.agent import Agent
from agent.config import AgentConfig
from agent.probes import SilentProbe
from master.config import MasterConfig
from master.master import Master
from rlog.local import LocalLog, LocalLogConfig
from rlog.room import RoomWatch
from tests.simulation.loop import Process, VirtualLoop
from tests.simulation.machines import Machine, SimulatedContainerizer

EPOCH_NS = 1_700_000_000_000_000_000
RESOURCES = "cpus:4;mem:8GiB;disk:10GiB;ports:[31000-31999]"
AGENT_TIMEOUT_S = 6.0
EXPECTED = ("the disk is full, this member takes no part",)  # errors that are what faults do


@dataclass(slots=True)
class Host:
    """One machine: its disk and its wall clock outlive what runs on it."""

    name: str
    disk: Path
    clock_skew_ns: int = 0
    process: Process | None = None
    daemon: Any = None
    machine: Machine | None = None
    starts: int = 0
    breaks: list[str] = field(default_factory=list)

    @property
    def is_up(self) -> bool:
        return self.process is not None and not self.process.is_dead

    @property
    def is_stopped(self) -> bool:
        """Whether its process stands still, as after SIGSTOP."""
        return self.process is not None and self.process.paused_until_s > 0


class SimulatedRoom(RoomWatch):
    """Sees when the simulated disk has room."""

    def __init__(self, host: Host, loop: VirtualLoop, watch: RoomWatch) -> None:
        super().__init__(watch._path, watch._then)
        self._host, self._loop = host, loop

    def _look(self) -> None:
        if self._loop.is_full(self._host.name):
            self.begin()
        else:
            super()._look()


class Cluster:
    """Masters m1…, agents a1…, and schedulers' hosts f1… over one virtual loop."""

    def __init__(self, seed: int, directory: Path, masters: int = 3, agents: int = 3) -> None:
        self.rng = random.Random(seed)
        self.loop = VirtualLoop(self.rng)
        asyncio.set_event_loop(self.loop)
        self.masters = [Host(f"m{n + 1}", directory / f"m{n + 1}") for n in range(masters)]
        self.agents = [Host(f"a{n + 1}", directory / f"a{n + 1}") for n in range(agents)]
        self.addresses = tuple(f"{host.name}:7000" for host in self.masters)
        for host in self.agents:
            host.machine = Machine(self.loop, self.rng, host.name)
        listen_to_logs(self.loop.failures)

    # -- processes
    def start_master(self, host: Host) -> None:
        config = MasterConfig(
            listen=f"{host.name}:7000",
            peers=self.addresses,
            data_dir=str(host.disk),
            insecure=True,
            agent_timeout_s=AGENT_TIMEOUT_S,
            offer_timeout_s=5.0,
        )
        self._enter(host)
        master = self._inside(host, lambda: Master(config, self.clock_of(host), self.rng))
        master.on_broken = lambda error: self._broke(host, error)
        master._log._room = SimulatedRoom(host, self.loop, master._log._room)
        host.daemon = master
        self._launch(host, master)

    def start_agent(self, host: Host) -> None:
        config = AgentConfig(
            masters=self.addresses,
            work_dir=str(host.disk),
            listen=f"{host.name}:0",
            advertise=host.name,
            hostname=host.name,
            boot_id="boot",
            resources=RESOURCES,
            insecure=True,
            kill_grace_s=1.0,
        )
        process = self._enter(host)
        assert host.machine is not None
        containers = SimulatedContainerizer(host.machine, process)
        log = LocalLog(LocalLogConfig(str(host.disk / "checkpoint")))
        clock = self.clock_of(host)
        agent = self._inside(
            host,
            lambda: Agent(config, containers, log, clock, self.rng, probe=SilentProbe()),
        )
        agent.on_broken = lambda error: self._broke(host, error)
        host.daemon = agent
        self._launch(host, agent)

    def start(self, host: Host) -> None:
        if not host.is_up:
            (self.start_master if host in self.masters else self.start_agent)(host)

    def kill(self, host: Host) -> None:
        """SIGKILL: what was not written is lost, what was written stays."""
        if host.process is None or host.process.is_dead:
            return
        self.loop.kill(host.process)
        close_stores(host.daemon)

    def _enter(self, host: Host) -> Process:
        assert not host.is_up, host.name
        host.starts += 1
        host.process = Process(host.name)
        host.disk.mkdir(parents=True, exist_ok=True)
        return host.process

    def _inside(self, host: Host, make: Callable[[], Any]) -> Any:
        assert host.process is not None
        return host.process.enter().run(make)

    def _launch(self, host: Host, daemon: Master | Agent) -> None:
        assert host.process is not None
        started = self.loop.spawn(host.process, daemon.start())
        started.add_done_callback(lambda done: self._started(host, done))

    def _started(self, host: Host, done: asyncio.Task[Any]) -> None:
        if not done.cancelled() and done.exception() is not None:
            self._broke(host, done.exception())

    def _broke(self, host: Host, error: BaseException | None) -> None:
        host.breaks.append(repr(error))
        self.kill(host)

    def clock_of(self, host: Host) -> Callable[[], int]:
        """The host's wall clock; faults may set it forward or back."""
        return lambda: EPOCH_NS + int(self.loop.time() * 1e9) + host.clock_skew_ns

    # -- faults on the network
    def hosts(self) -> list[Host]:
        return [*self.masters, *self.agents]

    def cut_off(self, names: list[str], others: list[str], *, both_ways: bool = True) -> None:
        """From now on nothing of `names` reaches `others`, and the reverse if both ways."""
        for a in names:
            for b in others:
                if a != b:
                    self.loop.network.block(a, b)
                    if both_ways:
                        self.loop.network.block(b, a)

    # -- looking
    def leaders(self) -> list[Host]:
        return [host for host in self.masters if host.is_up and host.daemon.is_leading]

    def close(self) -> None:
        for host in self.hosts():
            self.kill(host)
        self.loop.close()


def close_stores(daemon: Any) -> None:
    """What the kernel does for a dead process: close its files and locks."""
    log = getattr(daemon, "_log", None) or daemon._loop._log
    store = log._store
    if store is not None:
        store.close()


def wipe(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)


def listen_to_logs(failures: list[str]) -> None:
    """Daemons log to nobody here, but an error of our own is a finding."""

    def record(_: object, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if level in ("error", "critical") and event.get("event") not in EXPECTED:
            error = event.pop("exc_info", None)
            failures.append(f"{event} {error!r}")
        raise structlog.DropEvent

    structlog.configure(
        processors=[record],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
