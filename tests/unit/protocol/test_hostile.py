"""Hostile connections cost the server neither its life, nor a good link, nor a descriptor."""

import asyncio
import os
import random
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from protocol.frames import Frame, encode_frame
from protocol.handshake import ClientHandshake
from protocol.messages.link import LinkRole, Proof
from protocol.peer import Peer, Receiver
from protocol.server import Server, ServerConfig
from tests.unit.protocol.loopback import (
    HOST,
    Changes,
    Recorder,
    call,
    make_config,
    make_identity,
    on_both_loops,
)

CONNECTIONS = 200
ROUNDS = 10
Run = Callable[[Any], Any]


def greeting_bytes() -> bytes:
    hello = ClientHandshake(make_identity()).first()
    assert hello is not None
    return encode_frame(Frame(0, hello)) + encode_frame(Frame(0, Proof(bytes(32))))


def mutated(rng: random.Random) -> bytes:
    content = bytearray(greeting_bytes())
    for _ in range(rng.randint(1, 8)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content)


ATTACKS: list[Callable[[random.Random], bytes]] = [
    lambda rng: b"",
    lambda rng: rng.randbytes(rng.randint(1, 2000)),
    lambda rng: greeting_bytes()[: rng.randrange(300)],
    lambda rng: struct.pack("<2I", rng.randrange(200), rng.randrange(2**32)) + rng.randbytes(64),
    lambda rng: struct.pack("<2I", 0, 64) + rng.randbytes(512),
    lambda rng: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    mutated,
]


async def attack(port: int, rng: random.Random) -> None:
    """One connection that sends something bad and ends in one of the ways there are."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, (HOST, port))
        content = rng.choice(ATTACKS)(rng)
        try:
            if content:
                await loop.sock_sendall(sock, content)
            ending = rng.randrange(3)
            if ending == 0:  # reset
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif ending == 1:
                sock.shutdown(socket.SHUT_WR)
                while await loop.sock_recv(sock, 4096):
                    pass
        except OSError:
            pass  # the server was faster


class CountingServer(Server):
    """Lets a test wait until connections are gone."""

    def __init__(self, config: ServerConfig, receivers: dict[LinkRole, Receiver]) -> None:
        super().__init__(config, receivers)
        self.connections = 0
        self.changes = Changes()

    def opened(self, peer: Peer) -> None:
        self.connections += 1
        super().opened(peer)

    def closed(self, peer: Peer, reason: str) -> None:
        super().closed(peer, reason)
        self.connections -= 1
        self.changes.note()


def has_answers(recorder: Recorder, count: int) -> bool:
    return len(recorder.payloads) == count


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@on_both_loops
@pytest.mark.parametrize("seed", [1, 2])
def test_hostile_connections_cost_nothing_but_themselves(run: Run, seed: int) -> None:
    rng = random.Random(seed)

    async def main() -> None:
        received = Recorder(answer=lambda peer, content: peer.send(content))
        server = CountingServer(make_config(greeting_s=0.2), {LinkRole.AGENT: received})
        port = await server.start(HOST, 0)
        canary = call(f"{HOST}:{port}")
        peer = await canary.received.peer()
        before = descriptors()
        for number in range(ROUNDS):
            await asyncio.gather(*(attack(port, rng) for _ in range(CONNECTIONS // ROUNDS)))
            peer.send(b"%d" % number)
            await canary.received.changes.until(partial(has_answers, canary.received, number + 1))
        assert canary.received.lost == []
        assert server.peers == 1
        # The last attackers leave when the greeting's deadline ends them.
        await server.changes.until(lambda: server.connections == 1)
        await asyncio.sleep(0)
        assert descriptors() <= before
        await canary.link.stop()
        await server.stop()

    with capture_logs() as logs:
        run(main())
    assert [line for line in logs if "exception" in line or line["log_level"] == "error"] == []
