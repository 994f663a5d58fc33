"""A scheduler with replicas: the elected one launches numbered jobs, each once; a process each.

`python -m tests.faults.elected MASTERS CREDENTIALS HOLDER JOBS LEDGER`
"""

import asyncio
import sys
from collections.abc import Sequence

from protocol.credentials import load_credentials
from protocol.messages.framework import Offer
from protocol.messages.values import TaskDescription, TaskState, TaskStatus
from protocol.resources import parse_resources
from protocol.states import TERMINAL
from rlog.client.election import Election, Leadership
from rlog.spaces.messages import Change, Condition
from schedulers import Driver, Framework, Scheduler
from schedulers.keeper import Keeper, Refusal

NEED = parse_resources("cpus:0.05;mem:32MiB")
AHEAD = 3  # jobs under way at a time
FAILOVER_S = 60.0


class Jobs(Scheduler):
    """Launches job after job; that one is begun is written down before, behind the lease.

    What an earlier leader has begun and the masters do not know surely never ran: its link is
    closed when they take the subscription of the next.
    """

    def __init__(self, keeper: Keeper, leadership: Leadership, ledger: str) -> None:
        self._keeper, self._leadership, self._ledger = keeper, leadership, ledger
        self.begun: dict[str, None] = {}
        self.waiting: dict[str, None] = {}
        self.ended: dict[str, None] = {}
        self.finished = asyncio.Event()
        self._beginning: set[asyncio.Task[None]] = set()

    async def recall(self, jobs: int) -> None:
        """Learn what earlier leaders have begun."""
        self.begun = dict.fromkeys(await self._keeper.names("job-"))
        names = [f"job-{number}" for number in range(jobs)]
        self.waiting = {name: None for name in names if name not in self.begun}

    def subscribed(self, driver: Driver, tasks: Sequence[TaskStatus]) -> None:
        if self.begun:
            driver.reconcile(tuple(self.begun))

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        for offer in offers:
            under_way = len(self.begun) - len(self.ended) + len(self._beginning)
            if not self.waiting or under_way >= AHEAD:
                driver.decline([offer], 0.05)
                continue
            job = next(iter(self.waiting))
            del self.waiting[job]
            if job in self.begun:
                self._launch(driver, offer, job)
            else:
                task = asyncio.get_running_loop().create_task(self._begin(driver, offer, job))
                self._beginning.add(task)
                task.add_done_callback(self._beginning.discard)

    async def _begin(self, driver: Driver, offer: Offer, job: str) -> None:
        fence = (self._leadership.held,)
        try:
            await self._keeper.transact((Change(job, b""),), (Condition(job, 0),), fence)
        except Refusal:
            self._leadership.lost.set()  # another one leads
            return
        self.begun[job] = None
        self._launch(driver, offer, job)

    def _launch(self, driver: Driver, offer: Offer, job: str) -> None:
        if offer.offer_id not in driver.offers or self._leadership.lost.is_set():
            self.waiting[job] = None
            return
        script = f'echo "{job}" >> {self._ledger}'
        task = TaskDescription(job, command=("/bin/sh", "-c", script), resources=NEED)
        driver.accept([offer], [task], refuse_s=0.001)

    def refused(self, driver: Driver, call: int, reason: str, text: str) -> None:
        driver.reconcile(tuple(self.begun))  # finds out which of them it was

    def updated(self, driver: Driver, status: TaskStatus) -> None:
        job = status.task_id
        if status.state in TERMINAL:
            self.ended[job] = None
            self.waiting.pop(job, None)
        elif status.state is TaskState.UNKNOWN and job not in self.ended:
            self.waiting[job] = None
        if not self.waiting and self.begun.keys() == self.ended.keys() and not self._beginning:
            self.finished.set()


async def main(masters: str, credentials: str, holder: str, jobs: int, ledger: str) -> None:
    secrets = load_credentials(credentials)
    framework = Framework(
        "elected",
        masters=masters,
        credentials=secrets,
        token="elected-0123456789abcdef",
        failover_timeout_s=FAILOVER_S,
    )
    async with (
        Keeper(framework, "elected") as keeper,
        Election(keeper, "leader", holder).leading() as leadership,
    ):
        scheduler = Jobs(keeper, leadership, ledger)
        await scheduler.recall(jobs)
        print(f"{holder} leads under token {leadership.token}", flush=True)
        driver = Driver(framework, scheduler)
        running = asyncio.get_running_loop().create_task(driver.run())
        over = [
            asyncio.get_running_loop().create_task(event.wait())
            for event in (leadership.lost, scheduler.finished)
        ]
        await asyncio.wait([running, *over], return_when=asyncio.FIRST_COMPLETED)
        driver.stop(failover=True)
        await asyncio.wait([running])
        print(f"{holder} stops, {len(scheduler.ended)} jobs have ended", flush=True)


if __name__ == "__main__":
    place, secrets, name, count, path = sys.argv[1:]
    asyncio.run(main(place, secrets, name, int(count), path))
