"""etcd: three members on loopback as child processes, and a client of what they serve."""

import asyncio
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from master.ctl.children import end_with_parent, free_ports
from tests.bench.grpc import CallError, Connection
from tests.bench.measure import ROOT

BINARY = ROOT / ".venv/debian/usr/bin/etcd"  # of Debian's package etcd-server; see the Makefile
QUOTA_BYTES = 8 << 30  # nothing measured here is to end at it
TXN_OPS_MAX = 4096
START_S_MAX = 60.0
POLL_S = 0.02
MEMBER, REVISION, TERM = 2, 3, 4  # in an answer's header
STATUS = b"/etcdserverpb.Maintenance/Status"

Fields = dict[int, list[int | bytes]]


def varint(number: int) -> bytes:
    """Encode a number as protobuf does."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def field(number: int, content: bytes) -> bytes:
    """Encode a field of bytes, or of a message."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def fields(content: bytes) -> Fields:
    """Decode a message: the values of each field."""
    found: Fields = {}
    at = 0
    while at < len(content):
        tag, at = _varint_at(content, at)
        value, at = _varint_at(content, at)
        if tag & 7 == 2:
            found.setdefault(tag >> 3, []).append(content[at : at + value])
            at += value
        else:
            assert tag & 7 == 0, f"field {tag >> 3} is neither a number nor bytes"
            found.setdefault(tag >> 3, []).append(value)
    return found


def number_in(answer: bytes, number: int) -> int:
    """Return a number of the header that every answer begins with."""
    header = fields(answer)[1][0]
    assert isinstance(header, bytes)
    value = fields(header)[number][0]
    assert isinstance(value, int)
    return value


def _varint_at(content: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = content[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at


def encode_put(key: bytes, value: bytes) -> bytes:
    return field(1, key) + field(2, value)


class Client:
    """Calls one member, over so many connections in turn."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._connections = connections
        self._next = 0

    @classmethod
    async def connect(cls, port: int, connections: int = 1) -> "Client":
        """Raises: OSError."""
        loop = asyncio.get_running_loop()
        found = []
        for _ in range(connections):
            _, connection = await loop.create_connection(
                lambda: Connection(f"127.0.0.1:{port}"), "127.0.0.1", port
            )
            found.append(connection)
        return cls(found)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    def put(self, key: bytes, value: bytes) -> "asyncio.Future[bytes]":
        """Store a value; the answer says that it is committed."""
        return self._call(b"/etcdserverpb.KV/Put", encode_put(key, value))

    def get(self, key: bytes) -> "asyncio.Future[bytes]":
        """Read a key, linearizably."""
        return self._call(b"/etcdserverpb.KV/Range", field(1, key))

    def put_all(self, puts: Sequence[tuple[bytes, bytes]]) -> "asyncio.Future[bytes]":
        """Store values in one transaction."""
        content = b"".join(field(2, field(2, encode_put(*each))) for each in puts)
        return self._call(b"/etcdserverpb.KV/Txn", content)

    async def compact(self) -> None:
        """Forget the history up to now, and give its pages back to the members' files."""
        revision = number_in(await self.get(b"none"), REVISION)
        with suppress(CallError):  # nothing has changed since the last time
            await self._call(b"/etcdserverpb.KV/Compact", b"\x08" + varint(revision) + b"\x10\x01")

    async def term(self) -> int:
        """Return the term of the member called, as it knows it."""
        return number_in(await self._call(STATUS, b""), TERM)

    async def is_leading(self) -> bool:
        """Whether the member called leads."""
        status = await self._call(STATUS, b"")
        return fields(status).get(4, [0]) == [number_in(status, MEMBER)]

    def _call(self, path: bytes, message: bytes) -> "asyncio.Future[bytes]":
        self._next = (self._next + 1) % len(self._connections)
        return self._connections[self._next].call(path, message)


class Etcd:
    """The members: their processes, and where each listens."""

    def __init__(self, directory: Path, arguments: Sequence[str], ports_from: int) -> None:
        self._directory = directory
        self._arguments = arguments
        ports = free_ports(6, ports_from)
        self.ports, self._peer_ports = ports[:3], ports[3:]
        self._processes: list[subprocess.Popen[bytes] | None] = [None, None, None]

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes if process is not None]

    def start(self, place: int) -> None:
        """Start a member, with what it has on disk."""
        client = f"http://127.0.0.1:{self.ports[place]}"
        peer = f"http://127.0.0.1:{self._peer_ports[place]}"
        everybody = ",".join(
            f"m{n}=http://127.0.0.1:{port}" for n, port in enumerate(self._peer_ports)
        )
        command = [
            *(str(BINARY), "--name", f"m{place}", "--data-dir", str(self._directory / f"m{place}")),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", everybody, "--logger", "zap", "--log-outputs", "stderr"),
            *("--quota-backend-bytes", str(QUOTA_BYTES), "--max-txn-ops", str(TXN_OPS_MAX)),
            *self._arguments,
        ]
        with (self._directory / f"m{place}.log").open("ab") as log:
            self._processes[place] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # as our masters: sessions share a busy machine
                preexec_fn=end_with_parent,
            )

    def kill(self, place: int) -> None:
        """End a member as a power cut would."""
        process = self._processes[place]
        if process is not None:
            process.kill()
            process.wait()
            self._processes[place] = None

    def stop(self) -> None:
        for place in range(len(self._processes)):
            self.kill(place)

    async def leader(self) -> int:
        """Return the place of the member that leads, once all three are up.

        Raises: TimeoutError.
        """
        until_s = time.monotonic() + START_S_MAX
        while time.monotonic() < until_s:
            with suppress(OSError, CallError, TimeoutError, KeyError):
                found = [await self._asked(place) for place in range(len(self.ports))]
                if sum(found) == 1:
                    return found.index(True)
            await asyncio.sleep(POLL_S)
        raise TimeoutError("no member of etcd leads")

    async def _asked(self, place: int) -> bool:
        client = await Client.connect(self.ports[place])
        try:
            async with asyncio.timeout(1.0):
                return await client.is_leading()
        finally:
            client.close()


@contextmanager
def etcd(
    directory: Path, arguments: Sequence[str] = (), ports_from: int = 23_000
) -> Iterator[Etcd]:
    """Run three members with their data below `directory`; end them at the end."""
    directory.mkdir()
    cluster = Etcd(directory, arguments, ports_from)
    try:
        for place in range(3):
            cluster.start(place)
        yield cluster
    finally:
        cluster.stop()
