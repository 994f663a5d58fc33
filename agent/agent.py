"""Agent: one machine's part of the cluster, assembled; needs a running loop and nothing global."""

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from importlib import metadata

import structlog

from agent.checkpoint import Checkpoint, CheckpointLoop
from agent.config import (
    AgentConfig,
    join_address,
    parse_attributes,
    parse_reserved,
    split_address,
)
from agent.containerizer.containerizer import Containerizer, Exited
from agent.core.recovery import NameAgent, Recover
from agent.core.state import State
from agent.core.tasks import ContainerEnded, ContainerStarted
from agent.discovery import new_agent_id
from agent.files import Files
from agent.handlers import Handlers
from agent.paths import Paths
from agent.perform import Performer, wait_for
from agent.probes import AgentProbe
from agent.sandbox import collect_sandboxes
from agent.session import Session
from agent.starter import Starter
from agent.statistics import Statistics
from protocol.credentials import Credentials, load_credentials
from protocol.decision import Refused
from protocol.errors import Broken, Fault
from protocol.handshake import LinkIdentity
from protocol.links import LinkPace
from protocol.messages.agent import RegisterAgent
from protocol.messages.link import LinkRole
from protocol.resources import parse_resources
from protocol.server import Server, ServerConfig
from rlog.log import Log
from rlog.loop import Loop

log = structlog.get_logger()

COLLECT_S = 60.0


