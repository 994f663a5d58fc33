"""Wishes: what each framework would take of an agent, while one pass gives."""

from collections.abc import Mapping
from dataclasses import replace

from master.allocator.allocate import Grant, Supply
from master.allocator.demand import NOTHING, Demand, take
from master.core.disks import disk
from master.core.filters import is_filtered
from master.core.policies import policy_of
from master.core.scarce import asks_for, do_ask_for, scarce_of
from master.core.settings import Settings
from master.core.standing import demand_of
from master.core.state import State
from protocol.ids import AgentId, FrameworkId
from protocol.resources import Resources


class Wishes:
    """What frameworks have asked for and refused, and what is too little for anybody.

    What the pass grants is taken off what they asked for here; the offers do so for good.
    """

    def __init__(self, state: State, settings: Settings, now_ns: int) -> None:
        self._state = state
        self._settings = settings
        self._now_ns = now_ns
        self._demands: dict[tuple[str, str], Demand] = {}  # not in the state yet
        self._left: dict[tuple[str, str], list[int]] = {}
        self._taken: tuple[int, int] = 0, 0  # of the part that was asked for last

    def state_demand(self, framework_id: str, role: str, demand: Demand) -> list[int]:
        """Let a demand count before it is in the state; return what is left of it, kept current."""
        self._demands[framework_id, role] = demand
        left = self._left[framework_id, role] = demand.left
        return left

    def part_for(
        self, framework_id: str, role: str, supply: Supply, step: Mapping[str, int]
    ) -> Supply | None:
        demand = self._demands.get((framework_id, role)) or demand_of(
            self._state, FrameworkId(framework_id), role
        )
        scarce = self.scarce_for(framework_id, role, supply)
        if demand is None:
            may = not scarce and self._may_offer(framework_id, role, supply)
            return supply if may else None
        left = self._left.get((framework_id, role))
        if left is None:
            left = self._left[framework_id, role] = demand.left
        if scarce:
            pairs = zip(demand.wants, left, strict=True)
            left = [some if asks_for(scarce, want.amounts) else 0 for want, some in pairs]
        most = self._part(demand, left, (role, supply), NOTHING)
        if most is None or not self._may_offer(framework_id, role, most):
            return None
        return self._part(demand, left, (role, supply), step)

    def grant(self, grant: Grant) -> None:
        left = self._left.get((grant.framework_id, grant.role))
        if left is not None:
            place, count = self._taken
            left[place] -= count

    def is_refused(self, framework_id: str, role: str, part: Supply) -> bool:
        """Whether the framework does not want so much of the agent now."""
        of_framework = self._state.soft.refusals.get(FrameworkId(framework_id))
        if of_framework is None:
            return False
        refusal = of_framework.get((role, AgentId(part.agent_id)))
        return (
            refusal is not None
            and refusal.until_ns > self._now_ns
            and refusal.resources.contains(part.everything + disk(part.volume_bytes))
        )

    def is_worth_offering(self, resources: Resources) -> bool:
        scalars, settings = resources.scalars, self._settings
        return (
            scalars.get("cpus", 0) >= settings.cpus_min
            and scalars.get("mem", 0) >= settings.memory_bytes_min
        )

    def is_large_enough(self, role: str, resources: Resources) -> bool:
        """Whether a role's policy lets so little be offered in it."""
        if not self._state.policies:
            return True
        amounts = resources.quantities
        least = policy_of(self._state, role).least
        return all(amounts.get(name, 0) >= amount for name, amount in least.items())

    def is_filtered(self, framework_id: str, role: str, supply: Supply) -> bool:
        """Whether the framework cannot use this, as it said when it subscribed."""
        filters = self._state.soft.filters.get(FrameworkId(framework_id))
        if not filters:
            return False
        agent = self._state.agents[AgentId(supply.agent_id)]
        return is_filtered(filters, role, agent, supply.everything)

    def scarce_for(self, framework_id: str, role: str, supply: Supply) -> tuple[str, ...]:
        """Return what of the agent is scarce, and closes it to who does not ask for that.

        Filters ask for it, too; and a reservation opens its agent to its role.
        """
        if not self._settings.scarce_resources or supply.reserved:
            return ()
        agent = self._state.agents[AgentId(supply.agent_id)]
        names = scarce_of(agent, self._settings.scarce_resources)
        filters = self._state.soft.filters.get(FrameworkId(framework_id), ())
        return () if not names or do_ask_for(names, filters, role) else names

    def _may_offer(self, framework_id: str, role: str, supply: Supply) -> bool:
        return (
            not self.is_refused(framework_id, role, supply)
            and self.is_large_enough(role, supply.everything)
            and not self.is_filtered(framework_id, role, supply)
        )

    def _part(
        self,
        demand: Demand,
        left: list[int],
        whole: tuple[str, Supply],
        step: Mapping[str, int],
    ) -> Supply | None:
        """Return what serves the first want that the agent can serve, but nothing too small.

        What is reserved goes first: nobody else may have it.
        """
        role, supply = whole
        agent = self._state.agents[AgentId(supply.agent_id)]
        amounts = supply.everything.quantities
        taken = take(demand.wants, left, (agent.id, agent), amounts, step)
        if taken is None:
            return None
        self._taken = place, count = taken
        caps = dict.fromkeys(amounts, 0)
        for name, amount in demand.wants[place].amounts.items():
            caps[name] = count * amount
        caps["cpus"] = max(caps["cpus"], self._settings.cpus_min)
        caps["mem"] = max(caps["mem"], self._settings.memory_bytes_min)
        for name, amount in policy_of(self._state, role).least.items():
            caps[name] = max(caps.get(name, 0), amount)
        if not supply.reserved:
            return Supply(supply.agent_id, supply.resources.capped(caps))
        stocks = []
        for stock in supply.reserved:
            part = stock.resources.capped(caps)
            for name, amount in part.quantities.items():
                caps[name] -= amount
            if part or stock.volumes:
                stocks.append(replace(stock, resources=part))
        return Supply(supply.agent_id, supply.resources.capped(caps), tuple(stocks))
