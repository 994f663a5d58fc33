"""A simulated network: ordered byte streams with delay, partitions, resets and refusals."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.loop import Process, VirtualLoop

DELAY_MEAN_S = 0.0005
SEGMENT_BYTES = 65_536
BUFFER_HIGH_BYTES = 1 << 18
CONNECT_TIMEOUT_S = 20.0
ORDER_S = 1e-8
Address = tuple[str, int]


class Network:
    """Who listens where, who can reach whom, and how long it takes."""

    def __init__(self, loop: VirtualLoop, rng: random.Random) -> None:
        self._loop = loop
        self._rng = rng
        self._listeners: dict[Address, Listener] = {}
        self._streams: dict[Stream, None] = {}
        self._blocked: dict[tuple[str, str], None] = {}
        self._ports = 40_000
        self.delay_mean_s = DELAY_MEAN_S
        self.delivered = 0

    def listen(
        self, process: Process, factory: Callable[[], asyncio.Protocol], address: Address
    ) -> Listener:
        host, port = address
        if port == 0:
            self._ports += 1
            port = self._ports
        if (host, port) in self._listeners:
            raise OSError(98, f"address {host}:{port} is in use")
        listener = Listener(self, process, factory, (host, port))
        self._listeners[host, port] = listener
        return listener

    def forget(self, listener: Listener) -> None:
        if self._listeners.get(listener.address) is listener:
            del self._listeners[listener.address]

    async def connect(
        self, process: Process, factory: Callable[[], asyncio.Protocol], address: Address
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        await asyncio.sleep(self.delay())
        listener = self._listeners.get(address)
        if listener is not None and self.is_blocked(process.host, listener.process.host):
            await asyncio.sleep(CONNECT_TIMEOUT_S)
            raise TimeoutError(f"connection to {address[0]}:{address[1]} timed out")
        if listener is None or listener.process.is_dead:
            raise ConnectionRefusedError(111, "Connection refused")
        self._ports += 1
        near = Stream(self, process, (process.host, self._ports), address)
        far = Stream(self, listener.process, address, (process.host, self._ports))
        near.other, far.other = far, near
        self._streams[near] = self._streams[far] = None
        client = factory()
        near.open(client)
        listener.process.enter().run(self._loop.call_soon, self._accept, listener, far)
        return near, client

    def _accept(self, listener: Listener, far: Stream) -> None:
        if far.is_closing():
            return
        if not listener.is_open:
            far.abort()
            return
        far.open(listener.factory())

    def delay(self) -> float:
        return self._rng.expovariate(1 / self.delay_mean_s)

    # -- faults
    def block(self, a: str, b: str) -> None:
        """From now on bytes from host a to host b wait."""
        self._blocked[a, b] = None

    def heal(self) -> None:
        """Everybody reaches everybody; what waited is delivered."""
        self._blocked.clear()
        for stream in list(self._streams):
            stream.deliver_held()

    def is_blocked(self, a: str, b: str) -> bool:
        return (a, b) in self._blocked

    def reset(self, a: str, b: str) -> None:
        """Break every stream between two hosts."""
        for stream in list(self._streams):
            if {stream.process.host, stream.peer_host} == {a, b}:
                stream.fail(ConnectionResetError(104, "Connection reset by peer"))

    def drop_process(self, process: Process) -> None:
        """A process died: its listeners vanish, its peers' streams end."""
        for listener in list(self._listeners.values()):
            if listener.process is process:
                self.forget(listener)
        for stream in list(self._streams):
            if stream.process is process:
                stream.vanish()

    def remove(self, stream: Stream) -> None:
        self._streams.pop(stream, None)

    @property
    def loop(self) -> VirtualLoop:
        return self._loop