class Agent:
    """Starts from its checkpoint, takes its containers back, and serves the leading master.

    `config` must name hostname, boot id, resources and the advertised host: nothing is detected
    here. `on_broken` is called once when the process must stop; its containers run on.
    """

    def __init__(
        self,
        config: AgentConfig,
        containerizer: Containerizer,
        replicated: Log,
        clock_ns: Callable[[], int],
        rng: random.Random,
        *,
        probe: AgentProbe,
    ) -> None:
        self.address = ""  # host:port of the agent's own server, once started
        self.on_broken: Callable[[Broken], None] = lambda error: None
        self.paths = Paths(config.work_dir)
        self._config = config
        self._containerizer = containerizer
        self._clock_ns = clock_ns
        self._rng = rng
        self._probe = probe
        self._credentials = (
            Credentials.insecure() if config.insecure else load_credentials(config.credentials)
        )
        self._principal = config.principal or self._credentials.principal_for(LinkRole.AGENT)
        starter = Starter(config, self.paths, containerizer, probe)
        self._performer = Performer(starter, containerizer, self.paths, probe)
        self._loop: CheckpointLoop = Loop(
            Checkpoint(int(config.kill_grace_s * 1e9)),
            replicated,
            self._performer.perform,
            clock_ns,
            probe,
        )
        self._performer.loop = self._loop
        self._server: Server | None = None
        self._session: Session | None = None
        self._chores: list[asyncio.Task[None]] = []

    @property
    def state(self) -> State:
        """The head of the agent's state; for tests and the simulation to look at."""
        return self._loop.state

    async def start(self) -> None:
        """Recover, then listen and look for the leading master.

        Raises: Fault, OSError with a text for the operator.
        """
        config = self._config
        await self._open_checkpoint()
        agent_id = self._loop.state.agent_id
        session = self._open_session(agent_id)
        self._containerizer.on_exit = self._performer.note_exit
        await self._containerizer.start()
        log.info("containers ready", isolation=",".join(self._containerizer.isolation) or "none")
        for reduction in self._containerizer.reductions:
            log.warning("containers are less isolated", reduction=reduction)
        await self._recover()
        self.address = await self._listen(agent_id)
        introduction = RegisterAgent(
            agent_id=agent_id,
            hostname=config.hostname,
            address=self.address,
            resources=parse_resources(config.resources),
            attributes=parse_attributes(config.attributes),
            boot_id=config.boot_id,
            version=metadata.version("quorate"),
            isolation=tuple(self._containerizer.isolation),
            reserved=parse_reserved(config.reserved),
            can_resize=True,
        )
        Handlers(self._loop, session, introduction, int(config.kill_grace_s * 1e9))
        statistics = Statistics(
            self._containerizer, self._loop, session, self._probe, config.usage_interval_s
        )

        def note_exit(container: str, exited: Exited) -> None:
            statistics.note_exit(int(container), exited.cpu_ns)
            self._performer.note_exit(container, exited)

        self._containerizer.on_exit = note_exit
        running = asyncio.get_running_loop()
        self._chores = [
            running.create_task(statistics.run()),
            running.create_task(self._collect_sandboxes()),
        ]
        session.start()

    async def stop(self) -> None:
        """Stop at once; tasks run on and are found again at the next start."""
        for chore in self._chores:
            chore.cancel()
        if self._chores:
            await asyncio.wait(self._chores)
        if self._session is not None:
            await self._session.stop()
        if self._server is not None:
            await self._server.stop()
        await self._performer.stop()
        await self._containerizer.stop()
        await self._loop.stop()

    async def _open_checkpoint(self) -> None:
        """Fold the log and wait until it takes commands; name the agent at its first start."""
        led: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_lead(term: int) -> None:
            if not led.done():
                led.set_result(None)

        def on_broken(error: Broken) -> None:
            if led.done():
                self.on_broken(error)
            else:
                led.set_exception(error)

        self._loop.on_lead = on_lead
        self._loop.on_broken = on_broken
        await self._loop.start()
        await led
        if not self._loop.state.agent_id:
            name = new_agent_id(self._config.hostname, self._rng.getrandbits(24))
            await self._decided(NameAgent(name))
            log.info("agent named", agent=name)

    async def _recover(self) -> None:
        """Find the containers of every launch that had not ended."""
        state, config = self._loop.state, self._config
        live = list(state.live.values())
        found: list[ContainerStarted | ContainerEnded] = []
        if state.boot_id == config.boot_id:
            for launch in live:
                container = await self._containerizer.adopt(str(launch))
                if isinstance(container, Exited):
                    found.append(ended_of(launch, container))
                elif container is not None:
                    found.append(ContainerStarted(launch, container.pid, container.start_ticks))
        elif live:
            log.warning("the machine has restarted, its tasks are gone", tasks=len(live))
        await self._decided(Recover(config.boot_id, tuple(found)))
        running = sum(isinstance(finding, ContainerStarted) for finding in found)
        if live:
            log.info("tasks recovered", tasks=len(live), running=running)
        for launch in live:
            record = state.tasks.get(launch)
            if record is not None and record.is_ended:
                self._performer.note_ended(record.newest)
        await self._sweep()

    async def _sweep(self) -> None:
        """Clear away containers that the checkpoint does not know."""
        tasks = self._loop.state.tasks
        for name in sorted(_list(self.paths.containers)):
            if name.isdecimal() and int(name) not in tasks:
                if not isinstance(await self._containerizer.adopt(name), Exited | None):
                    log.warning("a container nobody knows is killed", container=name)
                    await self._containerizer.kill(name, 0.0)
                else:
                    await self._containerizer.destroy(name)

    async def _decided(self, command: NameAgent | Recover) -> None:
        reply = await wait_for(self._loop, command)
        if isinstance(reply, Fault):
            raise reply
        assert not isinstance(reply, Refused), reply

    def _open_session(self, agent_id: str) -> Session:
        config = self._config
        identity = LinkIdentity(
            role=LinkRole.AGENT,
            name=agent_id,
            principal=self._principal,
            credentials=self._credentials,
            cluster=config.cluster,
        )
        pace = LinkPace(silence_s=config.silence_s)
        origin = self._loop.state.origin
        session = Session(config.masters, identity, self._rng, pace, self._probe, origin=origin)
        self._session = self._performer.session = session
        return session

    async def _listen(self, agent_id: str) -> str:
        config = self._config
        host, port = split_address(config.listen, port_min=0)
        server_config = ServerConfig(
            name=agent_id,
            cluster=config.cluster,
            credentials=self._credentials,
            is_insecure=config.insecure,
            heartbeat_s=config.heartbeat_s,
            silence_s=config.silence_s,
            connections_max=1024,
        )
        files = Files(self.paths, lambda: self._loop.state)
        self._server = Server(server_config, {LinkRole.OPERATOR: files})
        actual_port = await self._server.start(host, port)
        return join_address(config.advertise or host, actual_port)

    async def _collect_sandboxes(self) -> None:
        """Remove old sandboxes, for ever."""
        age_ns = int(self._config.sandbox_age_s * 1e9)
        running = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(COLLECT_S)
            live = frozenset(self._loop.state.live.values())
            try:
                removed = await running.run_in_executor(
                    None, collect_sandboxes, self.paths, live, self._clock_ns(), age_ns
                )
            except Exception:
                log.exception("removing old sandboxes failed")
                continue
            if removed:
                log.info("old sandboxes removed", sandboxes=[str(one.path) for one in removed[:20]])
                self._probe.sandboxes_removed(len(removed))


def ended_of(launch: int, exited: Exited) -> ContainerEnded:
    """A container's end in the words of the core."""
    return ContainerEnded(
        launch=launch,
        exit_code=exited.exit_code,
        signal=exited.signal,
        is_out_of_memory=exited.is_out_of_memory,
        is_lost=exited.was_lost,
        message=exited.message,
    )


def _list(directory: os.PathLike[str]) -> Sequence[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return ()
