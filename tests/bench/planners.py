"""Planners: schedulers that need time to think, by offers that are locks, asked for, or shared,
and by transactions. Each thinks about one job at a time, on what it sees as it begins.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from master.core.offers import AcceptOffers, DeclineOffers
from master.core.requests import RequestResources
from master.core.roles import ReviveOffers, SuppressOffers
from master.core.transactions import ObserveCluster, TransactLaunches
from protocol.decision import Decision, Refused
from protocol.messages.framework import (
    Accept,
    ClusterView,
    Decline,
    LaunchTask,
    Observe,
    Offer,
    Placement,
    Request,
    Revive,
    Suppress,
    Transact,
    Transacted,
    Want,
)
from protocol.messages.values import TaskDescription
from protocol.quantities import listed_quantities
from protocol.resources import Resources
from tests.bench.cell import Cell, Listener

GATHER_S = 0.05  # after the first offer: the others of a pass come by then


@dataclass(frozen=True)
class Kind:
    """What jobs of one kind are like. Source: the simulator of the Omega paper."""

    name: str
    every_s: float  # mean time between two, exponential
    tasks: int
    lasts_s: float
    task: Resources
    think_job_s: float
    think_task_s: float = 0.005


@dataclass
class Tally:
    """What became of the jobs."""

    waits_s: list[float] = field(default_factory=list)  # from arrival until all tasks are placed
    thought_s: float = 0.0
    vain_s: float = 0.0  # of that, about tasks that were lost to others
    tasks: int = 0
    conflicts: int = 0  # tasks planned where others were first


class Planner(Listener):
    """Takes jobs one after the other."""

    def __init__(self, cell: Cell, kind: Kind, rng: random.Random) -> None:
        self.cell, self.kind, self.tally = cell, kind, Tally()
        self._arrivals = random.Random(rng.random())  # the same whatever is planned
        self._rng = rng
        self._queue: list[float] = []  # when each job came, the one that is worked on first
        self._left = 0  # tasks of it
        self._is_thinking = False
        self._names = 0
        self.framework = cell.subscribe(kind.name, self)
        cell.after(self._arrivals.expovariate(1 / kind.every_s), self._arrive)

    def begin(self) -> None:
        """Turn to a job, or to what is left of it."""

    def finish(self) -> None:
        """The job is placed."""

    def think(self, tasks: int, then: Callable[[], None]) -> None:
        """Do something after the time that it takes to think about so many tasks."""
        self._is_thinking = True
        thought_s = self.kind.think_job_s + tasks * self.kind.think_task_s
        self.tally.thought_s += thought_s

        def done() -> None:
            self._is_thinking = False
            then()

        self.cell.after(thought_s, done)

    def count(self, planned: int, placed: int) -> None:
        """Note how a plan ended; go on."""
        lost = planned - placed
        self.tally.conflicts += lost
        self.tally.tasks += placed
        if planned:
            thought_s = self.kind.think_job_s + planned * self.kind.think_task_s
            self.tally.vain_s += thought_s * lost / planned
        self._left -= placed
        if self._left:
            self.begin()
            return
        self.tally.waits_s.append(self.cell.now_s - self._queue.pop(0))
        self.finish()
        self._next()

    def describe(self, tasks: int) -> tuple[TaskDescription, ...]:
        described = []
        for _ in range(tasks):
            self._names += 1
            task_id = f"t{self._names}-{self.kind.lasts_s}"
            described.append(TaskDescription(task_id, command=("x",), resources=self.kind.task))
        return tuple(described)

    def fits(self, resources: Resources) -> int:
        """Return how many tasks there is room for."""
        free = resources.scalars
        return min(free.get(name, 0) // amount for name, amount in self.kind.task.scalars.items())

    def _arrive(self) -> None:
        self.cell.after(self._arrivals.expovariate(1 / self.kind.every_s), self._arrive)
        self._queue.append(self.cell.now_s)
        if len(self._queue) == 1:
            self._next()

    def _next(self) -> None:
        if self._queue:
            self._left = self.kind.tasks
            self.begin()


class Lender(Planner):
    """Works on offers, without a word on what it wants."""

    def __init__(self, cell: Cell, kind: Kind, rng: random.Random) -> None:
        super().__init__(cell, kind, rng)
        self._held: dict[str, Offer] = {}
        self._is_gathering = False
        self.finish()

    def begin(self) -> None:
        self.cell.submit(ReviveOffers(self.framework, Revive(1)))
        self._gather()

    def finish(self) -> None:
        self.cell.submit(SuppressOffers(self.framework, Suppress(1)))
        self._give_back()

    def offered(self, offers: tuple[Offer, ...]) -> None:
        self._held.update((offer.offer_id, offer) for offer in offers)
        self._gather()

    def rescinded(self, offers: tuple[str, ...]) -> None:
        for offer_id in offers:
            self._held.pop(offer_id, None)

    def _gather(self) -> None:
        if self._left and self._held and not self._is_thinking and not self._is_gathering:
            self._is_gathering = True
            self.cell.after(GATHER_S, self._plan)

    def _plan(self) -> None:
        self._is_gathering = False
        plan: dict[str, int] = {}
        left = self._left
        for offer in self._shuffled():
            if tasks := min(left, self.fits(offer.resources)):
                plan[offer.offer_id] = tasks
                left -= tasks
        planned = sum(plan.values())
        if planned:
            self.think(planned, lambda: self._accept(plan))

    def _shuffled(self) -> list[Offer]:
        offers = list(self._held.values())
        self._rng.shuffle(offers)
        return offers

    def _accept(self, plan: dict[str, int]) -> None:
        placed = 0
        for offer_id, tasks in plan.items():
            if self._held.pop(offer_id, None) is None:
                continue
            launches = tuple(map(LaunchTask, self.describe(tasks)))
            accept = Accept(1, (offer_id,), launches, 1)
            outcome = self.cell.submit(AcceptOffers(self.framework, accept))
            assert isinstance(outcome, Decision), outcome
            placed += tasks
        self.count(sum(plan.values()), placed)

    def _give_back(self) -> None:
        held = tuple(self._held)
        self._held.clear()
        for start in range(0, len(held), 100):
            decline = Decline(1, held[start : start + 100], 1)
            self.cell.submit(DeclineOffers(self.framework, decline))


class Asker(Lender):
    """Asks for what the job needs, and works on the offers of that."""

    def begin(self) -> None:
        self._ask(self._left)
        self._gather()

    def finish(self) -> None:
        self._ask(0)
        self._give_back()

    def _ask(self, tasks: int) -> None:
        want = Want(listed_quantities(self.kind.task.quantities), tasks)
        call = Request(1, self.kind.name, (want,) if tasks else ())
        self.cell.submit(RequestResources(self.framework, call))


class Observer(Planner):
    """Plans on all that it sees, and commits what still fits."""

    def __init__(self, cell: Cell, kind: Kind, rng: random.Random) -> None:
        super().__init__(cell, kind, rng)
        self._free: dict[str, int] = {}  # tasks that there is room for, by agent
        self._is_waiting = False
        cell.submit(ObserveCluster(self.framework, Observe(1, kind.name)))

    def begin(self) -> None:
        plan: dict[str, int] = {}
        left = self._left
        agents = [agent_id for agent_id, room in self._free.items() if room]
        self._rng.shuffle(agents)
        for agent_id in agents:
            if not left:
                break
            plan[agent_id] = min(left, self._free[agent_id])
            left -= plan[agent_id]
        self._is_waiting = not plan
        if plan:
            self.think(sum(plan.values()), lambda: self._commit(plan))

    def viewed(self, view: ClusterView) -> None:
        for agent in view.agents:
            self._free[agent.agent_id] = self.fits(agent.free)
        if self._is_waiting:
            self.begin()

    def _commit(self, plan: dict[str, int]) -> None:
        placements = tuple(Placement(each, 0, self.describe(plan[each])) for each in plan)
        outcome = self.cell.submit(
            TransactLaunches(self.framework, Transact(1, self.kind.name, placements))
        )
        assert not isinstance(outcome, Refused) and isinstance(outcome.reply, Transacted)
        lost = {conflict.placement for conflict in outcome.reply.conflicts}
        placed = sum(tasks for place, tasks in enumerate(plan.values()) if place not in lost)
        for place, agent_id in enumerate(plan):
            if place in lost:
                self._free[agent_id] = 0  # until the next view of it
        self.count(sum(plan.values()), placed)
