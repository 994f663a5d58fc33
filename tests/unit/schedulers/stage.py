"""A driver on a stage: a fake master before it, and a scheduler that writes a diary."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from structlog.testing import capture_logs

from protocol.links import LinkPace
from protocol.messages.framework import ClusterView, InverseOffer, Offer, Recall, Transacted
from protocol.messages.values import OperationStatus, TaskDescription, TaskState, TaskStatus
from schedulers import Driver, Framework, Scheduler
from tests.unit.schedulers.fake_master import FakeMaster

PACE = LinkPace(retry_first_s=0.01, retry_max_s=0.05)
TASK = TaskDescription(task_id="t1", command=("true",))


class Diary(Scheduler):
    """Writes down everything it is told."""

    def __init__(self, master: FakeMaster) -> None:
        self.entries: list[tuple[Any, ...]] = []
        self.fails_on: TaskState | None = None
        self._master = master

    def write(self, *entry: object) -> None:
        self.entries.append(entry)
        self._master.tell()

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [entry for entry in self.entries if entry[0] == kind]

    def subscribed(self, driver: Driver, tasks: Sequence[TaskStatus]) -> None:
        self.write("subscribed", tuple(status.task_id for status in tasks))

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        self.write("offered", tuple(offers))

    def rescinded(self, driver: Driver, offers: Sequence[str]) -> None:
        self.write("rescinded", tuple(offers))

    def asked_to_leave(self, driver: Driver, offers: Sequence[InverseOffer]) -> None:
        self.write("asked_to_leave", tuple(offers))

    def may_stay(self, driver: Driver, offers: Sequence[str]) -> None:
        self.write("may_stay", tuple(offers))

    def updated(self, driver: Driver, status: TaskStatus) -> None:
        if status.state == self.fails_on:
            raise RuntimeError("the scheduler fails")
        self.write("updated", status.task_id, status.state)

    def operated(self, driver: Driver, status: OperationStatus) -> None:
        self.write("operated", status.operation_id, status.state)

    def done(self, driver: Driver, call: int) -> None:
        self.write("done", call)

    def refused(self, driver: Driver, call: int, reason: str, text: str) -> None:
        self.write("refused", call, reason)

    def asked_back(self, driver: Driver, recalls: Sequence[Recall]) -> None:
        self.write("asked_back", tuple(recalls))

    def viewed(self, driver: Driver, view: ClusterView) -> None:
        self.write("viewed", view)

    def transacted(self, driver: Driver, answer: Transacted) -> None:
        self.write("transacted", answer)

    def disconnected(self, driver: Driver) -> None:
        self.write("disconnected")

    def failed(self, driver: Driver, reason: str, text: str) -> None:
        self.write("failed", reason)


class Stage:
    """A driver that runs against a fake master."""

    def __init__(self, master: FakeMaster, framework: Framework) -> None:
        self.master = master
        self.diary = Diary(master)
        self.driver = Driver(framework, self.diary, rng=random.Random(1), pace=PACE)

    async def told(self, kind: str, count: int = 1) -> tuple[Any, ...]:
        await self.master.until(lambda: len(self.diary.of(kind)) >= count)
        return self.diary.of(kind)[count - 1]


@asynccontextmanager
async def staged(**options: Any) -> AsyncIterator[Stage]:
    master = FakeMaster()
    await master.start()
    stage = Stage(master, Framework("test", masters=master.address, **options))
    running = asyncio.create_task(stage.driver.run())
    try:
        await stage.told("subscribed")
        yield stage
    finally:
        stage.driver.stop(failover=True)
        await asyncio.wait([running])
        await master.stop()


def play(act: Callable[[Stage], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with staged(**options) as stage:
            await act(stage)

    with capture_logs():
        asyncio.run(main())
