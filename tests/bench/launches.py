"""A framework that keeps so many launches under way and times each until it is seen to run."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from master.ctl.target import Target
from protocol.credentials import load_credentials
from protocol.messages.framework import Offer
from protocol.messages.values import TaskDescription, TaskState, TaskStatus
from protocol.resources import Resources
from protocol.states import is_ended
from schedulers.driver import Driver
from schedulers.framework import Framework, Scheduler

DRAIN_S_MAX = 60.0
REFUSE_S = 1e-9  # what is left of an offer is wanted again at once


@dataclass(frozen=True, slots=True)
class Launches:
    """So many launches under way, at most `per_accept` in one call, for so long.

    A launch is under way from its accept until it runs; `until_ended` counts it until its end,
    which a machine that must run all of them needs. `gap_s`: pause before each accept.
    """

    under_way: int
    per_accept: int
    lasts_s: float
    until_ended: bool = False
    gap_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a framework saw of its launches."""

    elapsed_s: float
    running_s: tuple[float, ...]  # from accept to RUNNING, each
    ended: int
    failed: int
    refused: int


class LaunchScheduler(Scheduler):
    """Uses any offer for equal tasks; holds offers that it does not need yet."""

    def __init__(self, command: tuple[str, ...], resources: Resources) -> None:
        self._command, self._resources = command, resources
        self._offers: list[tuple[Offer, int]] = []  # held, and how many tasks each takes
        self._launches = Launches(0, 1, 0.0)
        self._driver: Driver
        self._number = 0
        self._until_s = 0.0
        self._accepted_s: dict[str, float] = {}  # of tasks that were not seen to run
        self._open: dict[str, None] = {}  # tasks that were not seen to end
        self._calls: dict[int, list[str]] = {}
        self._running_s: list[float] = []
        self._ended = self._failed = self._refused = 0
        self._drained = asyncio.Event()
        self.has_offers = asyncio.Event()

    async def run(self, launches: Launches) -> Seen:
        """Keep launching for the time, and wait until all launched has ended."""
        self._launches, self._running_s = launches, []
        self._ended = self._failed = self._refused = 0
        self._drained.clear()
        began_s = time.perf_counter()
        self._until_s = began_s + launches.lasts_s
        self._pump()
        await asyncio.sleep(launches.lasts_s)
        elapsed_s, seen_s = time.perf_counter() - began_s, tuple(self._running_s)
        ended = self._ended
        if self._open:
            await asyncio.wait_for(self._drained.wait(), DRAIN_S_MAX)
        return Seen(elapsed_s, seen_s, ended, self._failed, self._refused)

    @property
    def _free(self) -> int:
        busy = self._open if self._launches.until_ended else self._accepted_s
        return self._launches.under_way - len(busy)

    def _pump(self) -> None:
        while self._offers and self._free > 0 and time.perf_counter() < self._until_s:
            offer, room = self._offers.pop()
            self._accept(offer, min(room, self._launches.per_accept, self._free))
        if not self._open:
            self._drained.set()

    def _accept(self, offer: Offer, count: int) -> None:
        tasks = []
        for _ in range(count):
            self._number += 1
            tasks.append(
                TaskDescription(
                    task_id=f"bench.{self._number}",
                    name="bench",
                    command=self._command,
                    resources=self._resources,
                )
            )
        now_s = time.perf_counter()
        for task in tasks:
            self._accepted_s[task.task_id] = now_s
            self._open[task.task_id] = None
        call = self._driver.accept([offer], tasks, refuse_s=REFUSE_S)
        self._calls[call] = [task.task_id for task in tasks]

    def subscribed(self, driver: Driver, tasks: Sequence[TaskStatus]) -> None:
        self._driver = driver

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        for offer in offers:
            room = min(
                offer.resources.scalars.get(name, 0) // amount
                for name, amount in self._resources.scalars.items()
            )
            if room:
                self._offers.append((offer, room))
            else:
                driver.decline([offer], refuse_s=REFUSE_S)
        self.has_offers.set()
        self._pump()

    def rescinded(self, driver: Driver, offers: Sequence[str]) -> None:
        void = set(offers)
        self._offers = [each for each in self._offers if each[0].offer_id not in void]

    def updated(self, driver: Driver, status: TaskStatus) -> None:
        has_run = status.state == TaskState.RUNNING or is_ended(status.state)
        accepted_s = self._accepted_s.pop(status.task_id, None) if has_run else None
        if accepted_s is not None:
            self._running_s.append(time.perf_counter() - accepted_s)
        if is_ended(status.state):
            self._open.pop(status.task_id, None)
            self._ended += 1
            self._failed += status.state != TaskState.FINISHED
        if self._launches.gap_s:
            asyncio.get_running_loop().call_later(self._launches.gap_s, self._pump)
        else:
            self._pump()

    def done(self, driver: Driver, call: int) -> None:
        self._calls.pop(call, None)

    def refused(self, driver: Driver, call: int, reason: str, text: str) -> None:
        for task_id in self._calls.pop(call, ()):
            self._accepted_s.pop(task_id, None)
            self._open.pop(task_id, None)
            self._refused += 1
        self._pump()


def framework(target: Target) -> Framework:
    """Return the identity of the benchmark's framework."""
    credentials = load_credentials(target.credentials)
    return Framework(name="bench", masters=",".join(target.masters), credentials=credentials)
