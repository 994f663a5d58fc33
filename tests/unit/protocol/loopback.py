"""Servers, callers and receivers over loopback sockets, for tests of links."""

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
import uvloop

from protocol.credentials import Credential, Credentials
from protocol.frames import Body, Frame, decode_frame, encode_frame
from protocol.framing import FRAME_BYTES_HARD_MAX, Splitter
from protocol.handshake import ClientHandshake, LinkIdentity
from protocol.links import Link, LinkPace
from protocol.messages.link import Leader, LinkRole
from protocol.peer import Peer, Receiver
from protocol.server import Server, ServerConfig

PATIENCE_S = 30.0  # only ever spent by a test that fails
HOST = "127.0.0.1"
CREDENTIALS = Credentials(
    {
        "agents": Credential("tree-house", frozenset({LinkRole.AGENT})),
        "root": Credential("open-sesame"),
    }
)
QUICK = LinkPace(retry_first_s=0.01, retry_max_s=0.05)
T = TypeVar("T")


def run_asyncio(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner() as runner:
        return runner.run(asyncio.wait_for(main, PATIENCE_S))


def run_uvloop(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asyncio.wait_for(main, PATIENCE_S))


on_both_loops = pytest.mark.parametrize(
    "run", [pytest.param(run_asyncio, id="asyncio"), pytest.param(run_uvloop, id="uvloop")]
)


class Changes:
    """Lets a test wait until something it can look at has become true."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Event] = []

    def note(self) -> None:
        for event in self._waiting:
            event.set()

    async def until(self, claim: Callable[[], bool]) -> None:
        event = asyncio.Event()
        self._waiting.append(event)
        while not claim():
            await event.wait()
            event.clear()
        self._waiting.remove(event)


@dataclass
class Recorder:
    """A receiver that keeps what it is told; `answer` replies to each payload."""

    answer: Callable[[Peer, bytes], None] | None = None
    peers: list[Peer] = field(default_factory=list)
    payloads: list[tuple[bytes, int]] = field(default_factory=list)
    leaders: list[Leader] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)

    def connected(self, peer: Peer) -> None:
        self.peers.append(peer)
        self.changes.note()

    def received(self, peer: Peer, payload: bytes, epoch: int) -> None:
        self.payloads.append((payload, epoch))
        if self.answer is not None:
            self.answer(peer, payload)
        self.changes.note()

    def leader_changed(self, peer: Peer, leader: Leader) -> None:
        self.leaders.append(leader)
        self.changes.note()

    def disconnected(self, peer: Peer, reason: str) -> None:
        self.peers.remove(peer)
        self.lost.append(reason)
        self.changes.note()

    async def peer(self) -> Peer:
        """The first open peer, once there is one."""
        await self.changes.until(lambda: bool(self.peers))
        return self.peers[0]

    async def leader(self) -> Leader:
        """The first word on who leads, once there is one."""
        await self.changes.until(lambda: bool(self.leaders))
        return self.leaders[0]


@dataclass
class Listening:
    """A started server, the address it is reached at, and what it received."""

    server: Server
    address: str
    received: Recorder

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


def make_config(name: str = "m1", **changes: Any) -> ServerConfig:
    settings: dict[str, Any] = {"cluster": "test", "credentials": CREDENTIALS} | changes
    return ServerConfig(name=name, **settings)


async def listen(recorder: Recorder | None = None, port: int = 0, **changes: Any) -> Listening:
    received = recorder or Recorder()
    roles = (LinkRole.AGENT, LinkRole.FRAMEWORK, LinkRole.OPERATOR)
    receivers: dict[LinkRole, Receiver] = dict.fromkeys(roles, received)
    server = Server(make_config(**changes), receivers)
    actual = await server.start(HOST, port)
    return Listening(server, f"{HOST}:{actual}", received)


def make_identity(role: LinkRole = LinkRole.AGENT, **changes: Any) -> LinkIdentity:
    settings: dict[str, Any] = {
        "name": "a1",
        "principal": "agents",
        "credentials": CREDENTIALS,
    } | changes
    return LinkIdentity(role=role, **settings)


def credentials_of(principal: str, secret: str) -> Credentials:
    return Credentials({principal: Credential(secret)})


@dataclass
class Calling:
    """A started link, what it received, and how its tries ended."""

    link: Link
    received: Recorder
    ended: Changes

    async def refusal(self) -> tuple[str, str]:
        await self.ended.until(lambda: self.link.refusal is not None)
        assert self.link.refusal is not None
        return self.link.refusal


def call(
    address: str,
    identity: LinkIdentity | None = None,
    recorder: Recorder | None = None,
    pace: LinkPace = QUICK,
) -> Calling:
    received, ended = recorder or Recorder(), Changes()
    link = Link(
        address,
        identity or make_identity(),
        received,
        random.Random(1),
        pace,
        on_ended=lambda _: ended.note(),
    )
    link.start()
    return Calling(link, received, ended)


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


class RawLink:
    """A caller that says exactly what a test makes it say."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._splitter = Splitter(FRAME_BYTES_HARD_MAX)

    @classmethod
    async def open(cls, port: int) -> "RawLink":
        return cls(*await asyncio.open_connection(HOST, port))

    @classmethod
    async def greeted(cls, port: int) -> "RawLink":
        """One that has been welcomed."""
        raw = await cls.open(port)
        client = ClientHandshake(make_identity())
        word: Body | None = client.first()
        while word is not None:
            raw.say(word)
            answer = await raw.hear()
            assert answer is not None
            word = client.receive(answer.body)
        return raw

    def say(self, body: Body) -> None:
        self.writer.write(encode_frame(Frame(0, body)))

    async def hear(self) -> Frame | None:
        """The next frame, None at the end."""
        while (segments := self._splitter.next_frame()) is None:
            chunk = await self.reader.read(1 << 16)
            if not chunk:
                return None
            self._splitter.feed(chunk)
        return decode_frame(segments)

    async def hear_end(self) -> None:
        """Return once the server has closed, in whatever way."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()
