"""Bytes that are no messages, to every port of a cluster: their link ends, and nothing else."""

import asyncio
import contextlib
import random
import struct
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from master.ctl.asking import ask_for_list
from master.ctl.cluster import EmbeddedCluster
from protocol.codecs.agent import encode_agent_message
from protocol.codecs.framework import encode_framework_message
from protocol.codecs.operator import encode_operator_message
from protocol.credentials import load_credentials
from protocol.frames import Frame, Payload, Ping, encode_frame
from protocol.handshake import LinkIdentity
from protocol.links import Link
from protocol.messages.agent import RegisterAgent, StatusUpdates
from protocol.messages.framework import KillTasksCall, Subscribe
from protocol.messages.link import Hello, Leader, LinkRole
from protocol.messages.operator import ListAgents, ListTasks, ReadFile, Tasks
from protocol.messages.values import TaskState, TaskStatus
from protocol.peer import Peer
from tests.faults.crowd import run_canary
from tests.faults.guests import count_lines
from tests.faults.stage import play, staged, until
from tests.unit.protocol.mutations import mutate

SEED = 7
RANDOM_MAX = 20
MUTANTS = 60
IDLERS = 200
ANSWER_S_MAX = 20.0

HELLO = encode_frame(Frame(0, Hello(1, 1, LinkRole.OPERATOR, "x", "operator", "SCRAM-SHA-256")))
SCRAPS = {
    "text": b"GET / HTTP/1.1\r\nHost: quorate\r\n\r\n",
    "segments": struct.pack("<II", 0xFFFFFFFF, 1) + bytes(64),
    "size": struct.pack("<II", 0, 0xFFFFFFFF) + bytes(64),
    "many segments": struct.pack("<II", 63, 1) + b"\xff" * 1024,
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "cut": HELLO[:-8],
    "cut header": HELLO[:6],
    "empty message": struct.pack("<II", 0, 0),
    "ping before hello": encode_frame(Frame(0, Ping(1))),
    "payload before hello": encode_frame(Frame(0, Payload(b"x" * 100))),
    "leader before hello": encode_frame(Frame(0, Leader("127.0.0.1:1", 2**63, True))),
    "hello twice": HELLO + HELLO,
    "hello of nobody": encode_frame(Frame(0, Hello())),
    "hello of control characters": encode_frame(Frame(0, Hello(1, 1, LinkRole.AGENT, "\x1b[2J"))),
    "hello of a giant": encode_frame(Frame(0, Hello(1, 1, LinkRole.AGENT, "x" * 100_000))),
}
NEVER = [b"", bytes(8), b"\xff" * 64, b"no message at all, but text", bytes(1000)]
PAYLOADS: dict[LinkRole, list[bytes]] = {
    LinkRole.AGENT: [
        encode_agent_message(RegisterAgent("somebody-else")),
        encode_framework_message(Subscribe(1, name="not an agent's word")),
    ],
    LinkRole.FRAMEWORK: [],
    LinkRole.OPERATOR: [encode_operator_message(Tasks(1))],
    LinkRole.REPLICA: [],
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    with staged(tmp_path_factory.mktemp("malformed"), masters=3, agents=1) as started:
        yield started


@contextlib.asynccontextmanager
async def unharmed(cluster: EmbeddedCluster) -> AsyncIterator[list[str]]:
    before = [child.pid for child in cluster.children]
    agents = await ask_for_list(cluster.target, ListAgents())
    yield [*cluster.addresses, agents[0].address]
    await run_canary(cluster)
    assert [child.pid for child in cluster.children if child.is_running] == before
    for child in cluster.children:
        found = [line for line in child.tail(10_000).splitlines() if "Traceback" in line]
        assert found == [], child.tail(100)
    told = count_lines(cluster.children, "peer dropped")
    print(f"{told} lines about dropped peers in all logs")


def test_scraps_before_a_greeting_end_their_link_alone(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        rng = random.Random(SEED)
        noise = [rng.randbytes(rng.randrange(1, 8192)) for _ in range(RANDOM_MAX)]
        async with unharmed(cluster) as addresses:
            for address in addresses:
                for scrap in (*SCRAPS.values(), *noise):
                    await throw(address, scrap)
                await run_canary(cluster)

    play(scene())


def test_many_silent_connections_keep_nobody_out(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        async with unharmed(cluster) as addresses:
            writers = []
            try:
                for number in range(IDLERS):
                    address = addresses[number % len(addresses)]
                    _, writer = await asyncio.open_connection(*split(address))
                    writer.write(HELLO[: number % len(HELLO)])
                    writers.append(writer)
                await run_canary(cluster)
            finally:
                for writer in writers:
                    writer.transport.abort()

    play(scene())


@pytest.mark.parametrize("role", list(PAYLOADS))
def test_garbage_after_a_greeting_ends_its_link_alone(
    cluster: EmbeddedCluster, role: LinkRole
) -> None:
    async def scene() -> None:
        rng = random.Random(SEED)
        noise = [rng.randbytes(rng.randrange(8, 2048)) for _ in range(5)]
        async with unharmed(cluster) as addresses:
            for address in addresses if role == LinkRole.OPERATOR else addresses[:-1]:
                identity = identify(cluster, role, address)
                misplaced = PAYLOADS[role] if address in cluster.addresses else []
                for payload in (*NEVER, *misplaced, *noise):
                    assert await say(address, identity, [payload]), payload[:40]
                await run_canary(cluster)

    play(scene())


def test_nearly_right_messages_harm_nobody(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        rng = random.Random(SEED)
        status = TaskStatus("fw-999", "t", "nobody", 999, 1, TaskState.RUNNING)
        bases = {
            LinkRole.OPERATOR: [
                encode_operator_message(ListTasks(1, True, "fw-1", "t")),
                encode_operator_message(ReadFile(1, "fw-1", "../..", "../../etc/passwd", 0, 99)),
            ],
            LinkRole.FRAMEWORK: [encode_framework_message(KillTasksCall(2**63))],
            LinkRole.AGENT: [encode_agent_message(StatusUpdates((status,) * 50))],
        }
        async with unharmed(cluster) as addresses:
            for role, messages in bases.items():
                for address in addresses if role == LinkRole.OPERATOR else addresses[:-1]:
                    identity = identify(cluster, role, address)
                    for _ in range(MUTANTS // 10):
                        said = [mutate(rng, rng.choice(messages)) for _ in range(10)]
                        await say(address, identity, said)

    play(scene())


class Ear:
    """Hears that a link opens and ends."""

    def __init__(self) -> None:
        self.peer: Peer | None = None
        self.is_over = False

    def connected(self, peer: Peer) -> None:
        self.peer = peer

    def received(self, peer: Peer, payload: bytes, epoch: int) -> None:
        return

    def leader_changed(self, peer: Peer, leader: Leader) -> None:
        return

    def disconnected(self, peer: Peer, reason: str) -> None:
        self.is_over = True


async def say(address: str, identity: LinkIdentity, payloads: Sequence[bytes]) -> bool:
    """Say something after a right greeting; return whether the link was ended for it."""
    ear = Ear()
    link = Link(address, identity, ear, random.Random())
    link.start()
    try:
        await until(lambda: ear.peer is not None, f"a link to {address}: {link.failure}")
        assert ear.peer is not None
        for payload in payloads:
            ear.peer.send(payload)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.0 if len(payloads) == 1 else 0.05):
                while not ear.is_over:  # noqa: ASYNC110 – told by the link itself
                    await asyncio.sleep(0.002)
        return ear.is_over
    finally:
        await link.stop()


async def throw(address: str, content: bytes) -> None:
    """Send bytes and no more, and return once the other side has closed."""
    reader, writer = await asyncio.open_connection(*split(address))
    try:
        writer.write(content)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(ANSWER_S_MAX):
                await reader.read()
    finally:
        writer.transport.abort()


def identify(cluster: EmbeddedCluster, role: LinkRole, address: str) -> LinkIdentity:
    """Return who we pretend to be: rightly authenticated, and of bad manners."""
    principal = "master" if role == LinkRole.REPLICA else role.name.lower()
    other = next(each for each in cluster.addresses if each != address)
    name = other if role == LinkRole.REPLICA else "vandal"
    return LinkIdentity(role, name, principal, load_credentials(cluster.target.credentials), "")


def split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.replace("0.0.0.0", "127.0.0.1"), int(port)
