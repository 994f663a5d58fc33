"""Explaining: why a framework or a role is, or is not, offered anything."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from master.allocator.allocate import Ledger, Supply
from master.allocator.rations import Quota, Rations
from master.allocator.sorter import SHARE_UNITS, Sorter
from master.allocator.tree import is_within, lineage
from master.core.allocation import standings, supply_of
from master.core.explaining_tasks import explain_task, find_launch
from master.core.filters import describe_filters
from master.core.policies import policy_of
from master.core.records import Agent, Framework
from master.core.scarce import asks_for
from master.core.settings import Settings
from master.core.shortages import explain_demand, reason_of_agent
from master.core.standing import back_off_of, demand_of
from master.core.state import State, charged_by_role, shared_capacity, weight_of
from master.core.validity import format_duration
from master.core.wishes import Wishes
from protocol.ids import FrameworkId, TaskId
from protocol.messages.operator import Explain, Finding
from protocol.quantities import format_quantities

EXAMPLES_MAX = 3
NAMED_MAX = 5  # roles or frameworks that are named as served earlier
SECOND_NS = 1_000_000_000


def explain(
    settings: Settings, state: State, question: Explain, now_ns: int
) -> tuple[Finding, ...]:
    """Return what stands in the way of a framework's roles, or how a role stands.

    Of a task: what became of it, and what it waits for. Nothing is found of a framework or a task
    that is not known.
    """
    if question.task_id:
        task = find_launch(state, FrameworkId(question.framework_id), TaskId(question.task_id))
        return () if task is None else tuple(explain_task(state, task, now_ns))
    explainer = _Explainer(state, settings, now_ns)
    if not question.framework_id:
        return tuple(explainer.explain_role(question.role))
    framework = state.frameworks.get(FrameworkId(question.framework_id))
    return () if framework is None else tuple(explainer.explain_framework(framework))


@dataclass(frozen=True, slots=True)
class _Reason:
    code: str
    text: str


class _Explainer:
    def __init__(self, state: State, settings: Settings, now_ns: int) -> None:
        self._state, self._now_ns = state, now_ns
        self._taking_part = standings(state, settings.fairness_excludes)
        self._order = Ledger(self._taking_part).order()
        self._wishes = Wishes(state, settings, now_ns)
        self._rations = Rations(state.quotas, charged_by_role(state), state.capacity)
        self._settings = settings

    def explain_framework(self, framework: Framework) -> Iterator[Finding]:
        name = framework.id
        if framework.is_removed:
            yield Finding(name, "REMOVED", f"it was removed: {framework.removal}")
            return
        if framework.has_left:
            yield Finding(name, "LEFT", "its scheduler has left for good; it ends with its tasks")
            return
        if framework.id not in self._state.soft.framework_links:
            yield Finding(name, "NOT_CONNECTED", "its scheduler is not connected to the leader")
            return
        if held := len(self._state.soft.offers_by_framework.get(framework.id, ())):
            text = f"it holds {count_of(held, 'offer')} that it has not answered"
            yield Finding(name, "OFFERS_OPEN", text)
        for role in framework.roles:
            if role in framework.suppressed:
                text = "it wants no offers in this role until it revives them"
                yield Finding(role, "SUPPRESSED", text)
                continue
            if policy_of(self._state, role).is_open:
                yield Finding(role, "OPEN", "nothing is offered in it: it makes transactions")
                continue
            yield from self._explain_reclaims(role)
            yield from self._explain_back_off(framework.id, role)
            demand = demand_of(self._state, framework.id, role)
            if demand is not None:
                scarce = self._settings.scarce_resources
                yield from explain_demand(self._state, role, demand, scarce)
            yield from self._explain_turn(role)
            yield from self._explain_rank(framework.id, role)
            yield from self._explain_quota(role)
            yield from self._explain_agents(framework.id, role)

    def explain_role(self, role: str) -> Iterator[Finding]:
        inside = [
            each
            for each in self._state.frameworks.values()
            if not each.is_removed and any(role in lineage(mine) for mine in each.roles)
        ]
        text = f"{count_of(len(inside), 'framework')} in it or below it"
        yield Finding(role, "FRAMEWORKS", text, len(inside), _named(each.id for each in inside))
        wanting = {claim.role for claim in self._taking_part.claimants}
        if not any(role in lineage(each) for each in wanting):
            yield Finding(role, "NOBODY_WANTS", "none of them is connected and wants offers in it")
        elif role in wanting:
            yield from self._explain_turn(role)
        yield from self._explain_quota(role)

    def _explain_turn(self, role: str) -> Iterator[Finding]:
        """Say how many roles are served before this one, and what its share is."""
        order = list(dict.fromkeys(each for each, _ in self._order))
        if role not in order:
            return
        place = order.index(role) + 1
        share = Sorter(shared_capacity(self._state))
        share.add(role, self._rations.held(role), weight_of(self._state, role))
        percent = 100 * share.share_of(role) / SHARE_UNITS
        before = order[: place - 1]
        text = (
            f"number {place} of {len(order)} roles to be served, at {percent:.1f}% over its weight"
        )
        yield Finding(role, "TURN", text, len(before), _named(before, NAMED_MAX))

    def _explain_reclaims(self, role: str) -> Iterator[Finding]:
        found = [key for key, each in self._state.soft.reclaims.items() if each.role == role]
        if found:
            text = f"{count_of(len(found), 'task')} of others asked back for it: {found[0]}"
            more = ", …" if len(found) > 1 else ""
            yield Finding(role, "RECLAIMING", text + more)

    def _explain_back_off(self, framework_id: FrameworkId, role: str) -> Iterator[Finding]:
        back_off = back_off_of(self._state, framework_id, role)
        if back_off is not None and back_off.is_paused:
            seconds = -(-(back_off.until_ns - self._state.now_ns) // SECOND_NS)
            text = (
                f"backed off: {back_off.rounds} times in a row it used nothing of what it was "
                f"offered; nothing is for {max(1, seconds)} s more"
            )
            yield Finding(role, "BACKED_OFF", text)

    def _explain_rank(self, framework_id: str, role: str) -> Iterator[Finding]:
        """Say who in the role is served earlier."""
        order = [each for of_role, each in self._order if of_role == role]
        if framework_id in order and len(order) > 1:
            place = order.index(framework_id) + 1
            text = f"number {place} of {len(order)} frameworks in the role"
            before = order[: place - 1]
            yield Finding(role, "RANK", text, len(before), _named(before, NAMED_MAX))

    def _explain_quota(self, role: str) -> Iterator[Finding]:
        for branch in lineage(role):
            quota = self._state.quotas.get(branch)
            if quota is not None:
                yield from self._explain_limit(branch, quota)
        if owed := {name: amount for name, amount in self._rations.owed(role).items() if amount}:
            text = f"it goes first: it lacks {format_quantities(owed)} of what it is guaranteed"
            yield Finding(role, "GUARANTEED", text)

    def _explain_limit(self, branch: str, quota: Quota) -> Iterator[Finding]:
        held = self._rations.held(branch)
        for name, limit in sorted(quota.limit.items()):
            has = held.get(name, 0)
            is_reached = has >= limit
            text = (
                f"{branch} has {format_quantities({name: has})} of its limit of "
                f"{format_quantities({name: limit})}"
            )
            yield Finding(branch, "LIMIT_REACHED" if is_reached else "LIMIT", text)

    def _explain_agents(self, framework_id: str, role: str) -> Iterator[Finding]:
        """Say of every agent why it is not offered now, those of one reason together."""
        found: dict[_Reason, list[str]] = {}
        for agent in self._state.agents.values():
            found.setdefault(self._reason_of(agent, framework_id, role), []).append(agent.id)
        for reason, agents in sorted(found.items(), key=lambda item: -len(item[1])):
            yield Finding(role, reason.code, reason.text, len(agents), _named(agents))

    def _reason_of(self, agent: Agent, framework_id: str, role: str) -> _Reason:
        state = self._state
        if agent.is_unreachable:
            return _Reason("UNREACHABLE", "unreachable")
        if agent.id not in state.soft.agent_links:
            return _Reason("NOT_LINKED", "not connected to the leader")
        if not agent.is_active:
            return _Reason("NOT_ACTIVE", "deactivated or drained by an operator")
        supply = supply_of(state, agent)
        free = supply.resources
        own = tuple(stock for stock in supply.reserved if is_within(role, stock.role))
        if not own and not self._wishes.is_worth_offering(free):
            holders = [
                state.soft.offers[each].framework_id
                for each in state.soft.offers_by_agent.get(agent.id, ())
            ]
            if framework_id in holders:
                return _Reason("OFFERED_TO_IT", "offered to it already")
            if holders:
                return _Reason("OFFERED", "offered to others, who have not answered")
            if supply.reserved:
                return _Reason("RESERVED", "free only where it is reserved for other roles")
            return _Reason("IN_USE", f"in use but for less than {self._smallest()}")
        caps: Mapping[str, int] = {}
        if state.quotas:
            caps = self._rations.caps(role, free.quantities, is_owed=False)
        supply = Supply(agent.id, free.capped(caps), own)
        if not own and not self._wishes.is_worth_offering(supply.resources):
            return _Reason("KEPT_BY_QUOTAS", "kept back by quotas: limits, or others' guarantees")
        back_off = back_off_of(state, FrameworkId(framework_id), role)
        if back_off is not None and back_off.is_paused:
            return _Reason("BACKED_OFF", "free, but it is backed off")
        if unfit := self._unfit(agent, framework_id, role, supply):
            return unfit
        if self._wishes.part_for(framework_id, role, supply, {}) is None:
            refusal = state.soft.refusals.get(FrameworkId(framework_id), {}).get((role, agent.id))
            if refusal is None:  # what quotas leave is too little for what it asks for
                return _Reason("KEPT_BY_QUOTAS", "kept back by quotas: limits, or guarantees")
            seconds = max(1, (refusal.until_ns - self._now_ns) // SECOND_NS)
            limit = format_duration(_rounded(seconds) * SECOND_NS)
            return _Reason("REFUSED", f"refused by it for up to {limit} more; a revive ends that")
        return _Reason("FREE", "free: offered in its turn")

    def _unfit(self, agent: Agent, framework_id: str, role: str, supply: Supply) -> _Reason | None:
        """Return why it is not what the framework, or its role, takes."""
        state = self._state
        demand = demand_of(state, FrameworkId(framework_id), role)
        scarce = self._wishes.scarce_for(framework_id, role, supply)
        pairs = zip(demand.wants, demand.left, strict=True) if demand is not None else ()
        if scarce and not any(left and asks_for(scarce, want.amounts) for want, left in pairs):
            return _Reason("SCARCE", f"kept for those who ask for their {' or '.join(scarce)}")
        if demand is not None and (unfit := reason_of_agent(state, agent, demand)):
            return _Reason(*unfit)
        if self._wishes.is_filtered(framework_id, role, supply):
            known = describe_filters(state.soft.filters[FrameworkId(framework_id)], role)
            return _Reason("FILTERED", f"not what it said it can use: {known}")
        if not self._wishes.is_large_enough(role, supply.resources):
            least = format_quantities(policy_of(state, role).least)
            return _Reason("BELOW_LEAST", f"with less free than the role is offered: {least}")
        return None

    def _smallest(self) -> str:
        settings = self._settings
        return format_quantities({"cpus": settings.cpus_min, "mem": settings.memory_bytes_min})


def count_of(number: int, what: str) -> str:
    """Return `1 offer` or `2 offers`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _rounded(seconds: int) -> int:
    """Return at least so many: few different ones, so that agents group."""
    return next((step for step in (1, 5, 15, 60, 300, 3600, 86_400) if seconds <= step), seconds)


def _named(names: Iterator[str] | list[str], most: int = EXAMPLES_MAX) -> tuple[str, ...]:
    return tuple(name for _, name in zip(range(most), names, strict=False))
