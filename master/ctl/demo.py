"""`quorate demo`: what a cluster does when its leading master dies, told while it happens."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop
from rich.console import Console
from rich.markup import escape

from master.ctl.asking import ask_every_master, identify, list_all, now_ns, quieten
from master.ctl.children import Child, remove_tree
from master.ctl.cluster import EmbeddedCluster
from master.ctl.lists import fetch
from master.ctl.logs import read_log
from master.ctl.onlooker import Onlooker
from master.ctl.tables import exit_of, show
from master.ctl.target import CommandError, MisuseError
from master.ctl.workloads import Workload
from protocol.client import OperatorClient
from protocol.errors import Fault, Unavailable
from protocol.messages.operator import ListTasks, MasterView, TaskView

POLL_S = 0.1
RUNNING_S_MAX = 10.0
FAILOVER_S_MAX = 10.0
FINISH_S_MAX = 10.0
LEFT_RUNNING_S = 1.5  # long enough for tasks to count on after the failover
AGENT_CPUS = {1: 4}  # one agent takes all tasks; of several none does, so that they spread
AGENT_CPUS_DEFAULT = 2


def run_demo(masters: int, agents: int) -> int:
    """Play the demo and return the exit status: 0 when everything was as promised.

    Raises: MisuseError for a cluster that must stop when its leader dies.
    """
    if masters == 2:
        raise MisuseError("--masters 2: two do not survive the loss of one; take 1, or 3 and more")
    quieten()
    return uvloop.run(_play(masters, agents))


async def _play(masters: int, agents: int) -> int:
    console = Paper(width=shutil.get_terminal_size((80, 25)).columns, highlight=False)
    directory = Path(tempfile.mkdtemp(prefix="quorate-demo-"))
    cpus = AGENT_CPUS.get(agents, AGENT_CPUS_DEFAULT)
    cluster = EmbeddedCluster(masters, agents, directory, resources=f"cpus:{cpus};mem:1GiB")
    demo = Demo(cluster, console)
    playing = asyncio.get_running_loop().create_task(demo.play())
    console.on_left = playing.cancel
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, playing.cancel)
    try:
        await playing
    except asyncio.CancelledError:
        console.print("\n[bold]interrupted[/]: ending everything")
        return 1 if console.quiet else 130
    except (CommandError, Fault, TimeoutError) as error:
        console.print(f"\n[bold red]This is not as it should be:[/] {escape(str(error))}")
        console.print(escape(cluster.tails()), highlight=False)
        return 1
    finally:
        demo.stop()
        await cluster.stop()
        remove_tree(directory)
    return 0


class Paper(Console):
    """A console whose reader may leave; its parent would end the process, and clean nothing up."""

    on_left: Callable[[], object]

    def on_broken_pipe(self) -> None:
        """Say no more, and let the demo know."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        self.on_left()


