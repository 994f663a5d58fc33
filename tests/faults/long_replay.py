"""A master that starts with a log of many events and no snapshot: bounded memory, and progress.

`python -m tests.faults.long_replay [--events 10000000]`. Two operators have it compact its log,
twice each, while it folds; then it is killed, and starts again.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from master.ctl.asking import ask_every_master, identify, quieten
from master.ctl.children import Child, free_ports
from master.ctl.target import Target
from protocol.client import OperatorClient
from protocol.messages.operator import CompactLog, Failed, LogCompacted, MasterView
from tests.bench.history import write_history

EVENTS = 10_000_000
POLL_S = 0.2
CALLERS, COMPACTIONS = 2, 2
ANSWER_S = 600.0
FOLDED_S_MAX = 3600.0  # a hung one ends the run


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a start with a long log took."""

    events: int
    folded_s: float
    again_s: float  # the second start, which has a snapshot
    peak_bytes: int  # of memory of its own, the pages of the log's file aside
    compacted: int  # times
    said: int  # lines of progress


class LongLog:
    """A lone master that is given a log of so many events."""

    def __init__(self, directory: Path, events: int) -> None:
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        self.target = Target((self.address,), "", True)
        path = str(directory / "data")
        self.events = write_history(path, self.address, events).entries
        words = ("--listen", self.address, "--data-dir", path, "--insecure")
        self.child = Child("master", "master", words, directory / "log")
        self.peak_bytes = 0  # as far as was looked

    async def until_leading(self) -> None:
        """Return once it has folded everything. Raises: TimeoutError."""
        await self.until(self.is_leading)

    async def until(self, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Return once something is so of a master that runs. Raises: TimeoutError."""
        async with asyncio.timeout(FOLDED_S_MAX):
            while not await is_so():
                assert self.child.is_running, self.child.tail()
                await asyncio.sleep(POLL_S)

    async def is_leading(self) -> bool:
        view = await self.look()
        return view is not None and view.role == "leader" and view.applied >= self.events

    async def look(self) -> MasterView | None:
        """Return what it says of itself, None while it does not listen."""
        self.peak_bytes = max(self.peak_bytes, own_bytes(self.child.pid))
        [view] = await ask_every_master(self.target)
        return view if view.is_reachable else None

    async def is_listening(self) -> bool:
        return await self.look() is not None

    async def compact(self) -> int:
        """Have its log made short again and again; return how often that was done."""
        await self.until(self.is_listening)  # it reads all of the file before that
        done = 0
        client = await OperatorClient.connect_agent(self.address, identify(self.target), ANSWER_S)
        try:
            for _ in range(COMPACTIONS):
                answer = await client.ask(CompactLog(), ANSWER_S)
                if isinstance(answer, Failed):
                    assert answer.reason == "OVERLOADED", answer  # the other one is at it
                    await asyncio.sleep(POLL_S)
                done += isinstance(answer, LogCompacted)
        finally:
            await client.close()
        return done


def own_bytes(pid: int) -> int:
    """Return how much memory a process has that is no page of a file."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [own] = [line.split()[1] for line in lines if line.startswith("RssAnon")]
    return int(own) * 1024


async def replay(directory: Path, events: int) -> Replayed:
    """Write the log, and start a master on it, twice."""
    long = LongLog(directory, events)
    try:
        began_s = time.monotonic()
        long.child.start()
        compacting = [asyncio.create_task(long.compact()) for _ in range(CALLERS)]
        await long.until_leading()
        folded_s = time.monotonic() - began_s
        compacted = sum(await asyncio.gather(*compacting))
        peak = long.peak_bytes
        long.child.kill()
        said = long.child.log.read_text().count("folding the log")
        began_s = time.monotonic()
        long.child.start()
        await long.until_leading()
        again_s = time.monotonic() - began_s
    finally:
        long.child.kill()
    return Replayed(long.events, folded_s, again_s, peak, compacted, said)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.long_replay", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--directory", default=os.curdir, help="on the disk to be measured")
    chosen = parser.parse_args()
    quieten()
    with tempfile.TemporaryDirectory(prefix="quorate-replay-", dir=chosen.directory) as name:
        found = asyncio.run(replay(Path(os.path.abspath(name)), chosen.events))
    print(
        f"{found.events:,} events, no snapshot: a lone master leads after {found.folded_s:.1f} s,"
        f" with {found.peak_bytes / 1e6:.0f} MB of memory of its own at most and {found.said} lines"
        f" of progress; compacted {found.compacted} times meanwhile; started again it leads after"
        f" {found.again_s:.1f} s; load {os.getloadavg()[0]:.1f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
