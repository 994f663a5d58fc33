"""Masters' logs in virtual time, with real links between them."""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from protocol.credentials import Credentials
from protocol.handshake import LinkIdentity
from protocol.links import parse_address
from protocol.messages.link import Leader, LinkRole
from protocol.server import Server, ServerConfig
from rlog.config import LogConfig
from rlog.log import Committed
from rlog.replica import ReplicatedLog
from rlog.roster import Roster
from tests.simulation.loop import Process, VirtualLoop
from tests.unit.rlog.raft_bench import RecordingReader

NAMES = ("m1:7000", "m2:7000", "m3:7000")


class EagerReader(RecordingReader):
    """Appends its backlog while there is room, and looks again whenever it is told anything."""

    def __init__(self) -> None:
        super().__init__()
        self.log: ReplicatedLog | None = None
        self.backlog: list[bytes] = []

    def committed(self, entries: Sequence[Committed]) -> None:
        super().committed(entries)
        asyncio.get_running_loop().call_soon(self._append)

    def _append(self) -> None:
        while self.backlog and self.log is not None and self.log.window_free:
            self.log.append(self.backlog.pop())


class Site:
    """One master's process: a log and the server that its peers reach it by."""

    def __init__(
        self, cluster: "Cluster", name: str, voters: tuple[str, ...], join: tuple[str, ...]
    ) -> None:
        self.name = name
        self.process = Process(name.split(":", maxsplit=1)[0])
        self.reader = EagerReader()
        identity = LinkIdentity(LinkRole.REPLICA, name, "", Credentials.insecure(), "red")
        config = LogConfig(name, voters, str(cluster.directory / name), "red", join=join)
        self.log = ReplicatedLog(config, identity, random.Random(name))
        self.roster = Roster(config, self.log)
        self._server = Server(
            ServerConfig(name, "red", Credentials.insecure(), is_insecure=True),
            {LinkRole.REPLICA: self.log.receiver},
            self.log.admit,
        )
        self.log.notices.on_members = self._announce

    async def start(self) -> None:
        await self.log.start(self.reader)
        await self._server.start(*parse_address(self.name))
        self._announce()

    def _announce(self) -> None:
        self._server.announce_leader(Leader(masters=self.log.configuration.voters))

    async def stop(self) -> None:
        await self.log.stop()
        await self._server.stop()


class Cluster:
    """Some masters in virtual time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.loop = VirtualLoop(random.Random(1))
        self.sites: dict[str, Site] = {}

    def run(self, work: Coroutine[Any, Any, Any], site: Site | None = None) -> Any:
        """Run a coroutine, in the site's process if one is given."""
        task = work if site is None else self.loop.spawn(site.process, work)
        return self.loop.run_until_complete(task)

    def wait(self, for_s: float) -> None:
        """Let time pass."""
        self.run(asyncio.sleep(for_s))

    def add(self, name: str, voters: tuple[str, ...] = NAMES, join: tuple[str, ...] = ()) -> Site:
        """Start a master."""
        site = self.sites[name] = Site(self, name, voters, join)
        self.run(site.start(), site)
        return site

    def wait_for_leader(self) -> Site:
        """Return the one that leads."""
        for _ in range(100):
            self.wait(0.1)
            leading = [site for site in self.sites.values() if site.log.is_leader]
            if len(leading) == 1:
                return leading[0]
        raise AssertionError("nobody leads")

    def close(self) -> None:
        """Stop everybody."""
        for site in self.sites.values():
            self.run(site.stop(), site)
        self.loop.close()


async def append(site: Site, payload: bytes) -> int:
    """Return the index of a payload."""
    return site.log.append(payload)


async def read(site: Site) -> bool:
    """Return whether a read is proven."""
    answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    site.log.read_barrier(answer.set_result)
    return await answer
