"""Round trips over one loopback link: how many per second, and the CPU time each costs per side."""

import argparse
import asyncio
import os
import random
import resource
import time

import structlog
import uvloop

from protocol.credentials import Credentials
from protocol.handshake import LinkIdentity
from protocol.links import Link
from protocol.messages.link import Leader, LinkRole
from protocol.peer import Peer
from protocol.server import Server, ServerConfig

HOST = "127.0.0.1"
CREDENTIALS = Credentials.insecure()


class Echo:
    """The serving side: sends every payload back."""

    def connected(self, peer: Peer) -> None:
        pass

    def received(self, peer: Peer, payload: bytes, epoch: int) -> None:
        peer.send(payload, epoch)

    def leader_changed(self, peer: Peer, leader: Leader) -> None:
        pass

    def disconnected(self, peer: Peer, reason: str) -> None:
        pass


class Pinger:
    """The calling side: keeps a window of payloads in flight until all have come back."""

    def __init__(self, window: int, count: int, payload: bytes) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._window, self._unsent, self._unheard = window, count, count
        self._payload = payload

    def connected(self, peer: Peer) -> None:
        for _ in range(min(self._window, self._unsent)):
            self._send(peer)

    def received(self, peer: Peer, payload: bytes, epoch: int) -> None:
        self._unheard -= 1
        if self._unsent:
            self._send(peer)
        elif not self._unheard:
            self.done.set_result(None)

    def leader_changed(self, peer: Peer, leader: Leader) -> None:
        pass

    def disconnected(self, peer: Peer, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(reason))

    def _send(self, peer: Peer) -> None:
        self._unsent -= 1
        peer.send(self._payload, 1)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def serve(port_out: int, end_in: int) -> float:
    """Serve until the other process closes its end; return the CPU seconds taken."""
    config = ServerConfig("bench", "bench", CREDENTIALS, is_insecure=True)
    server = Server(config, {LinkRole.AGENT: Echo()})
    port = await server.start(HOST, 0)
    before_s = cpu_s()
    os.write(port_out, b"%d" % port)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(end_in, ended.set)
    await ended.wait()
    taken_s = cpu_s() - before_s
    await server.stop()
    return taken_s


async def ping(port: int, window: int, count: int, size: int) -> tuple[float, float]:
    """Wall and CPU seconds that `count` round trips took the caller."""
    pinger = Pinger(window, count, bytes(size))
    identity = LinkIdentity(LinkRole.AGENT, "pinger", "", CREDENTIALS)
    link = Link(f"{HOST}:{port}", identity, pinger, random.Random(1))
    before_s, began_s = cpu_s(), time.perf_counter()
    link.start()
    await pinger.done
    wall_s, taken_s = time.perf_counter() - began_s, cpu_s() - before_s
    await link.stop()
    return wall_s, taken_s


def run_server(port_out: int, end_in: int, result_out: int) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        taken_s = runner.run(serve(port_out, end_in))
    os.write(result_out, repr(taken_s).encode())


def measure(window: int, count: int, size: int) -> str:
    """One line of results; the server runs in a process of its own."""
    (port_in, port_out), (end_in, end_out), (result_in, result_out) = (os.pipe() for _ in range(3))
    child = os.fork()
    if child == 0:
        os.close(end_out)
        run_server(port_out, end_in, result_out)
        os._exit(0)
    port = int(os.read(port_in, 16))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        wall_s, caller_s = runner.run(ping(port, window, count, size))
    os.close(end_out)
    server_s = float(os.read(result_in, 64))
    os.waitpid(child, 0)
    for descriptor in (port_in, port_out, end_in, result_in, result_out):
        os.close(descriptor)
    return (
        f"{size:>7} B x {window:>4} in flight: {count / wall_s:>9,.0f} round trips/s, "
        f"CPU us each: caller {caller_s / count * 1e6:>6.1f}, server {server_s / count * 1e6:>6.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50_000)
    count = parser.parse_args().count
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    for window, size, share in ((1, 16, 4), (64, 16, 1), (64, 600, 1), (16, 65_536, 10)):
        print(measure(window, max(1, count // share), size), flush=True)


if __name__ == "__main__":
    main()
