"""Views: what operators and metrics see of the state; they share nothing that `apply` changes."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from typing import TypeVar

from master.allocator.tree import lineage, sum_up
from master.core.inverse import answers_of
from master.core.maintenance import view_window
from master.core.records import Agent, Framework, Offer, Task
from master.core.standing import TASKS, wanted_by_role
from master.core.state import (
    State,
    charge,
    charged_by_role,
    offered_of,
    shared_capacity,
    weight_of,
)
from protocol.ids import AgentId, FrameworkId, task_key
from protocol.messages.operator import (
    AgentView,
    FrameworkView,
    OfferView,
    PolicyView,
    QuotaView,
    RoleView,
    TaskView,
    WindowView,
)
from protocol.messages.values import Quantity
from protocol.quantities import listed_quantities
from protocol.resources import EMPTY, Resources, dominant_share

Amounts = dict[str, int]
VOLUME_STATES = ("creating", "ready", "resizing", "destroying")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: at most so many, in the order of their ids, after the one named.

    Only what is on the page is viewed, so that a large cluster can be listed in small turns.
    Tasks are in the order of their launches, and `after` is such a number.
    """

    after: str
    count_max: int

    def take(self, records: Iterable[T], key: Callable[[T], str]) -> list[T]:
        return nsmallest(self.count_max, (r for r in records if key(r) > self.after), key=key)

    def take_tasks(self, live: Iterable[Task], past: Iterable[Task]) -> list[Task]:
        """`live` ones come in the order of their launches already."""
        after = int(self.after) if self.after.isdecimal() else 0
        first = islice((task for task in live if task.launch > after), self.count_max)
        others = nsmallest(
            self.count_max, (task for task in past if task.launch > after), key=_launch_of
        )
        return sorted((*first, *others), key=_launch_of)[: self.count_max]


@dataclass(frozen=True, slots=True)
class Totals:
    """Numbers of the whole cluster; amounts as in `Resources.scalars`."""

    capacity: Amounts  # of all agents that are not unreachable
    allocated: Amounts
    offered: Amounts
    reserved: Amounts  # of the capacity, in use or not
    agents: dict[str, int]  # by state, as the other counts
    volumes: dict[str, int]
    frameworks: dict[str, int]
    tasks: dict[str, int]
    tasks_ended: dict[str, int]  # ever
    offers: int
    roles: tuple[RoleView, ...]
    backed_off: int  # frameworks, in any of their roles
    agents_held: int  # silent for too long, and not given up because too many are
    offers_taken: int  # ever, by this leader: they were shared, and somebody else accepted
    placements: dict[str, int]  # of transactions, likewise
    reclaims: int  # tasks that were asked back and have not ended


def view_agents(state: State, page: Page | None = None) -> tuple[AgentView, ...]:
    agents: Iterable[Agent] = state.agents.values()
    if page is not None:
        agents = page.take(agents, _id_of)
    return tuple(_view_agent(state, agent) for agent in agents)


def view_frameworks(
    state: State, *, is_all: bool, page: Page | None = None
) -> tuple[FrameworkView, ...]:
    """Return the frameworks; those that were removed too if asked for."""
    frameworks: Iterable[Framework] = (
        each for each in state.frameworks.values() if is_all or not each.is_removed
    )
    if page is not None:
        frameworks = page.take(frameworks, _id_of)
    return tuple(_view_framework(state, framework) for framework in frameworks)


def view_tasks(
    state: State,
    *,
    is_all: bool,
    framework_id: str = "",
    task: str = "",
    agent_id: str = "",
    page: Page | None = None,
) -> tuple[TaskView, ...]:
    """Return tasks by launch, of one framework, agent or name (`task`, `framework/task`) if given.

    Those that have ended are among them if asked for, or if one is asked for by name.
    """
    owner, slash, task_id = task.rpartition("/")
    if slash:
        framework_id = framework_id or owner
    is_all = is_all or bool(task)
    live = (
        each
        for each in _live_tasks(state, framework_id)
        if (is_all or not each.is_ended)
        and (not task or each.task_id == task_id)
        and agent_id in ("", each.agent_id)
    )
    past = (
        each
        for each in _past_tasks(state, framework_id)
        if is_all and (not task or each.task_id == task_id) and agent_id in ("", each.agent_id)
    )
    if page is not None:
        found = page.take_tasks(live, past)
    else:
        found = sorted((*live, *past), key=_launch_of)
    return tuple(_view_task(state, each) for each in found)


