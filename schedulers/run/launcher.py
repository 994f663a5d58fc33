"""The deciding half of `quorate run`: places a job's instances and watches them end."""

from collections.abc import Sequence
from typing import Protocol

from protocol.messages.framework import Offer
from protocol.messages.values import TaskReason, TaskState, TaskStatus
from protocol.states import is_ended
from schedulers.driver import Driver
from schedulers.framework import Scheduler
from schedulers.matching import Demand, explain_shortage, match_offers, want_all
from schedulers.run.job import Job

REFUSE_S = 5.0  # resources that are too small now may have grown by then
REFUSE_LEFT_S = 3600.0  # nothing is wanted any more
# These leave the instance to be placed elsewhere; any other refusal would be repeated for ever.
PASSING = frozenset(
    {
        "UNKNOWN_OFFER",
        "OFFER_TAKEN",
        "LOST_OFFER",
        "OVERLOADED",
        "AGENT_NOT_LINKED",
        "UNKNOWN_AGENT",
        "INTERNAL",
    }
)
SIGKILL = 9
REMEDIES = {"SECRET_NEEDED": "; give --credentials FILE"}


class Listener(Protocol):
    """Hears of what a person wants to see or that ends the job."""

    def launched(self) -> None:
        """Every instance has been accepted."""

    def changed(self, status: TaskStatus, address: str) -> None:
        """An instance is in a new state; its agent's server is at `address`."""

    def ended(self) -> None:
        """Every instance has ended, or none will be started any more."""

    def given_up(self, text: str) -> None:
        """The masters will not have the job."""


def exit_status_of(status: TaskStatus) -> int:
    """Return what a shell would: the exit code, 128 and the signal, or 1 when lost."""
    if status.state == TaskState.FINISHED:
        return 0
    if status.reason == TaskReason.MEMORY_LIMIT:
        return 128 + SIGKILL
    if status.signal:
        return 128 + status.signal
    if status.state == TaskState.FAILED and status.exit_code:
        return status.exit_code & 0xFF or 1
    return 1


class Launcher(Scheduler):
    """Owns which instances wait for an offer, wait for an answer, run, or have ended."""

    def __init__(self, job: Job, listener: Listener) -> None:
        self.waiting: dict[str, Demand] = dict(job.demands)
        self.newest: dict[str, TaskStatus] = {}
        self.exit_status = 0  # the first that is not 0
        self._job = job
        self._listener = listener
        self._started: dict[str, None] = {}  # accepted, or told of
        self._asked: dict[int, tuple[str, ...]] = {}  # instances by the accept that launches them
        self._seen: dict[tuple[str, str], Offer] = {}  # newest offer of each agent and role
        self._addresses: dict[str, str] = {}
        self._is_killing = False
        self._is_launched = False

    @property
    def live(self) -> list[str]:
        """Instances that were launched and have not ended, as far as known."""
        return [task for task in self._started if not self._has_ended(task)]

    @property
    def is_launched(self) -> bool:
        """Whether every instance has been accepted."""
        return self._is_launched

    def explain_waiting(self) -> str:
        """Say why instances that wait are not placed; empty when none waits for resources."""
        offers = tuple(self._seen.values())
        unserved = match_offers(offers, tuple(self.waiting.values())).unserved
        return explain_shortage(offers, unserved[0]) if unserved else ""

    def kill_all(self, driver: Driver) -> None:
        """Start nothing any more and end what runs."""
        self._is_killing = True
        self.waiting.clear()
        if live := self.live:
            driver.kill(live)
        self._check_end()

    def subscribed(self, driver: Driver, tasks: Sequence[TaskStatus]) -> None:
        for status in tasks:
            self._note(status)
        self._request(driver)

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        for offer in offers:
            self._seen[offer.agent_id, offer.role] = offer
            self._addresses[offer.agent_id] = offer.address
        if not self.waiting:
            driver.decline(offers, REFUSE_LEFT_S)
            return
        placements = match_offers(offers, tuple(self.waiting.values())).placements
        for offer in offers:
            placed = placements.get(offer.offer_id, ())
            if not placed:
                driver.decline([offer], REFUSE_S)
                continue
            tasks = tuple(each.demand.name for each in placed)
            number = driver.accept([offer], [self._job.describe(each) for each in placed])
            self._asked[number] = tasks
            for task in tasks:
                del self.waiting[task]

    def rescinded(self, driver: Driver, offers: Sequence[str]) -> None:
        self._seen = {
            key: offer for key, offer in self._seen.items() if offer.offer_id not in offers
        }

    def done(self, driver: Driver, call: int) -> None:
        tasks = self._asked.pop(call, ())
        self._started.update(dict.fromkeys(tasks))
        if tasks and self._is_killing:
            driver.kill(tasks)
        is_all = not self.waiting and not self._asked and not self._is_killing
        if is_all and not self._is_launched:
            self._is_launched = True
            driver.suppress()
            self._listener.launched()

    def refused(self, driver: Driver, call: int, reason: str, text: str) -> None:
        tasks = self._asked.pop(call, ())
        if not tasks:
            return
        self.waiting.update((task, self._job.demands[task]) for task in tasks)
        if self._is_killing:
            self.waiting.clear()
            self._check_end()
        elif reason in PASSING:
            self._request(driver)
            driver.revive()
        else:
            self._listener.given_up(f"the masters refuse the tasks: {text or reason} ({reason})")

    def updated(self, driver: Driver, status: TaskStatus) -> None:
        self._note(status)

    def failed(self, driver: Driver, reason: str, text: str) -> None:
        remedy = REMEDIES.get(reason, "")
        self._listener.given_up(f"{text or reason} ({reason}){remedy}")

    def _request(self, driver: Driver) -> None:
        """Have offered what the instances need that wait, and nothing else."""
        if not self._is_killing:
            driver.request(want_all(self.waiting.values()))

    def _note(self, status: TaskStatus) -> None:
        before = self.newest.get(status.task_id)
        is_ours = status.task_id in self._job.demands and status.state != TaskState.UNKNOWN
        if not is_ours or self._has_ended(status.task_id):
            return
        if before is not None and (before.state, before.pid) == (status.state, status.pid):
            return
        self.newest[status.task_id] = status
        self._started[status.task_id] = None
        if is_ended(status.state):
            self.exit_status = self.exit_status or exit_status_of(status)
        self._listener.changed(status, self._addresses.get(status.agent_id, ""))
        self._check_end()

    def _has_ended(self, task: str) -> bool:
        status = self.newest.get(task)
        return status is not None and is_ended(status.state)

    def _check_end(self) -> None:
        if not self.waiting and not self._asked and not self.live:
            self._listener.ended()
