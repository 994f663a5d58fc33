"""Preemption: a role that has less than its share gets it back from those that have more."""

from collections.abc import Iterator
from dataclasses import dataclass

from master.allocator.demand import Want
from master.allocator.entitlement import WHOLE, entitle
from master.allocator.rations import Rations
from master.allocator.sorter import SHARE_UNITS
from master.allocator.tree import lineage
from master.core.alarms import AlarmKind
from master.core.draft import Draft, put
from master.core.policies import policy_of
from master.core.records import Agent, Reclaim, Task
from master.core.scarce import asks_for, scarce_of
from master.core.standing import ReclaimBegun, ReclaimEnded, is_resting
from master.core.state import (
    State,
    charge,
    charged_by_role,
    credit,
    free_of,
    held_by_role,
    shared_capacity,
)
from master.core.tasks import want_dead
from protocol.constraints import is_admitted
from protocol.ids import FrameworkId
from protocol.messages.framework import Recall
from protocol.messages.values import TaskReason

AGENTS_MAX = 100  # looked at for one want, another part of them each time
WANTS_MAX = 2  # tried in one turn, of those that have least of their part
RECLAIMS_MAX = 100  # tasks that are asked back at once, of the whole cluster

assert WHOLE == SHARE_UNITS


@dataclass(frozen=True, slots=True)
class Victims:
    """Preemptible tasks of one agent whose end makes room for a want."""

    agent: Agent
    tasks: tuple[Task, ...]

    @property
    def cost(self) -> tuple[int, int]:
        """What is to be small: the highest priority, and how many they are."""
        return max(task.description.priority for task in self.tasks), len(self.tasks)