class Demo:
    """The steps, in order, and what they learn for the summary."""

    def __init__(self, cluster: EmbeddedCluster, console: Console) -> None:
        self._cluster = cluster
        self._console = console
        self._step = 0
        self._gate = cluster.directory / "enough"  # tasks count until this file is there
        self._workloads: list[Workload] = []
        self._began_s = time.monotonic()

    async def play(self) -> None:
        """Raises: CommandError, Fault when something is off."""
        await self._start_cluster()
        self._explain_isolation()
        await self._show_offers()
        before = await self._run_tasks()
        failover_s = await self._kill_leader()
        after = await self._check_tasks(before)
        await self._run_another()
        await self._finish(after)
        self._summarise(failover_s, len(before))

    def stop(self) -> None:
        """End the schedulers that still run."""
        for workload in self._workloads:
            workload.stop()

    async def _start_cluster(self) -> None:
        masters, agents = len(self._cluster.masters), len(self._cluster.agents)
        self._say_step(f"Start {_count(masters, 'master')} and {_count(agents, 'agent')}")
        began_s = time.monotonic()
        await self._cluster.start()
        self._say(
            f"Up after {time.monotonic() - began_s:.1f} s; files in {self._cluster.directory}"
        )
        await self._show("masters")
        await self._show("agents")

    def _explain_isolation(self) -> None:
        self._say_step("What keeps tasks apart on this machine")
        log = self._cluster.agents[0].log.read_text(errors="replace")
        enforced = re.search(r"isolation=(\S+)", log)
        self._say(f"Enforced: {enforced[1] if enforced else 'nothing'}")
        for reduction in re.findall(r"reduction=['\"]?(.*?)['\"]?$", log, re.MULTILINE):
            self._say(f"Reduced: {reduction}")
        if os.geteuid() != 0:
            self._say("As root (or with delegated cgroups) agents enforce more.")

    async def _show_offers(self) -> None:
        self._say_step("A framework is offered what is free, and takes its time")
        onlooker = Onlooker(self._cluster.target, "window-shopping")
        try:
            await onlooker.look()
            await self._show("offers")
        finally:
            await onlooker.leave()
        self._say("It leaves without an answer; its offers are free again.")

    async def _run_tasks(self) -> Sequence[TaskView]:
        self._say_step("Two frameworks launch tasks on what is offered to them")
        self._say("Each task counts in a file of its sandbox until it is told to end.")
        self._say("The report then fails on purpose, with exit code 3.")
        counting = (
            'echo "counting as pid $$ in $QUORATE_SANDBOX"; i=0; '
            f"until [ -e {self._gate} ] || [ $i -ge 300 ]; "
            "do i=$((i+1)); echo $i >> ticks; sleep 0.2; done; "
        )
        for name, role, count, status in (("web", "web", 2, 0), ("report", "batch", 1, 3)):
            workload = Workload(
                name, role, count, f'{counting} echo "counted to $i"; exit {status}', status
            )
            await workload.start(self._cluster.target, self._console)
            self._workloads.append(workload)
        wanted = sum(workload.count for workload in self._workloads)
        views: Sequence[TaskView] = ()
        async with asyncio.timeout(RUNNING_S_MAX):
            while sum(view.status.state.name == "RUNNING" for view in views) < wanted:
                await asyncio.sleep(POLL_S)
                views = await self._cluster.list_tasks()
        for what in ("agents", "tasks", "roles"):
            await self._show(what)
        return views

    async def _kill_leader(self) -> float:
        """Kill the leader without warning and return how long nobody served."""
        leader = await self._cluster.leader()
        if leader is None:
            raise CommandError("no master leads")
        child = self._cluster.masters[leader]
        is_alone = len(self._cluster.masters) == 1
        again = "; start it again" if is_alone else ""
        self._say_step(f"kill -9 the leading master, {child.name} (pid {child.pid}){again}")
        served_s = await (self._restart(child) if is_alone else self._await_successor(child))
        masters = await ask_every_master(self._cluster.target)
        self._show_views(MasterView, masters)
        now = next((view.address for view in masters if view.role == "leader"), "")
        self._say(f"{now} leads and answered {served_s:.2f} s after the kill.")
        return served_s

    async def _await_successor(self, leader: Child) -> float:
        """Kill the leader and return how long it took until another master answered."""
        addresses, identity = self._cluster.addresses, identify(self._cluster.target)
        client = await OperatorClient.connect(addresses, identity, FAILOVER_S_MAX)
        try:
            leader.kill()
            began_s = time.monotonic()
            await list_all(client, ListTasks())
            return time.monotonic() - began_s
        finally:
            await client.close()

    async def _restart(self, leader: Child) -> float:
        """Kill and start the only master, and return how long it took until it answered."""
        leader.kill()
        began_s = time.monotonic()
        leader.start()
        async with asyncio.timeout(FAILOVER_S_MAX):
            while True:
                with contextlib.suppress(Unavailable):
                    await self._cluster.list_tasks()
                    return time.monotonic() - began_s

    async def _check_tasks(self, before: Sequence[TaskView]) -> Sequence[TaskView]:
        self._say_step("The new leader knows every task, and none of them noticed")
        ticks = [await self._count_ticks(view) for view in before]
        started = [_start_ticks(view.status.pid) for view in before]
        await self._cluster.settle()
        await asyncio.sleep(LEFT_RUNNING_S)
        after = await self._cluster.list_tasks()
        await self._show("tasks")
        if _identities(after) != _identities(before):
            raise CommandError("the tasks or their processes are not the same as before")
        if None in started or [_start_ticks(view.status.pid) for view in before] != started:
            raise CommandError("a task's process is gone")
        for view, counted in zip(before, ticks, strict=True):
            now = await self._count_ticks(view)
            if now <= counted:
                raise CommandError(f"{_key(view)} stands still at {now} ticks")
            self._say(f"{_key(view)}: pid {view.status.pid} as before, counted {counted} to {now}")
        return after

    async def _run_another(self) -> None:
        self._say_step("New work runs too: quorate run -- echo hello from the new leader")
        workload = Workload("hello", "web", 1, "echo hello from the new leader", 0)
        await workload.start(self._cluster.target, self._console)
        self._workloads.append(workload)
        await workload.finish(FINISH_S_MAX)

    async def _finish(self, views: Sequence[TaskView]) -> None:
        self._say_step("Let the tasks end, and look at how they did")
        self._gate.touch()
        for workload in self._workloads:
            await workload.finish(FINISH_S_MAX)
        ended = await self._cluster.list_tasks(is_all=True)
        self._show_views(TaskView, ended)
        known = {_key(view): view for view in ended}
        for view in views:
            found = known.get(_key(view))
            wanted = "3" if view.role == "batch" else "0"
            if found is None or exit_of(found) != wanted:
                status = exit_of(found) if found else "not known"
                raise CommandError(f"the exit status of {_key(view)} is {status}, not {wanted}")

    def _summarise(self, failover_s: float, tasks: int) -> None:
        self._console.rule("[bold]Summary[/]", align="left")
        verb = "was back" if len(self._cluster.masters) == 1 else "had a new leader"
        self._say(f"The cluster {verb} {failover_s:.2f} s after its leading master was killed.")
        self._say(f"All {tasks} tasks ran on with the same pids; every exit status is known.")
        self._say(
            f"The demo took {time.monotonic() - self._began_s:.0f} s. Next: {sys.argv[0]} dev"
        )

    async def _count_ticks(self, view: TaskView) -> int:
        return (await read_log(self._cluster.target, view, "ticks")).count(b"\n")

    async def _show(self, what: str) -> None:
        kind, views = await fetch(what, self._cluster.target)
        self._say(f"$ quorate {'ps' if what == 'tasks' else what}", "bold")
        self._show_views(kind, views)

    def _show_views(self, kind: type, views: Sequence[object]) -> None:
        if views:
            show(self._console, kind, views, "table", now_ns())
        else:
            self._console.print("(none)", style="dim")

    def _say_step(self, text: str) -> None:
        self._step += 1
        self._console.print()
        self._console.rule(f"[bold]{self._step}. {escape(text)}[/]", align="left")

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(text, style=style, markup=False, highlight=False)


def _identities(views: Sequence[TaskView]) -> list[tuple[str, int, int]]:
    return sorted((_key(view), view.status.launch, view.status.pid) for view in views)


def _key(view: TaskView) -> str:
    return f"{view.status.framework_id}/{view.status.task_id}"


def _start_ticks(pid: int) -> int | None:
    """Return when a process began, which with its pid names it; None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
