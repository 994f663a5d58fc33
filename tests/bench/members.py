"""Three members of a log as processes of their own, told over pipes what to do."""

import asyncio
import multiprocessing
import random
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import structlog
import uvloop

from master.ctl.children import free_ports
from protocol.credentials import Credentials
from protocol.errors import Broken
from protocol.handshake import LinkIdentity
from protocol.links import parse_address
from protocol.messages.link import LinkRole
from protocol.server import Server, ServerConfig
from rlog.config import LogConfig
from rlog.fork import ForkingDumper
from rlog.log import Capture, Committed
from rlog.replica import ReplicatedLog
from tests.bench.measure import percentile

CREDENTIALS = Credentials.insecure()
ANSWER_S_MAX = 60.0
LEADER_S_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Load:
    """Entries of so many events each, so many entries in flight, for so long."""

    outstanding: int
    events_per_entry: int
    event_bytes: int
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Shape:
    """What every member keeps as its state, and how often it writes that down."""

    records: int = 0
    record_bytes: int = 0
    snapshot_entries: int = 20_000

    def state(self) -> list[tuple[int, str, bytes]]:
        """Return a state of small objects, as states are."""
        random_bytes = random.Random(1).randbytes(self.record_bytes)
        return [(n, f"record {n}", random_bytes + b"%d" % n) for n in range(self.records)]


STATELESS = Shape()


@dataclass(frozen=True, slots=True)
class Taken:
    """What a load came to."""

    entries: int
    elapsed_s: float
    p50_s: float  # of one entry, append to commit
    p99_s: float
    snapshots: int  # begun by the leader meanwhile
    without: "Latencies"  # while the leader took no snapshot
    during: "Latencies"  # while it took one


@dataclass(frozen=True, slots=True)
class Latencies:
    """What many entries took, append to commit."""

    count: int
    p50_s: float
    p99_s: float
    worst_s: float

    @classmethod
    def of(cls, each_s: list[float]) -> "Latencies":
        """Return the figures of some."""
        half_s, most_s = percentile(each_s, 0.5), percentile(each_s, 0.99)
        return cls(len(each_s), half_s, most_s, max(each_s, default=0.0))


class Appender:
    """The log's reader on every member; appends under a load while its member leads."""

    def __init__(self, log: ReplicatedLog, shape: Shape) -> None:
        self.is_leading = False
        self._state, self._snapshots = shape.state(), 0
        self._log = log
        self._load: Load | None = None
        self._sent_s: deque[tuple[int, float]] = deque()
        self._latencies_s: tuple[list[float], list[float]] = ([], [])
        self._until_s = 0.0
        self._payload = b""
        self._drained = asyncio.Event()

    async def run(self, load: Load) -> Taken:
        """Keep the load's number of entries in flight, then wait for the last of them."""
        self._load, self._latencies_s, self._snapshots = load, ([], []), 0
        self._payload = random.Random(1).randbytes(load.event_bytes * load.events_per_entry)
        self._drained.clear()
        began_s = time.perf_counter()
        self._until_s = began_s + load.lasts_s
        for _ in range(load.outstanding):
            self._append(began_s)
        await self._drained.wait()
        elapsed_s, self._load = time.perf_counter() - began_s, None
        without_s, during_s = self._latencies_s
        each_s = without_s + during_s
        return Taken(
            len(each_s),
            elapsed_s,
            percentile(each_s, 0.5),
            percentile(each_s, 0.99),
            self._snapshots,
            Latencies.of(without_s),
            Latencies.of(during_s),
        )

    def _append(self, now_s: float) -> None:
        self._sent_s.append((self._log.append(self._payload), now_s))

    def restore(self, snapshot: bytes | None, index: int) -> None:
        pass

    def committed(self, entries: Sequence[Committed]) -> None:
        if self._load is None or not entries:
            return
        now_s, last = time.perf_counter(), entries[-1].index
        latencies_s = self._latencies_s[self._log.is_snapshotting]
        while self._sent_s and self._sent_s[0][0] <= last:
            latencies_s.append(now_s - self._sent_s.popleft()[1])
            if now_s < self._until_s:
                self._append(now_s)
        if not self._sent_s:
            self._drained.set()

    def snapshot(self) -> Capture | None:
        self._snapshots += 1
        return Capture(0, partial(msgspec.msgpack.encode, self._state))

    def lead(self, term: int) -> None:
        self.is_leading = True

    def follow(self, leader: str) -> None:
        assert self._load is None, "leadership was lost under load: the figures mean nothing"
        self.is_leading = False

    def broken(self, error: Broken) -> None:
        raise error


async def serve(
    name: str, voters: tuple[str, ...], directory: str, orders: Connection, shape: Shape
) -> None:
    """Be one member, and do what the pipe says until it is closed."""
    identity = LinkIdentity(LinkRole.REPLICA, name, "", CREDENTIALS, "bench")
    config = LogConfig(
        name,
        voters,
        directory,
        "bench",
        window_max=4096,
        snapshot_entries=shape.snapshot_entries,
        snapshot_bytes=1 << 40,
    )
    log = ReplicatedLog(config, identity, random.Random(), dumper=ForkingDumper())
    server = Server(
        ServerConfig(name, "bench", CREDENTIALS, is_insecure=True),
        {LinkRole.REPLICA: log.receiver},
        log.admit,
    )
    appender = Appender(log, shape)
    await server.start(*parse_address(name))
    await log.start(appender)
    readable = asyncio.Event()
    asyncio.get_running_loop().add_reader(orders.fileno(), readable.set)
    while True:
        await readable.wait()
        readable.clear()
        try:
            order = orders.recv()
        except EOFError:
            break
        orders.send(appender.is_leading if order is None else await appender.run(order))
    log.abandon()  # nobody needs an orderly end, and nothing is written any more


def be_member(
    name: str, voters: tuple[str, ...], directory: str, orders: Connection, shape: Shape
) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(name, voters, directory, orders, shape))


@dataclass(frozen=True, slots=True)
class Members:
    """The processes: how to speak to each, and their ids."""

    pipes: tuple[Connection, ...]
    pids: tuple[int, ...]

    def leader(self) -> int:
        """Return the place of the one that leads. Raises: TimeoutError."""
        until_s = time.monotonic() + LEADER_S_MAX
        while time.monotonic() < until_s:
            for place, pipe in enumerate(self.pipes):
                pipe.send(None)
                if pipe.poll(ANSWER_S_MAX) and pipe.recv():
                    return place
            time.sleep(0.05)
        raise TimeoutError("no member leads")

    def run(self, place: int, load: Load) -> Taken:
        """Have one member append. Raises: TimeoutError, EOFError."""
        self.pipes[place].send(load)
        if not self.pipes[place].poll(load.lasts_s + ANSWER_S_MAX):
            raise TimeoutError("the leader does not answer")
        taken = self.pipes[place].recv()
        assert isinstance(taken, Taken)
        return taken


@contextmanager
def members(directory: Path, count: int = 3, shape: Shape = STATELESS) -> Iterator[Members]:
    """Start members on loopback ports, with their journals below `directory`."""
    spawn = multiprocessing.get_context("spawn")
    names = tuple(f"127.0.0.1:{port}" for port in free_ports(count))
    pipes, processes = [], []
    for name in names:
        ours, theirs = spawn.Pipe()
        place = str(directory / name.replace(":", "-"))
        about = (name, names, place, theirs, shape)
        process = spawn.Process(target=be_member, args=about, daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        yield Members(tuple(pipes), tuple(process.pid or 0 for process in processes))
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join(5)
            process.kill()
