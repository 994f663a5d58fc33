"""Three members of a log as processes of their own, told over pipes what to do."""

import asyncio
import multiprocessing
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import structlog
import uvloop

from master.ctl.children import end_with_parent, free_ports
from protocol.credentials import Credentials
from protocol.handshake import LinkIdentity
from protocol.links import parse_address
from protocol.messages.link import LinkRole
from protocol.server import Server, ServerConfig
from rlog.config import LogConfig
from rlog.examine import examine
from rlog.fork import ForkingDumper
from rlog.replica import ReplicatedLog
from tests.bench.appending import Account, Appender, Load, Shape, Taken

CREDENTIALS = Credentials.insecure()
ANSWER_S_MAX = 60.0
LEADER_S_MAX = 60.0
STATELESS = Shape()


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
        keep_entries=100,  # who lost its disk is sent a snapshot, not entries
    )
    appender = Appender(shape)
    appender.milestones.imported_s = time.perf_counter()
    examine(directory)
    appender.milestones.examined_s = time.perf_counter()
    log = ReplicatedLog(config, identity, random.Random(), appender, ForkingDumper())
    appender.log = log
    server = Server(
        ServerConfig(name, "bench", CREDENTIALS, is_insecure=True),
        {LinkRole.REPLICA: log.receiver},
        log.admit,
    )
    await server.start(*parse_address(name))
    await log.start(appender)
    appender.milestones.opened_s = time.perf_counter()
    watching = asyncio.create_task(appender.watch())
    while True:
        try:
            order = await asyncio.to_thread(orders.recv)
        except EOFError:
            break
        if isinstance(order, bool):
            appender.permit(is_permitted=order)
        is_load = isinstance(order, Load)
        answer = await appender.run(order) if is_load else appender.account()
        await asyncio.to_thread(orders.send, answer)
    watching.cancel()
    log.abandon()  # nobody needs an orderly end, and nothing is written any more


def be_member(
    name: str, voters: tuple[str, ...], directory: str, orders: Connection, shape: Shape
) -> None:
    end_with_parent()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(name, voters, directory, orders, shape))


@dataclass(slots=True)
class Member:
    """One process: how to speak to it."""

    process: SpawnProcess
    pipe: Connection

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid or 0

    def ask(self, order: object, within_s: float = ANSWER_S_MAX) -> Any:
        """Return the answer to an order. Raises: TimeoutError, EOFError."""
        self.pipe.send(order)
        if not self.pipe.poll(within_s):
            raise TimeoutError("a member does not answer")
        return self.pipe.recv()

    def account(self, within_s: float = ANSWER_S_MAX) -> Account:
        """Return what it did. Raises: TimeoutError, EOFError."""
        account = self.ask(None, within_s)
        assert isinstance(account, Account)
        return account

    def end(self) -> None:
        """Have it end, or kill it."""
        self.pipe.close()
        self.process.join(5)
        self.kill()

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.process.join()


class Members:
    """The processes, by their places."""

    def __init__(self, directory: Path, count: int, shape: Shape) -> None:
        self._names = tuple(f"127.0.0.1:{port}" for port in free_ports(count))
        self._directory, self._shape = directory, shape
        self.each = [self._start(place, shape) for place in range(count)]

    @property
    def pids(self) -> tuple[int, ...]:
        """Of all processes."""
        return tuple(member.pid for member in self.each)

    def path(self, place: int) -> Path:
        """Return where a member keeps its log."""
        return self._directory / self._names[place].replace(":", "-")

    def restart(self, place: int) -> None:
        """Start a member again that has ended; its state is what it has on disk, or is sent."""
        self.each[place] = self._start(place, replace(self._shape, records=0))

    def _start(self, place: int, shape: Shape) -> Member:
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        about = (self._names[place], self._names, str(self.path(place)), theirs, shape)
        process = spawn.Process(target=be_member, args=about, daemon=True)
        process.start()
        theirs.close()
        return Member(process, ours)

    def leader(self) -> int:
        """Return the place of the one that leads. Raises: TimeoutError."""
        until_s = time.monotonic() + LEADER_S_MAX
        while time.monotonic() < until_s:
            for place, member in enumerate(self.each):
                if member.account().is_leading:
                    return place
            time.sleep(0.05)
        raise TimeoutError("no member leads")

    def permit_snapshots(self, *, is_permitted: bool) -> None:
        """Have all take snapshots when they are due, or none, and begin their accounts anew."""
        for member in self.each:
            member.ask(is_permitted)

    def run(self, place: int, load: Load) -> Taken:
        """Have one member append. Raises: TimeoutError, EOFError."""
        taken = self.each[place].ask(load, load.lasts_s + ANSWER_S_MAX)
        assert isinstance(taken, Taken)
        return taken


@contextmanager
def members(directory: Path, count: int = 3, shape: Shape = STATELESS) -> Iterator[Members]:
    """Start members on loopback ports, with their journals below `directory`."""
    started = Members(directory, count, shape)
    try:
        yield started
    finally:
        for member in started.each:
            member.end()