def ring_reclaim_due(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """End what was asked back in time enough; ask back what makes room for one more task.

    What was asked back for a role that waits no more is spared.
    """
    waiting = list(_waiting(state))
    needed = {role: None for role, _, _ in waiting}
    ended = 0
    for task_key, reclaim in state.soft.reclaims.items():
        task = state.tasks.get(task_key)
        is_spared = task is not None and task.kill is None and reclaim.role not in needed
        if task is None or task.is_ended or is_spared:
            draft.soft.append(ReclaimEnded(task_key))
            ended += 1
        elif reclaim.until_ns <= draft.now_ns and task.kill is None:
            want_dead(draft, state, task, TaskReason.PREEMPTED, 0)
    if waiting and len(state.soft.reclaims) - ended < RECLAIMS_MAX:
        _reclaim(draft, state, waiting)
    if waiting or len(state.soft.reclaims) > ended:
        draft.alarm(AlarmKind.RECLAIM_DUE, (), draft.settings.reclaim_look_ns)


def _reclaim(draft: Draft, state: State, waiting: list[tuple[str, Want, int]]) -> None:
    """Ask back for the first that may have it: one task's worth a turn, so that shares follow."""
    scarce = draft.settings.scarce_resources
    books = Books(state, [role for role, _, _ in waiting], scarce)
    tried = 0
    wanted: dict[str, int] = {}
    for role, _, left in waiting:
        wanted[role] = wanted.get(role, 0) + left
    for role, want, _ in sorted(waiting, key=lambda each: books.surplus(each[0])):
        if tried == WANTS_MAX:
            return
        if books.coming.get(role, 0) >= wanted[role] or not books.may_gain(role, want):
            continue
        tried += 1
        victims = find_victims(
            state, books, (role, want), draft.now_ns // draft.settings.reclaim_look_ns
        )
        if victims is None:
            continue
        grace_ns = draft.settings.reclaim_grace_ns
        by_owner: dict[tuple[FrameworkId, str], list[str]] = {}
        for number, task in enumerate(victims.tasks):
            reclaim = Reclaim(role, draft.now_ns + grace_ns, int(number == 0))
            draft.soft.append(ReclaimBegun(task.key, reclaim))
            put(by_owner, (task.framework_id, task.role), task.task_id)
        for (owner, of_role), task_ids in by_owner.items():
            recall = Recall(victims.agent.id, of_role, tuple(task_ids), grace_ns)
            put(draft.recalls, owner, recall)
        return


class Books:
    """Shares, entitlements and guarantees, while tasks are marked to go."""

    def __init__(self, state: State, wanting: list[str], scarce: frozenset[str]) -> None:
        self.scarce = scarce  # agents that have it are for wants of it
        self._total = shared_capacity(state)
        self._held = held_by_role(state)
        self._parts = entitle([*self._held, *wanting], state.weights)
        self._quotas = state.quotas
        self._rations = Rations(state.quotas, charged_by_role(state), state.capacity)
        self.coming: dict[str, int] = {}  # tasks that room is being made for
        for key, reclaim in state.soft.reclaims.items():
            task = state.tasks.get(key)
            if task is not None and not task.is_ended:
                self._hand_over(task, reclaim)

    def _hand_over(self, task: Task, reclaim: Reclaim) -> None:
        """Count what was asked back as if it had changed hands."""
        amounts = task.resources.quantities
        self.coming[reclaim.role] = self.coming.get(reclaim.role, 0) + reclaim.makes_room
        charge(self._held.setdefault(reclaim.role, {}), amounts)
        self._rations.charge(reclaim.role, task.unreserved.quantities)
        credit(self._held[task.role], amounts)
        self._rations.take_back(task.role, task.unreserved.quantities)

    def surplus(self, role: str) -> int:
        """Return how much more than its part a role has, below 0 when it is less."""
        return self._share(self._held.get(role, {})) - self._parts[role]

    def may_gain(self, role: str, want: Want) -> bool:
        """Whether one task more leaves a role within its part."""
        held = self._held.get(role, {})
        names = {**held, **want.amounts}
        more = {name: held.get(name, 0) + want.amounts.get(name, 0) for name in names}
        return self._share(more) <= self._parts[role]

    def give_up(self, task: Task) -> bool:
        """Take a task off its role if that leaves it its part, and all above it their promises."""
        amounts = task.resources.quantities
        held = self._held.get(task.role, {})
        less = {name: held[name] - amounts.get(name, 0) for name in held}
        if self._share(less) < self._parts[task.role]:
            return False
        for branch in lineage(task.role):
            quota = self._quotas.get(branch)
            branch_held = self._rations.held(branch)
            for name, promised in quota.guarantee.items() if quota else ():
                if name in amounts and branch_held.get(name, 0) - amounts[name] < promised:
                    return False
        self._held[task.role] = less
        self._rations.take_back(task.role, task.unreserved.quantities)
        return True

    def restore(self, tasks: list[Task]) -> None:
        """Undo `give_up`."""
        for task in tasks:
            amounts = task.resources.quantities
            held = self._held[task.role]
            self._held[task.role] = {name: held[name] + amounts.get(name, 0) for name in held}
            self._rations.charge(task.role, task.unreserved.quantities)

    def _share(self, amounts: dict[str, int]) -> int:
        shares = (
            amount * WHOLE // whole
            for name, amount in amounts.items()
            if (whole := self._total.get(name, 0)) > 0
        )
        return max(shares, default=0)


def find_victims(state: State, books: Books, wish: tuple[str, Want], turn: int) -> Victims | None:
    """Return the cheapest tasks whose end makes room: newest and of lowest priority first.

    Each turn looks at another part of the agents.
    """
    _, want = wish
    agent_ids = list(state.soft.agent_links)
    best: Victims | None = None
    start = turn * AGENTS_MAX % max(1, len(agent_ids))
    for agent_id in (*agent_ids[start:], *agent_ids[:start])[:AGENTS_MAX]:
        agent = state.agents[agent_id]
        if not agent.is_active or not is_admitted(want.constraints, agent.id, agent):
            continue
        if not asks_for(scarce_of(agent, books.scarce), want.amounts):
            continue
        victims = _victims_on(state, books, agent, wish)
        if victims is not None and (best is None or victims.cost < best.cost):
            best = victims
    return best


def _victims_on(state: State, books: Books, agent: Agent, wish: tuple[str, Want]) -> Victims | None:
    role, want = wish
    free = free_of(state, agent)
    tasks = [state.tasks[key] for key in agent.tasks if key not in state.soft.reclaims]
    candidates = sorted(
        (
            task
            for task in tasks
            if task.description.is_preemptible and task.kill is None and task.role != role
        ),
        key=lambda task: (task.description.priority, -task.launch),
    )
    going: list[Task] = []
    for task in candidates:
        if want.fits(free.quantities):
            break
        if books.give_up(task):
            going.append(task)
            free = free + task.unreserved  # what it draws of reservations stays reserved
    books.restore(going)
    if going and want.fits(free.quantities):
        return Victims(agent, tuple(going))
    return None


def _waiting(state: State) -> Iterator[tuple[str, Want, int]]:
    """Return what roles that reclaim have asked for and are not offered."""
    for framework_id, by_role in state.soft.demands.items():
        for role, demand in by_role.items():
            is_silent = role in state.frameworks[framework_id].suppressed
            if is_silent or is_resting(state, framework_id, role):
                continue
            if policy_of(state, role).reclaims:
                for want, left in zip(demand.wants, demand.left, strict=True):
                    if left:
                        yield role, want, left
