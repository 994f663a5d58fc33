"""A whole cluster as child processes of this one, for trying and for tests."""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from master.ctl.asking import ask, ask_every_master, ask_for_list
from master.ctl.children import (
    Child,
    free_ports,
    kill_leftovers,
    remove_cgroups,
    stop_all,
)
from master.ctl.target import CommandError, Target
from protocol.errors import Fault
from protocol.messages.operator import (
    Done,
    ListAgents,
    ListFrameworks,
    ListTasks,
    RemoveFramework,
    TaskView,
)

POLL_S = 0.03
START_S_MAX = 60.0  # a cluster that is not up by then will not be
DRAIN_S_MAX = 4.0  # tasks that do not end by then are ended with force
SWEEPS_MAX = 5
TASK_PORTS_FROM, TASK_PORTS = 31_000, 200  # agents of one machine must not lend the same port
PRINCIPALS = ("master replica", "agent agent", "framework framework", "operator operator")


class EmbeddedCluster:
    """Masters and agents on loopback ports, with all their files below one directory."""

    def __init__(
        self,
        masters: int,
        agents: int,
        directory: Path,
        port: int = 0,
        resources: str = "",
        settings: Sequence[str] = (),
    ) -> None:
        """`resources` of each agent, without ports; empty: an equal part of this machine's.

        `settings` of each master, as `--set` takes them.
        """
        self.directory = directory
        ports = free_ports(masters, port)
        self.addresses = tuple(f"127.0.0.1:{each}" for each in ports)
        self.target = Target(self.addresses, str(directory / "credentials"))
        self._settings = [part for each in settings for part in ("--set", each)]
        self.masters = [self._master(place) for place in range(masters)]
        self.agents = [
            self._agent(place, resources or share_machine(agents)) for place in range(agents)
        ]

    @property
    def children(self) -> Sequence[Child]:
        return [*self.masters, *self.agents]

    async def start(self) -> None:
        """Start everything and return once a master leads and knows every agent.

        Raises: CommandError with the log of what failed.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        _write_credentials(Path(self.target.credentials))
        for child in self.children:
            child.start()
        await self.settle()

    async def settle(self) -> None:
        """Return once every running master answers and a leader knows every running agent.

        Raises: CommandError.
        """
        deadline_s = time.monotonic() + START_S_MAX
        missing = "no master leads"
        while time.monotonic() < deadline_s:
            for child in self.children:
                if child.has_failed:
                    raise CommandError(f"{child.name} has ended by itself:\n{child.tail()}")
            try:
                missing = await self._find_missing()
            except Fault as error:
                missing = str(error)
            if not missing:
                return
            await asyncio.sleep(POLL_S)
        raise CommandError(f"not up within {START_S_MAX:.0f} s: {missing}\n{self.tails()}")

    async def _find_missing(self) -> str:
        agents = await ask_for_list(self.target, ListAgents())
        connected = sum(agent.state == "connected" for agent in agents)
        wanted = sum(child.is_running or child.has_failed for child in self.agents)
        if connected < wanted:
            return f"{connected} of {wanted} agents are connected"
        masters = await ask_every_master(self.target)
        reachable = sum(master.is_reachable for master in masters)
        wanted = sum(child.is_running for child in self.masters)
        return f"{reachable} of {wanted} masters answer" if reachable < wanted else ""

    async def list_tasks(self, *, is_all: bool = False) -> Sequence[TaskView]:
        return await ask_for_list(self.target, ListTasks(all=is_all))

    async def leader(self) -> int | None:
        """Return the place of the leading master among `masters`; None when none leads."""
        for view in await ask_every_master(self.target):
            if view.role == "leader":
                return self.addresses.index(view.address)
        return None

    async def stop(self) -> None:
        """End all tasks, agents and masters, and leave no process or cgroup behind."""
        # What does not end within the time is killed below.
        with contextlib.suppress(Fault, CommandError, TimeoutError):
            await asyncio.wait_for(self._end_tasks(), DRAIN_S_MAX)
        self.stop_now()

    def stop_now(self) -> None:
        """End everything without asking the masters."""
        stop_all(self.agents)
        stop_all(self.masters)
        for _ in range(SWEEPS_MAX):  # a launcher may fork while it is looked for
            if not kill_leftovers(self.directory):
                break
        for child in self.agents:
            remove_cgroups(self.directory / child.name)

    def tails(self) -> str:
        """Return the last log lines of every daemon."""
        return "\n".join(f"--- {child.log}\n{child.tail()}" for child in self.children)

    async def _end_tasks(self) -> None:
        for view in await ask_for_list(self.target, ListFrameworks()):
            await ask(self.target, RemoveFramework(framework_id=view.framework_id), Done)
        while await self.list_tasks():  # noqa: ASYNC110 – they end elsewhere
            await asyncio.sleep(POLL_S)

    def _master(self, place: int) -> Child:
        name = f"m{place + 1}"
        arguments = [
            *("--listen", self.addresses[place]),
            *("--peers", ",".join(self.addresses)),
            *("--data-dir", str(self.directory / name)),
            *("--credentials", self.target.credentials),
            *self._settings,
        ]
        return Child(name, "master", arguments, self.directory / f"{name}.log")

    def _agent(self, place: int, resources: str) -> Child:
        name = f"a{place + 1}"
        port = TASK_PORTS_FROM + place * TASK_PORTS
        arguments = [
            *("--masters", ",".join(self.addresses)),
            *("--work-dir", str(self.directory / name)),
            *("--credentials", self.target.credentials),
            *("--hostname", name),
            *("--resources", f"{resources};ports:[{port}-{port + TASK_PORTS - 1}]"),
        ]
        return Child(name, "agent", arguments, self.directory / f"{name}.log")


def share_machine(agents: int) -> str:
    """Return the resources of one of so many agents that share this machine fairly."""
    cpus_milli = 1000 * (os.cpu_count() or 1) // agents
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    memory_mib = max(64, memory_bytes // 2 // agents >> 20)  # half is left to everybody else
    return f"cpus:{cpus_milli / 1000:g};mem:{memory_mib}MiB"


def _write_credentials(path: Path) -> None:
    lines = [
        f"{principal} {secrets.token_urlsafe(24)} {role}\n"
        for principal, role in (each.split() for each in PRINCIPALS)
    ]
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(lines)