class _Socket:
    """As much of a listening socket as servers look at."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def getsockname(self) -> Address:
        return self._address


class Listener(asyncio.AbstractServer):
    """A listening address of one process."""

    def __init__(
        self,
        network: Network,
        process: Process,
        factory: Callable[[], asyncio.Protocol],
        address: Address,
    ) -> None:
        self._network = network
        self.process = process
        self.factory = factory
        self.address = address
        self.is_serving_now = True

    @property
    def is_open(self) -> bool:
        return self.is_serving_now and not self.process.is_dead

    @property
    def sockets(self) -> tuple[_Socket, ...]:
        return (_Socket(self.address),)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._network.loop

    async def start_serving(self) -> None:
        self.is_serving_now = True

    async def serve_forever(self) -> None:
        await self._network.loop.create_future()

    def is_serving(self) -> bool:
        return self.is_open

    def close(self) -> None:
        self.is_serving_now = False
        self._network.forget(self)

    async def wait_closed(self) -> None:
        return


class Stream(asyncio.Transport):
    """One end of a connection. Bytes arrive in order, late, and perhaps never."""

    other: Stream

    def __init__(self, network: Network, process: Process, near: Address, far: Address) -> None:
        super().__init__({"peername": far, "sockname": near})
        self._network = network
        self.process = process
        self._protocol: asyncio.Protocol | None = None
        self._early: list[bytes] = []
        self._held: list[bytes] = []
        self._arrives_s = 0.0
        self._in_flight_bytes = 0
        self._high_bytes = BUFFER_HIGH_BYTES
        self._is_paused = False
        self._is_closing = False
        self._is_lost = False

    @property
    def peer_host(self) -> str:
        return self.other.process.host

    def open(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        protocol.connection_made(self)
        early, self._early = self._early, []
        for chunk in early:
            protocol.data_received(chunk)

    # -- what protocols call
    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_closing or self._is_lost or not data:
            return
        self._in_flight_bytes += len(data)
        content = bytes(data)
        for start in range(0, len(content), SEGMENT_BYTES):
            self._send(content[start : start + SEGMENT_BYTES])
        if self._in_flight_bytes > self._high_bytes and not self._is_paused and self._protocol:
            self._is_paused = True
            self._protocol.pause_writing()

    def _send(self, chunk: bytes) -> None:
        if self._held or self._network.is_blocked(self.process.host, self.peer_host):
            self._held.append(chunk)
            return
        loop = self._network.loop
        self._arrives_s = self._next_arrival()
        if self.other._is_lost:
            broken = ConnectionResetError(104, "Connection reset by peer")
            asyncio.BaseEventLoop.call_at(loop, self._arrives_s, self._lose, broken)
            return
        asyncio.BaseEventLoop.call_at(loop, self._arrives_s, self._arrive, chunk)

    def _next_arrival(self) -> float:
        """Strictly behind what is on its way: timers of one moment ring in any order."""
        return max(self._arrives_s + ORDER_S, self._network.loop.time() + self._network.delay())

    def _arrive(self, chunk: bytes) -> None:
        self._network.delivered += 1
        self._drained(len(chunk))
        other = self.other
        if other._is_lost or other.process.is_dead:
            return
        other.process.enter().run(self._network.loop.call_soon, other.receive, chunk)

    def receive(self, chunk: bytes) -> None:
        if self._is_lost or self._is_closing:
            return
        if self._protocol is None:
            self._early.append(chunk)
        else:
            self._protocol.data_received(chunk)

    def _drained(self, size: int) -> None:
        self._in_flight_bytes -= size
        if self._is_paused and self._in_flight_bytes < self._high_bytes // 4:
            self._is_paused = False
            if self._protocol is not None and not self._is_lost:
                self.process.enter().run(
                    self._network.loop.call_soon, self._protocol.resume_writing
                )

    def deliver_held(self) -> None:
        held, self._held = self._held, []
        for chunk in held:
            self._send(chunk)

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._lose(None)
            self._tell_other(None)

    def abort(self) -> None:
        if not self._is_lost:
            self._is_closing = True
            self._lose(None)
            self._tell_other(ConnectionResetError(104, "Connection reset by peer"))

    def is_closing(self) -> bool:
        return self._is_closing or self._is_lost

    def get_write_buffer_size(self) -> int:
        return self._in_flight_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        del low
        if high is not None:
            self._high_bytes = high

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def pause_reading(self) -> None:
        return

    def resume_reading(self) -> None:
        return

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return super().get_extra_info(name, default)

    # -- ends
    def fail(self, error: Exception) -> None:
        """Both ends lose the connection."""
        self._lose(error)
        self.other._lose(error)

    def vanish(self) -> None:
        """This end's process is gone; the other end learns it if it can be reached."""
        self._is_lost = True
        self._network.remove(self)
        self._tell_other(ConnectionResetError(104, "Connection reset by peer"))

    def _tell_other(self, error: Exception | None) -> None:
        """The end of the stream travels behind its last byte."""
        if self._network.is_blocked(self.process.host, self.peer_host):
            return
        loop = self._network.loop
        asyncio.BaseEventLoop.call_at(loop, self._next_arrival(), self.other._lose, error)

    def _lose(self, error: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        self._is_closing = True
        self._network.remove(self)
        if self._protocol is not None and not self.process.is_dead:
            self.process.enter().run(
                self._network.loop.call_soon, self._protocol.connection_lost, error
            )
