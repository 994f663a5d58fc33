"""Three processes of one log, each in a network of its own, and all that they say."""

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from tests.faults.networks import Net
from tests.faults.stage import DEADLINE_S

MEMBERS = 3
PORT = 5050
RATED = 200  # acknowledgements that are timed


class Trio:
    """Three processes, and all that they said."""

    def __init__(self, net: Net, directory: Path, ballast: int = 0) -> None:
        self.net = net
        self.reads: list[set[int] | None] = []  # what was read; None: that was refused
        self.installed: list[int] = []  # places that took a leader's snapshot
        self.taken_s = [0.0] * MEMBERS  # when each took one of its own last
        self._ballast = str(ballast)
        self.acknowledged: set[int] = set()
        self.acknowledged_s = 0.0  # when last
        self.leads: list[bool] = [False] * MEMBERS
        self.terms = 0  # in which somebody led
        self._directory = directory
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._readers: list[asyncio.Task[None]] = []
        self._held: dict[int, list[str]] = {}
        self._news = asyncio.Event()

    async def start(self, place: int) -> None:
        names = [f"{address}:{PORT}" for address in self.net.addresses]
        where = str(self._directory / f"member-{place}")
        module = [sys.executable, "-m", "tests.faults.log_member"]
        words = [*self.net.command(place), *module, str(place), where, self._ballast, *names]
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self._processes[place] = process
        self._readers.append(asyncio.create_task(self._listen(place, process)))

    async def _listen(self, place: int, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            word, *words = line.decode().split()
            if word == "ACK":
                self.acknowledged.update(_numbers(words))
                self.acknowledged_s = time.monotonic()
            elif word == "HELD":
                self._held[place] = words
            elif word in ("READ", "REFUSED"):
                self.reads.append(set(_numbers(words)) if word == "READ" else None)
            elif word == "TAKEN":
                self.taken_s[place] = time.monotonic()
            elif word == "INSTALLED":
                self.installed.append(place)
            else:
                self.leads[place] = word == "LEADS"
                self.terms += word == "LEADS"
            self._news.set()

    async def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Return once something is so; fails at the deadline, or when a member has ended."""
        async with asyncio.timeout(DEADLINE_S):
            while not is_so():
                dead = [
                    place for place, one in self._processes.items() if one.returncode is not None
                ]
                assert not dead, f"members {dead} ended, waiting for {what}"
                self._news.clear()
                await self._news.wait()

    async def until_acknowledged(self) -> float:
        """Return how long it took from now to the next acknowledgement."""
        began_s = time.monotonic()
        await self.until(lambda: self.acknowledged_s > began_s, "an acknowledgement")
        return self.acknowledged_s - began_s

    async def rate(self) -> float:
        """Return how many a second are acknowledged while nothing is wrong."""
        await self.until_acknowledged()
        before, began_s = len(self.acknowledged), time.monotonic()
        await self.until(lambda: len(self.acknowledged) - before >= RATED, "some more")
        return RATED / (time.monotonic() - began_s)

    def leader(self) -> int:
        """Return the place of the one that said last that it leads."""
        return self.leads.index(True)

    def pid(self, place: int) -> int:
        return self._processes[place].pid

    def tell(self, place: int, word: str) -> None:
        """Say a word to a member, which may read it later."""
        stdin = self._processes[place].stdin
        assert stdin is not None
        stdin.write(f"{word}\n".encode())

    async def kill(self, place: int) -> None:
        process = self._processes.pop(place)
        process.kill()
        await process.wait()
        self.leads[place] = False

    async def check(self) -> None:
        """See that all come to hold the same: all acknowledged, in order, each once."""
        acknowledged = set(self.acknowledged)
        while True:
            self._held = {}
            for place in self._processes:
                self.tell(place, "hold")
            await self.until(lambda: len(self._held) == MEMBERS, "all say what they hold")
            lists = [list(_numbers(words)) for words in self._held.values()]
            assert all(a < b for numbers in lists for a, b in itertools.pairwise(numbers))
            shortest = min(map(len, lists))
            assert all(numbers[:shortest] == lists[0][:shortest] for numbers in lists)
            if acknowledged <= set(lists[0][:shortest]):
                print(f"{len(acknowledged)} acknowledged, {self.terms} terms led")
                return

    async def close(self) -> None:
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await asyncio.gather(*self._readers)
        for process in self._processes.values():
            await process.wait()


@contextlib.asynccontextmanager
async def running(net: Net, directory: Path, ballast: int = 0) -> AsyncIterator[Trio]:
    """Run three members until all they acknowledged is held by all."""
    trio = Trio(net, directory, ballast)
    try:
        for place in range(MEMBERS):
            await trio.start(place)
        await trio.until_acknowledged()
        yield trio
        net.heal()
        await trio.until_acknowledged()
        await trio.check()
    finally:
        await trio.close()


def _numbers(words: Sequence[str]) -> Iterator[int]:
    for word in words:
        first, last = map(int, word.split("-"))
        yield from range(first, last + 1)
