"""Schedulers that launch many small tasks and write down all that they are told."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from master.ctl.cluster import EmbeddedCluster
from protocol.credentials import load_credentials
from protocol.messages.framework import Offer
from protocol.messages.values import TaskDescription, TaskState, TaskStatus
from protocol.resources import parse_resources
from schedulers import Driver, Framework, Scheduler, is_ended
from tests.faults.stage import until

NEED = parse_resources("cpus:0.05;mem:32MiB")
BATCH_MAX = 8  # launches in one accept
REFUSE_S = 60.0  # nothing waits; revived when something does
AT_ONCE_S = 1e-9  # what is left is offered again in the next pass
LOST_S = 60.0


class Crowd(Scheduler):
    """Launches what is submitted as soon as there is room."""

    def __init__(self) -> None:
        self.waiting: dict[str, str] = {}  # task → script
        self.asked: dict[int, tuple[float, tuple[str, ...]]] = {}  # accepts without an answer
        self.accepted: dict[str, float] = {}  # task → when it was acknowledged
        self.accepts: list[tuple[float, float]] = []  # when each was sent and acknowledged
        self.refusals: dict[str, str] = {}  # task → reason
        self.answers: dict[int, str] = {}  # call → reason, empty for done
        self.updates: dict[str, list[TaskStatus]] = {}
        self.over: dict[str, None] = {}  # tasks that have ended
        self.found: list[TaskStatus] = []  # at the newest subscription
        self.failure = ""

    def submit(self, driver: Driver, tasks: dict[str, str]) -> None:
        self.waiting.update(tasks)
        driver.revive()

    def ends(self, task: str) -> list[TaskStatus]:
        """Return the terminal statuses of a task, in the order in which they came.

        Those of sequence 0 answer the driver's questions after a break, and may repeat others.
        """
        found = self.updates.get(task, ())
        return [each for each in found if is_ended(each.state) and each.sequence]

    def pid(self, task: str) -> int:
        """Return the pid a running task has told, 0 when it does not run."""
        newest = self.updates.get(task, [TaskStatus()])[-1]
        return newest.pid if newest.state == TaskState.RUNNING else 0

    async def pids(self, tasks: Sequence[str]) -> list[int]:
        """Return the pids of tasks, once they all run."""
        await until(lambda: all(map(self.pid, tasks)), f"{len(tasks)} tasks run")
        return [self.pid(task) for task in tasks]

    def subscribed(self, driver: Driver, tasks: Sequence[TaskStatus]) -> None:
        self.found = list(tasks)

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        self.place(driver)
        if idle := [offer for offer in offers if offer.offer_id in driver.offers]:
            driver.decline(idle, REFUSE_S)

    def place(self, driver: Driver) -> None:
        """Launch what fits on the offers that there are."""
        for offer in tuple(driver.offers.values()):
            left = offer.resources
            launches: list[TaskDescription] = []
            for task, script in tuple(self.waiting.items()):
                if len(launches) < BATCH_MAX and left.contains(NEED):
                    left = left - NEED
                    launches.append(describe(task, script))
                    del self.waiting[task]
            if launches:
                call = driver.accept([offer], launches, refuse_s=AT_ONCE_S)
                self.asked[call] = time.monotonic(), tuple(each.task_id for each in launches)

    def done(self, driver: Driver, call: int) -> None:
        self.answers[call] = ""
        sent_s, tasks = self.asked.pop(call, (0.0, ()))
        if tasks:
            now_s = time.monotonic()
            self.accepts.append((sent_s, now_s))
            self.accepted.update(dict.fromkeys(tasks, now_s))

    def refused(self, driver: Driver, call: int, reason: str, text: str) -> None:
        self.answers[call] = f"{reason} {text}"
        _, tasks = self.asked.pop(call, (0.0, ()))
        self.refusals.update(dict.fromkeys(tasks, reason))

    def updated(self, driver: Driver, status: TaskStatus) -> None:
        self.updates.setdefault(status.task_id, []).append(status)
        if is_ended(status.state) and status.sequence:
            self.over[status.task_id] = None

    def failed(self, driver: Driver, reason: str, text: str) -> None:
        self.failure = f"{reason} {text}"


class Stream(Crowd):
    """Launches without end: each task appends its id to the ledger; `width` at one time."""

    def __init__(self, ledger: Path, width: int = 4) -> None:
        super().__init__()
        self.is_flowing = True
        self._ledger = ledger
        self._width = width
        self._count = 0

    @property
    def live(self) -> int:
        """How many tasks may be running or be about to."""
        return self._count - len(self.over) - len(self.refusals)

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        self.place(driver)  # what is not used now will be soon

    def place(self, driver: Driver) -> None:
        room = self._width - self.live if self.is_flowing and driver.offers else 0
        for number in range(self._count, self._count + room):
            script = f'echo "$QUORATE_TASK_ID" >> {self._ledger}'
            self.waiting[f"{self._ledger.name}-{number}"] = script
            self._count += 1
        super().place(driver)

    def done(self, driver: Driver, call: int) -> None:
        super().done(driver, call)
        self.place(driver)

    def refused(self, driver: Driver, call: int, reason: str, text: str) -> None:
        super().refused(driver, call, reason, text)
        self.place(driver)

    def updated(self, driver: Driver, status: TaskStatus) -> None:
        super().updated(driver, status)
        self.place(driver)

    async def next_accept(self, after_s: float) -> float:
        """Return when the first launch that was asked for after a moment was acknowledged."""

        def later() -> list[float]:
            return [done_s for sent_s, done_s in self.accepts if sent_s > after_s]

        await until(lambda: bool(later()), "a launch is accepted again")
        return min(later())

    async def dry_up(self) -> None:
        """Launch nothing more, and return once all that was accepted has ended."""
        self.is_flowing = False
        await until(lambda: not self.asked, "every launch is answered")
        await until(lambda: self.accepted.keys() <= self.over.keys(), "every accepted task ends")

    def check_ledger(self) -> None:
        """See that what was acknowledged ran once, and that nothing ran that was refused."""
        ran = self._ledger.read_text().split()
        assert len(ran) == len(set(ran)), "a task ran twice"
        assert set(ran) == set(self.accepted), "acknowledged and not run, or run and refused"
        assert set(self.updates) <= set(self.accepted)
        for task in self.accepted:
            states = [end.state for end in self.ends(task)]
            assert states == [TaskState.FINISHED], self.updates[task]


def describe(task: str, script: str) -> TaskDescription:
    return TaskDescription(task_id=task, command=("/bin/sh", "-c", script), resources=NEED)


def introduce(cluster: EmbeddedCluster, name: str, **how: Any) -> Framework:
    """Return a framework of this cluster with its right secret."""
    masters = ",".join(cluster.addresses)
    secrets = load_credentials(cluster.target.credentials)
    return Framework(name, masters=masters, credentials=secrets, **how)


@contextlib.asynccontextmanager
async def driving(
    framework: Framework, scheduler: Scheduler, *, failover: bool = False
) -> AsyncIterator[Driver]:
    """Keep a scheduler subscribed; at the end its tasks are killed, or left with `failover`."""
    driver = Driver(framework, scheduler)
    running = asyncio.get_running_loop().create_task(driver.run())
    try:
        await until(lambda: driver.is_subscribed or running.done(), "subscribed")
        yield driver
    finally:
        driver.stop(failover=failover)
        async with asyncio.timeout(LOST_S):
            await running


async def run_canary(cluster: EmbeddedCluster) -> None:
    """See that the cluster takes a task and runs it."""
    crowd = Crowd()
    async with driving(introduce(cluster, "canary"), crowd) as driver:
        crowd.submit(driver, {"canary": "exit 0"})
        await until(lambda: bool(crowd.ends("canary")), "the canary has run")
    assert crowd.ends("canary")[0].state == TaskState.FINISHED
