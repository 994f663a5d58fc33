"""Schedulers that launch something and leave for good: their tasks run on, and then they end."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

from master.core.state import State
from protocol.errors import Fault
from protocol.messages.framework import Offer
from protocol.messages.values import TaskDescription, TaskStatus
from schedulers.driver import STOP_S_MAX, Driver
from schedulers.framework import Framework, Scheduler
from tests.simulation.checkers import BrokenPromiseError
from tests.simulation.client import ClientHost
from tests.simulation.cluster import Cluster
from tests.simulation.workload import DEMAND, FAILOVER_TIMEOUT_S

STAYS_S_MAX = 4.0
ROLE = "role1"


class FleetingScheduler(Scheduler):
    """Uses each offer for one short task, and leaves after a while."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._tasks = 0
        self._is_leaving = False
        self.left_s = float("inf")  # when it asked to

    def subscribed(self, driver: Driver, tasks: Sequence[TaskStatus]) -> None:
        if not self._is_leaving:
            self._is_leaving = True
            loop = asyncio.get_running_loop()
            loop.call_later(self._rng.uniform(0.1, STAYS_S_MAX), self._leave, driver)

    def _leave(self, driver: Driver) -> None:
        self.left_s = asyncio.get_running_loop().time()
        driver.leave()

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        for offer in offers:
            if not offer.resources.contains(DEMAND):
                driver.decline([offer], refuse_s=1.0)
                continue
            self._tasks += 1
            command = ("sleep", str(self._rng.choice((0.05, 0.5, 3.0))), "0")
            task = TaskDescription(
                task_id=f"t{self._tasks}", name="fleeting", command=command, resources=DEMAND
            )
            driver.accept([offer], [task], refuse_s=1.0)


class FleetingHost(ClientHost):
    """The machine of one after the other."""

    def __init__(self, cluster: Cluster, name: str, seen: Counter[str]) -> None:
        super().__init__(cluster, name)
        self._seen = seen
        self._rounds = 0
        self._left: list[str] = []  # for certain
        self._is_ending = self._is_done = False

    @property
    def is_settled(self) -> bool:
        return self._is_done

    @property
    def left(self) -> object:
        return "to leave"

    def go_on(self) -> None:
        """Come and leave once more."""
        self._is_ending = True

    async def run(self) -> None:
        rng, loop = self.cluster.rng, self.cluster.loop
        while True:
            await asyncio.sleep(rng.expovariate(1.0))
            if self._is_done:
                continue
            self._rounds += 1
            name = f"{self.name}-{self._rounds}"
            framework = Framework(
                name=name,
                masters=",".join(self.cluster.addresses),
                roles=(ROLE,),
                failover_timeout_s=FAILOVER_TIMEOUT_S,
                token=name,
            )
            scheduler = FleetingScheduler(rng)
            try:
                await Driver(framework, scheduler, rng=rng).run()
            except Fault:
                continue
            if loop.time() - scheduler.left_s < STOP_S_MAX - 0.1:  # else it gave up waiting
                self._left.append(name)
                self._seen["frameworks that left"] += 1
                self._is_done = self._is_ending

    def judge(self, state: State) -> None:
        """Check that who left is gone, now that all tasks have ended."""
        there = {f.name: f for f in state.frameworks.values() if not f.is_removed}
        for name in self._left:
            if name in there:
                raise BrokenPromiseError(f"{name} left, has no task, and is still there")