def view_offers(state: State, page: Page | None = None) -> tuple[OfferView, ...]:
    offers: Iterable[Offer] = state.soft.offers.values()
    if page is not None:
        offers = page.take(offers, _id_of)
    return tuple(_view_offer(state, offer) for offer in offers)


def view_roles(state: State, page: Page | None = None) -> tuple[RoleView, ...]:
    """Return the roles that a framework is in, that hold something or have it reserved, or that
    have a weight.

    Those above them in the tree stand before them; each has what all below it hold.
    """
    frameworks: dict[str, int] = {}
    for framework in state.frameworks.values():
        for role in () if framework.is_removed else framework.roles:
            frameworks[role] = frameworks.get(role, 0) + 1
    held = sum_up(state.allocated)
    named = {**frameworks, **state.allocated, **state.weights, **state.reserved}
    names = sorted({branch for role in named for branch in lineage(role)})
    if page is not None:
        names = page.take(names, str)
    total = Resources(shared_capacity(state))
    wanted = sum_up(wanted_by_role(state))
    views = []
    for role in names:
        asked = wanted.get(role, {})
        allocated = Resources(held.get(role, {}))
        share, dominant = dominant_share(allocated, total)
        views.append(
            RoleView(
                role=role,
                weight_milli=weight_of(state, role),
                frameworks=frameworks.get(role, 0),
                allocated=allocated,
                dominant_share_millionths=share,
                dominant_resource=dominant,
                wanted=listed_quantities({key: asked[key] for key in asked if key != TASKS}),
                wanted_tasks=asked.get(TASKS, 0),
            )
        )
    return tuple(views)


def view_quotas(state: State, page: Page | None = None) -> tuple[QuotaView, ...]:
    """Return the quotas with what is used and offered of what they speak of."""
    names = sorted(state.quotas)
    if page is not None:
        names = page.take(names, str)
    used = sum_up(charged_by_role(state, is_offered=False))
    held = sum_up(charged_by_role(state))
    views = []
    for role in names:
        quota = state.quotas[role]
        mine, all_ = used.get(role, {}), held.get(role, {})
        bounded = sorted({**quota.guarantee, **quota.limit})
        views.append(
            QuotaView(
                role=role,
                guarantee=listed_quantities(quota.guarantee),
                limit=listed_quantities(quota.limit),
                used=tuple(Quantity(name, mine.get(name, 0)) for name in bounded),
                offered=tuple(
                    Quantity(name, all_.get(name, 0) - mine.get(name, 0)) for name in bounded
                ),
            )
        )
    return tuple(views)


def view_policies(state: State, page: Page | None = None) -> tuple[PolicyView, ...]:
    names = sorted(state.policies)
    if page is not None:
        names = page.take(names, str)
    return tuple(
        PolicyView(role, listed_quantities(each.least), each.sharers, each.is_open, each.reclaims)
        for role in names
        for each in (state.policies[role],)
    )


def view_windows(state: State, page: Page | None = None) -> tuple[WindowView, ...]:
    names = sorted(state.windows)
    if page is not None:
        names = page.take(names, str)
    return tuple(view_window(state, state.windows[name]) for name in names)


def totals(state: State) -> Totals:
    """Return the numbers; cheap, whatever the number of tasks."""
    allocated: Amounts = {}
    for amounts in state.allocated.values():
        charge(allocated, amounts)
    offered: Amounts = {}
    for by_role in state.soft.offered.values():
        for amounts in by_role.values():
            charge(offered, amounts)
    reserved: Amounts = {}
    for amounts in state.reserved.values():
        charge(reserved, amounts)
    agents = dict.fromkeys(("connected", "disconnected", "unreachable"), 0)
    volumes = dict.fromkeys(VOLUME_STATES, 0)
    for agent in state.agents.values():
        agents[agent_state(state, agent)] += 1
        for volume in agent.volumes.values():
            volumes[volume.state.name.lower()] += 1
    frameworks = dict.fromkeys(("connected", "disconnected", "left", "removed"), 0)
    for framework in state.frameworks.values():
        frameworks[framework_state(framework)] += 1
    return Totals(
        capacity=dict(state.capacity),
        allocated=allocated,
        offered=offered,
        reserved=reserved,
        agents=agents,
        volumes=volumes,
        frameworks=frameworks,
        tasks=dict(state.task_counts),
        tasks_ended=dict(state.ended_counts),
        offers=len(state.soft.offers),
        roles=view_roles(state),
        offers_taken=state.soft.offers_taken,
        placements={
            "committed": state.soft.placements_made,
            "conflict": state.soft.placements_lost,
        },
        reclaims=len(state.soft.reclaims),
        backed_off=sum(
            any(each.is_paused for each in by_role.values())
            for by_role in state.soft.back_offs.values()
        ),
        agents_held=sum(zone.absent for zone in state.soft.held),
    )


