"""Schedulers that launch, kill and lose their process, and tell the checkers what they hear."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol.ids import task_key
from protocol.messages.framework import Offer, Want
from protocol.messages.values import TaskDescription, TaskState, TaskStatus
from protocol.quantities import listed_quantities
from protocol.resources import Resources, parse_resources
from protocol.states import is_ended
from schedulers.driver import Driver
from schedulers.framework import Framework, Scheduler
from tests.simulation.checkers import Checkers
from tests.simulation.client import ClientHost
from tests.simulation.cluster import Cluster

DEMAND = parse_resources("cpus:0.5;mem:256MiB")
SIZES = (parse_resources("cpus:1;mem:128MiB"), parse_resources("cpus:0.25;mem:512MiB"))
RESIZED_OF = 3  # one in so many tasks
FAILOVER_TIMEOUT_S = 120.0
LAUNCHES_PER_OFFER_MAX = 4


@dataclass(slots=True)
class Plan:
    """What a scheduler's program wants; survives its process as a database would."""

    name: str
    role: str
    tasks_left: int
    token: str
    is_asking: bool = False  # says what it wants, and is offered that
    numbers: int = 0
    open_tasks: dict[str, None] = field(default_factory=dict)
    seen: set[tuple[int, int]] = field(default_factory=set)  # (launch, sequence)


class SeededScheduler(Scheduler):
    """Uses offers for short tasks until its plan is done."""

    def __init__(self, plan: Plan, checkers: Checkers, rng: random.Random) -> None:
        self.plan = plan
        self._checkers = checkers
        self._rng = rng
        self.calls: dict[int, tuple[str, ...]] = {}
        self._framework = ""

    def subscribed(self, driver: Driver, tasks: Sequence[TaskStatus]) -> None:
        self._framework = driver.framework_id
        for status in tasks:
            self.plan.open_tasks[status.task_id] = None
        self.ask(driver)

    def ask(self, driver: Driver) -> None:
        """Say what is wanted by now."""
        if self.plan.is_asking:
            want = Want(listed_quantities(DEMAND.quantities), self.plan.tasks_left)
            driver.request((want,) if self.plan.tasks_left else ())

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        for offer in offers:
            launches = self._launches(offer.resources)
            if not launches or self._rng.random() < 0.1:
                self.plan.tasks_left += len(launches)
                driver.decline([offer], refuse_s=self._rng.choice((0.5, 2.0)))
                continue
            call = driver.accept([offer], launches, refuse_s=0.5)
            self.calls[call] = tuple(launch.task_id for launch in launches)

    def _launches(self, free: Resources) -> list[TaskDescription]:
        launches: list[TaskDescription] = []
        bound = self._rng.randint(1, LAUNCHES_PER_OFFER_MAX)
        while self.plan.tasks_left and len(launches) < bound and free.contains(DEMAND):
            free = free - DEMAND
            self.plan.tasks_left -= 1
            self.plan.numbers += 1
            lasts_s = self._rng.choice((0.05, 0.5, 3.0, 10.0))
            command = ("sleep", str(lasts_s), str(self._rng.choice((0, 0, 1))))
            launches.append(
                TaskDescription(
                    task_id=f"t{self.plan.numbers}",
                    name="seeded",
                    command=command,
                    resources=DEMAND,
                )
            )
        return launches

    def done(self, driver: Driver, call: int) -> None:
        for task in self.calls.pop(call, ()):
            self._checkers.launched(self._key(task))
            self.plan.open_tasks[task] = None
            if self._rng.random() < 0.15:
                driver.kill([task], grace_s=self._rng.choice((0.2, 1.0)))

    def refused(self, driver: Driver, call: int, reason: str, text: str) -> None:
        for task in self.calls.pop(call, ()):
            self._checkers.refused(self._key(task))
            self.plan.tasks_left += 1
        self.ask(driver)

    def updated(self, driver: Driver, status: TaskStatus) -> None:
        stamp = (status.launch, status.sequence)
        if status.sequence == 0 or stamp in self.plan.seen:
            return
        self.plan.seen.add(stamp)
        self._checkers.updated(self._key(status.task_id), status.state)
        if status.state is TaskState.RUNNING and status.launch % RESIZED_OF == 0:
            self._resize(driver, status)
        if is_ended(status.state):
            self.plan.open_tasks.pop(status.task_id, None)

    def _resize(self, driver: Driver, status: TaskStatus) -> None:
        """Want more, then less, then leave it be."""
        if status.resize < len(SIZES):
            driver.resize(status.task_id, SIZES[status.resize])

    def _key(self, task: str) -> str:
        return task_key(self._framework, task)


class SchedulerHost(ClientHost):
    """The machine of one scheduler: its process dies and comes back with its plan."""

    def __init__(
        self,
        cluster: Cluster,
        checkers: Checkers,
        name: str,
        plan: Plan,
        kind: type[SeededScheduler] = SeededScheduler,
    ) -> None:
        super().__init__(cluster, name)
        self.checkers, self.plan, self.kind = checkers, plan, kind
        self.driver: Driver | None = None
        self.scheduler: SeededScheduler | None = None

    @property
    def is_settled(self) -> bool:
        """Whether it is subscribed, no launch of its waits for an answer, and all tasks ended."""
        driver, scheduler = self.driver, self.scheduler
        is_certain = bool(driver and driver.is_subscribed and scheduler and not scheduler.calls)
        return is_certain and not self.plan.tasks_left and not self.plan.open_tasks

    @property
    def left(self) -> object:
        return self.plan.tasks_left, list(self.plan.open_tasks)

    def go_on(self) -> None:
        self.plan.tasks_left += 1
        if self.driver and self.scheduler and self.driver.is_subscribed:
            self.scheduler.ask(self.driver)

    async def run(self) -> None:
        framework = Framework(
            name=self.plan.name,
            masters=",".join(self.cluster.addresses),
            roles=(self.plan.role,),
            failover_timeout_s=FAILOVER_TIMEOUT_S,
            token=self.plan.token,
        )
        self.scheduler = self.kind(self.plan, self.checkers, self.cluster.rng)
        self.driver = Driver(framework, self.scheduler, rng=self.cluster.rng)
        await self.driver.run()
