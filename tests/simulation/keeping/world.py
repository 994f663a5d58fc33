"""One seed of keeping: masters, keepers, a storm of faults, and what was kept in the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlog.client.journal import Journal
from tests.simulation.checkers import BrokenPromiseError
from tests.simulation.keeping.keepers import JOURNAL, LED, KeeperHost, Leaders
from tests.simulation.keeping.ledger import Ledger
from tests.simulation.loop import Process
from tests.simulation.world import Faults, Outcome, Shape, World, run_seed

KEEPERS = 4
ANSWER_S_MAX = 30.0


class KeepingWorld(World):
    """Masters without agents, and clients that keep things in them."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.ledger = Ledger()
        super().__init__(seed, Shape(agents=0, schedulers=KEEPERS), directory)

    def make_clients(self, shape: Shape) -> Sequence[KeeperHost]:
        self._leaders = Leaders(self.cluster, self.ledger)
        return [
            KeeperHost(self.cluster, self.ledger, self._leaders, f"f{n + 1}")
            for n in range(shape.schedulers)
        ]

    @property
    def faults(self) -> Faults:
        agents = (World.ambush_agent, World.kill_agent)
        found = {fault: weight for fault, weight in super().faults.items() if fault not in agents}
        return {**found, KeepingWorld.nudge_clock: 3}

    def nudge_clock(self) -> str:
        """Set a master's clock by less than a second, as time daemons do at once."""
        host, by_s = self.rng.choice(self.cluster.masters), self.rng.uniform(-0.95, 0.95)
        host.clock_skew_ns += int(by_s * 1e9)
        return f"{host.name} by {by_s:.3f} s"

    async def finish(self) -> None:
        self.checkers.step()
        if len(self.cluster.leaders()) != 1:
            raise BrokenPromiseError(f"{len(self.cluster.leaders())} leaders after healing")
        for client in self.clients:
            client.kill()
        host = KeeperHost(self.cluster, self.ledger, self._leaders, "auditor")
        process = host.process = Process("auditor")
        reading = self.cluster.loop.spawn(process, self._audit(host))
        await self.watch_until(reading.done, ANSWER_S_MAX)
        self.ledger.judge(*reading.result())
        self.outcome.seen += self.ledger.seen

    async def _audit(self, host: KeeperHost) -> tuple[int, int]:
        """Read everything that was kept; return where the journal begins and goes on."""
        async with host.keeper() as keeper:
            page = await Journal(keeper, JOURNAL).page()
            async for record in Journal(keeper, JOURNAL).read():
                self.ledger.read(record.position, record.content)
            latest = (await keeper.fetch(LED))[LED]
            async for revision in keeper.watch(LED, after=0):
                self.ledger.watched.append(revision)
                if revision.number == latest.version:
                    return page.first, page.next
        raise AssertionError("watching has no end")


def run_keeping_seed(seed: int) -> Outcome:
    """Run one seed."""
    return run_seed(seed, KeepingWorld)