def agent_state(state: State, agent: Agent) -> str:
    if agent.is_unreachable:
        return "unreachable"
    return "connected" if agent.id in state.soft.agent_links else "disconnected"


def duty_of(agent: Agent) -> str:
    """Return what operators made of the agent."""
    if agent.gone:
        return "gone"
    if agent.drain:
        return "draining" if agent.tasks else "drained"
    return "deactivated" if agent.is_deactivated else "active"


def framework_state(framework: Framework) -> str:
    if framework.is_removed:
        return "removed"
    if framework.has_left:
        return "left"
    return "connected" if framework.is_connected else "disconnected"


def _id_of(record: Agent | Framework | Offer) -> str:
    return record.id


def _launch_of(task: Task) -> int:
    return task.launch


def _view_agent(state: State, agent: Agent) -> AgentView:
    drain = agent.drain
    asked, accepted, declined = answers_of(state, agent.id)
    return AgentView(
        agent_id=agent.id,
        hostname=agent.hostname,
        address=agent.address,
        state=agent_state(state, agent),
        total=agent.total,
        allocated=agent.allocated,
        offered=offered_of(state, agent.id),
        attributes=agent.attributes,
        tasks=len(agent.tasks),
        registered_ns=agent.registered_ns,
        version=agent.version,
        isolation=agent.isolation,
        duty=duty_of(agent),
        by=drain.by if drain else "",
        drain_ns=drain.began_ns if drain else 0,
        kill_ns=drain.kill_ns if drain else 0,
        marks_gone=drain.marks_gone if drain else False,
        asked=asked,
        accepted=accepted,
        declined=declined,
    )


def _view_framework(state: State, framework: Framework) -> FrameworkView:
    allocated: Amounts = {}
    for amounts in framework.allocated.values():
        charge(allocated, amounts)
    return FrameworkView(
        framework_id=framework.id,
        name=framework.name,
        principal=framework.principal,
        user=framework.user,
        roles=framework.roles,
        state=framework_state(framework),
        tasks=framework.live,
        offers=len(state.soft.offers_by_framework.get(framework.id, ())),
        allocated=Resources(allocated),
        subscribed_ns=framework.subscribed_ns,
        failover_timeout_ns=framework.failover_timeout_ns,
        hostname=framework.hostname,
    )


def _live_tasks(state: State, framework_id: str) -> Iterable[Task]:
    """Return what is not in a history, in the order of launches."""
    if not framework_id:
        return state.tasks.values()
    framework = state.frameworks.get(FrameworkId(framework_id))
    tasks = framework.tasks if framework else ()
    return (state.tasks[task_key(framework_id, task_id)] for task_id in tasks)


def _past_tasks(state: State, framework_id: str) -> Iterator[Task]:
    for framework in state.frameworks.values():
        if framework_id in ("", framework.id):
            yield from framework.history.values()


def _view_task(state: State, task: Task) -> TaskView:
    agent = state.agents.get(task.agent_id)
    return TaskView(
        status=task.status,
        description=task.description,
        role=task.role,
        agent_address=agent.address if agent else "",
        agent_hostname=agent.hostname if agent else "",
        launched_ns=task.launched_ns,
        framework_name=state.frameworks[task.framework_id].name,
        wanted=task.resize.resources if task.resize else EMPTY,
    )


def _view_offer(state: State, offer: Offer) -> OfferView:
    return OfferView(
        offer_id=offer.id,
        framework_id=offer.framework_id,
        agent_id=offer.agent_id,
        role=offer.role,
        resources=offer.resources,
        made_ns=offer.made_ns,
        hostname=state.agents[AgentId(offer.agent_id)].hostname,
        rival_of=offer.rival_of or "",
    )
