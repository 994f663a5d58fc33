"""A master that says what a test tells it to, and agents as real processes."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from protocol.codecs.agent import decode_agent_message, encode_agent_message
from protocol.credentials import Credentials
from protocol.messages.agent import (
    AcknowledgeStatuses,
    AgentMessage,
    AgentRegistered,
    Kill,
    KillTasks,
    Launch,
    LaunchTasks,
    RegisterAgent,
    StatusAcknowledgement,
    StatusUpdates,
)
from protocol.messages.link import Leader, LinkRole
from protocol.messages.values import TaskDescription, TaskReason, TaskState, TaskStatus, Uri
from protocol.peer import Peer
from protocol.resources import parse_resources
from protocol.server import Server, ServerConfig

DEADLINE_S = 60.0
MessageT = TypeVar("MessageT")


class ScriptedMaster:
    """Leads under one epoch, answers registrations, and keeps what agents say."""

    def __init__(self, epoch: int = 1) -> None:
        self.epoch = epoch
        self.port = 0
        self.peer: Peer | None = None
        self.heard: asyncio.Queue[AgentMessage] = asyncio.Queue()
        self.statuses: list[TaskStatus] = []
        self._server: Server | None = None

    async def start(self, port: int = 0) -> None:
        config = ServerConfig(
            "master", "test", Credentials.insecure(), is_insecure=True, heartbeat_s=0.5
        )
        self._server = Server(config, {LinkRole.AGENT: self})
        self.port = await self._server.start("127.0.0.1", port)
        self._server.announce_leader(Leader(f"127.0.0.1:{self.port}", self.epoch, True))

    async def stop(self) -> None:
        assert self._server is not None
        await self._server.stop()

    def send(self, message: AgentMessage) -> None:
        assert self.peer is not None
        self.peer.send(encode_agent_message(message), self.epoch)

    def launch(self, number: int, task: str, script: str, *uris: Uri, user: str = "") -> None:
        description = TaskDescription(
            task_id=task,
            command=("/bin/sh", "-c", script),
            resources=parse_resources("cpus:0.1;mem:64MiB;ports:[31000-31001]"),
            uris=uris,
            user=user,
        )
        self.send(LaunchTasks((Launch(number, "f1", "web", description),)))

    def kill(self, number: int, task: str, grace_ns: int = 0) -> None:
        kill = Kill("f1", task, number, grace_ns, TaskReason.KILLED_BY_FRAMEWORK)
        self.send(KillTasks((kill,)))

    def acknowledge(self, status: TaskStatus) -> None:
        ack = StatusAcknowledgement(
            status.framework_id, status.task_id, status.launch, status.sequence
        )
        self.send(AcknowledgeStatuses((ack,)))

    async def registration(self) -> RegisterAgent:
        """The next registration, after it was answered."""
        message = await self.hear(RegisterAgent)
        self.send(AgentRegistered(message.agent_id))
        return message

    async def status(self, number: int, state: TaskState) -> TaskStatus:
        """The status of a launch in this state, whenever it comes or came."""
        while True:
            for status in self.statuses:
                if (status.launch, status.state) == (number, state):
                    return status
            await self.hear(StatusUpdates)

    async def hear(self, kind: type[MessageT]) -> MessageT:
        """The next message of a kind; others are passed over."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                message = await self.heard.get()
                if isinstance(message, kind):
                    return message

    def connected(self, peer: Peer) -> None:
        self.peer = peer

    def received(self, peer: Peer, payload: bytes, epoch: int) -> None:
        message = decode_agent_message(payload)
        if isinstance(message, StatusUpdates):
            self.statuses += message.statuses
        self.heard.put_nowait(message)

    def leader_changed(self, peer: Peer, leader: Leader) -> None:
        raise AssertionError("agents do not announce leaders")

    def disconnected(self, peer: Peer, reason: str) -> None:
        if self.peer is peer:
            self.peer = None


class AgentProcess:
    """`python -m agent` on a work directory; may be killed and started again."""

    def __init__(self, work_dir: Path, masters: str, *options: str) -> None:
        self._command = (
            *(sys.executable, "-m", "agent", "--insecure", "--backend", "process"),
            *("--listen", "127.0.0.1:0", "--work-dir", str(work_dir), "--masters", masters),
            *("--resources", "cpus:2;mem:1GiB;disk:1GiB;ports:[31000-32000]"),
            *("--attributes", "rack:r1", "--hostname", "host1", *options),
        )
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self._command, stderr=asyncio.subprocess.PIPE
        )

    async def end(self, number: int = signal.SIGKILL) -> tuple[int, str]:
        """Signal the process; its exit code and what it logged."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.wait()

    async def wait(self) -> tuple[int, str]:
        process, self.process = self.process, None
        assert process is not None
        async with asyncio.timeout(DEADLINE_S):
            _, errors = await process.communicate()
        assert process.returncode is not None
        return process.returncode, errors.decode()


@contextlib.asynccontextmanager
async def cluster(
    work_dir: Path, *options: str
) -> AsyncIterator[tuple[ScriptedMaster, AgentProcess]]:
    """A master and an agent that has registered with it; containers end with the test."""
    master = ScriptedMaster()
    await master.start()
    agent = AgentProcess(work_dir, f"127.0.0.1:{master.port}", *options)
    await agent.start()
    try:
        yield master, agent
    finally:
        if agent.process is not None:
            _, errors = await agent.end(signal.SIGTERM)
            print(errors)
        await master.stop()
        end_processes(work_dir)


def end_processes(work_dir: Path) -> None:
    """Kill the launcher and every container of one work directory."""
    marks = (str(work_dir).encode(), f"QUORATE_SANDBOX={work_dir}".encode())
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{name}/cmdline").read_bytes()
            environment = Path(f"/proc/{name}/environ").read_bytes()
            if (b"launcher.py" in command and marks[0] in command) or marks[1] in environment:
                os.kill(int(name), signal.SIGKILL)


async def until(is_true: Callable[[], bool]) -> None:
    """Wait for something that the system tells nobody."""
    async with asyncio.timeout(DEADLINE_S):
        while not is_true():  # noqa: ASYNC110 - files and foreign processes set no event
            await asyncio.sleep(0.01)
