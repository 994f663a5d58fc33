"""One member of a log as a process: appends numbers while it leads, and says what it knows.

`python -m tests.faults.log_member PLACE DIRECTORY BALLAST NAME NAME NAME`, with so many bytes that
mean nothing in its snapshots; then on its input `hold` to be told what it holds, and `read` for
what a client may read of it. On its output: `LEADS name term`, `FOLLOWS name`, `ACK first-last` of
what it acknowledges, `HELD first-last …` in the order of the log, the same after `READ`, or
`REFUSED`, `TAKEN index` of a snapshot of its own, and `INSTALLED index` of a leader's.
"""

import asyncio
import os
import random
import sys
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
import structlog

from protocol.credentials import Credentials
from protocol.errors import Broken, NotLeader, Overloaded
from protocol.handshake import LinkIdentity
from protocol.links import parse_address
from protocol.messages.link import LinkRole
from protocol.server import Server, ServerConfig
from rlog.config import LogConfig
from rlog.log import Capture, Committed
from rlog.probes import SilentLogProbe
from rlog.replica import ReplicatedLog

CREDENTIALS = Credentials.insecure()
CLUSTER = "numbers"
SNAPSHOT_ENTRIES, KEEP_ENTRIES = 300, 50  # so that faults also meet snapshots and compaction
PAUSE_S = 0.005  # between appends: enough to see what stops, and no more
WORDS_BYTES_MAX = 4096  # of questions that came at once
NUMBERS_MAX = 10**9  # of one term: numbers rise from term to term and none is used twice

Ranges = list[tuple[int, int]]  # first and last of numbers that follow each other, in log order


class Member:
    """One member, and the numbers that its log holds, in order."""

    def __init__(self, log: ReplicatedLog, ballast: int = 0) -> None:
        self.log = log
        self._ballast = bytes(ballast)
        self.held: Ranges = []
        self.on_numbers: Callable[[Member, Sequence[int]], None] = lambda member, numbers: None

    def restore(self, snapshot: bytes | None, index: int) -> None:
        self.held = []
        if snapshot:
            self.held, _ = msgspec.msgpack.decode(snapshot, type=tuple[Ranges, bytes])

    def committed(self, entries: Sequence[Committed]) -> None:
        numbers = [int.from_bytes(entry.payload[:8]) for entry in entries]
        for number in numbers:
            if self.held and self.held[-1][1] + 1 == number:
                self.held[-1] = (self.held[-1][0], number)
            else:
                self.held.append((number, number))
        self.on_numbers(self, numbers)

    def snapshot(self) -> Capture | None:
        return Capture(0, partial(msgspec.msgpack.encode, (self.held, self._ballast)))

    def lead(self, term: int) -> None:
        print(f"LEADS {self.log.name} {term}", flush=True)

    def follow(self, leader: str) -> None:
        print(f"FOLLOWS {leader}", flush=True)

    def broken(self, error: Broken) -> None:
        raise error


class Teller(SilentLogProbe):
    """Says what cannot be seen from outside."""

    def snapshot_taken(self, index: int, size_bytes: int) -> None:
        print(f"TAKEN {index}", flush=True)

    def snapshot_installed(self, index: int, size_bytes: int) -> None:
        print(f"INSTALLED {index}", flush=True)


async def start(names: tuple[str, ...], place: int, directory: str, ballast: int = 0) -> Member:
    """Start a member and the server that takes the others' links."""
    name = names[place]
    identity = LinkIdentity(LinkRole.REPLICA, name, "", CREDENTIALS, CLUSTER)
    config = LogConfig(
        name,
        names,
        directory,
        CLUSTER,
        snapshot_entries=SNAPSHOT_ENTRIES,
        keep_entries=KEEP_ENTRIES,
    )
    log = ReplicatedLog(config, identity, random.Random(), Teller())
    server_config = ServerConfig(name, CLUSTER, CREDENTIALS, is_insecure=True)
    server = Server(server_config, {LinkRole.REPLICA: log.receiver}, log.admit)
    member = Member(log, ballast)
    await server.start(*parse_address(name))
    await log.start(member)
    return member


def acknowledge(member: Member, numbers: Sequence[int]) -> None:
    """Say what a leader would tell its clients is done."""
    if numbers and member.log.is_leader:
        print(f"ACK {numbers[0]}-{numbers[-1]}", flush=True)


def say_held(member: Member, word: str = "HELD") -> None:
    print(word, *(f"{first}-{last}" for first, last in member.held), flush=True)


def read(member: Member) -> None:
    """Say what a client may read, once that is proven to be no past."""

    def then(is_proven: bool) -> None:
        if is_proven:
            say_held(member, "READ")
        else:
            print("REFUSED", flush=True)

    member.log.read_barrier(then)


async def serve(place: int, directory: str, ballast: int, names: tuple[str, ...]) -> None:
    member = await start(names, place, directory, ballast)
    member.on_numbers = acknowledge
    asyncio.get_running_loop().add_reader(sys.stdin, lambda: answer(member))
    term = number = 0
    while True:
        if member.log.is_leader and member.log.term != term:
            term = member.log.term
            number = term * NUMBERS_MAX
        try:
            member.log.append(number.to_bytes(8) + bytes(100))
            number += 1
        except (NotLeader, Overloaded):
            pass
        await asyncio.sleep(PAUSE_S)


def answer(member: Member) -> None:
    words = os.read(sys.stdin.fileno(), WORDS_BYTES_MAX).decode().split()
    if not words:
        sys.exit(0)
    for word in words:
        if word == "read":
            read(member)
        else:
            say_held(member)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    at, where, weight, *others = sys.argv[1:]
    asyncio.run(serve(int(at), where, int(weight), tuple(others)))
