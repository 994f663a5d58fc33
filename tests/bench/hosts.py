"""Simulated agents: real sessions with the masters, tasks that run and end without containers."""

import asyncio
import multiprocessing
import random
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvloop

from agent.probes import SilentProbe
from agent.session import Session
from master.ctl.asking import ask_for_list
from master.ctl.target import CommandError, Target
from protocol.credentials import load_credentials
from protocol.handshake import LinkIdentity
from protocol.links import LinkPace
from protocol.messages.agent import (
    AcknowledgeStatuses,
    AgentMessage,
    Kill,
    KillTasks,
    Launch,
    LaunchTasks,
    RegisterAgent,
)
from protocol.messages.link import LinkRole
from protocol.messages.operator import ListAgents
from protocol.messages.values import TaskState, TaskStatus
from protocol.resources import parse_resources

RESOURCES = parse_resources("cpus:64;mem:256GiB")
CLUSTER = "quorate"
LOOK_S = 0.1


class Host:
    """One agent without a machine: a launched task runs at once, and ends when that is known,
    or stays.
    """

    def __init__(self, name: str, session: Session, *, do_tasks_stay: bool = False) -> None:
        self.name = name
        self._do_tasks_stay = do_tasks_stay
        self._session = session
        self._running: dict[int, TaskStatus] = {}
        session.on_leader = self._register
        session.on_message = self._received

    def _register(self) -> None:
        tasks = tuple(self._running.values())
        self._session.register(
            RegisterAgent(agent_id=self.name, hostname=self.name, resources=RESOURCES, tasks=tasks)
        )

    def _received(self, message: AgentMessage, size_bytes: int) -> None:
        match message:
            case LaunchTasks(launches):
                self._session.send_statuses([self._start(launch) for launch in launches])
            case AcknowledgeStatuses() if self._do_tasks_stay:
                pass
            case AcknowledgeStatuses(acknowledgements):
                ended = [self._end(each.launch, each.sequence) for each in acknowledgements]
                self._session.send_statuses([status for status in ended if status is not None])
            case KillTasks(kills):
                self._session.send_statuses([self._kill(kill) for kill in kills])

    def _start(self, launch: Launch) -> TaskStatus:
        running = TaskStatus(
            framework_id=launch.framework_id,
            task_id=launch.description.task_id,
            agent_id=self.name,
            launch=launch.launch,
            sequence=1,
            state=TaskState.RUNNING,
        )
        return self._running.setdefault(launch.launch, running)

    def _end(self, launch: int, sequence: int) -> TaskStatus | None:
        running = self._running.get(launch)
        if running is None or sequence > running.sequence:
            self._running.pop(launch, None)
            return None
        return _with_end(running, TaskState.FINISHED)

    def _kill(self, kill: Kill) -> TaskStatus:
        unknown = TaskStatus(kill.framework_id, kill.task_id, self.name, kill.launch, 1)
        return _with_end(self._running.get(kill.launch, unknown), TaskState.KILLED)


def _with_end(status: TaskStatus, state: TaskState) -> TaskStatus:
    return TaskStatus(
        framework_id=status.framework_id,
        task_id=status.task_id,
        agent_id=status.agent_id,
        launch=status.launch,
        sequence=2,
        state=state,
    )


async def host(target: Target, count: int, first: int, do_tasks_stay: bool) -> None:
    """Be so many agents until the process is ended."""
    credentials, rng, sessions = load_credentials(target.credentials), random.Random(first), []
    for number in range(first, first + count):
        name = f"host-{number:05}"
        identity = LinkIdentity(LinkRole.AGENT, name, "agent", credentials, CLUSTER)
        session = Session(target.masters, identity, rng, LinkPace(), SilentProbe())
        sessions.append(Host(name, session, do_tasks_stay=do_tasks_stay))
        session.start()
    await asyncio.get_running_loop().create_future()


def be_hosts(target: Target, count: int, first: int, do_tasks_stay: bool) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(host(target, count, first, do_tasks_stay))


@contextmanager
def hosts(
    target: Target, count: int, *, first: int = 0, do_tasks_stay: bool = False
) -> Iterator[int]:
    """Run so many agents in one process, numbered from `first`; yields its id."""
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(
        target=be_hosts, args=(target, count, first, do_tasks_stay), daemon=True
    )
    process.start()
    try:
        yield process.pid or 0
    finally:
        process.kill()
        process.join()


async def until_connected(target: Target, agents: int, at_most_s: float) -> None:
    """Return once the leader has links to so many agents. Raises: TimeoutError."""
    async with asyncio.timeout(at_most_s):
        while await _count_connected(target) < agents:  # noqa: ASYNC110 – they connect elsewhere
            await asyncio.sleep(LOOK_S)


async def _count_connected(target: Target) -> int:
    try:
        views = await ask_for_list(target, ListAgents())
    except CommandError:
        return 0  # nobody leads
    return sum(view.state == "connected" for view in views)
