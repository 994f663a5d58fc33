"""Shortages: what stands between a framework and what it has asked for."""

from collections.abc import Iterator, Mapping

from master.allocator.demand import Demand, Want
from master.core.records import Agent
from master.core.scarce import asks_for, scarce_of
from master.core.state import State, free_of
from protocol.constraints import format_constraints, is_admitted
from protocol.messages.operator import Finding
from protocol.quantities import format_quantities

WANTS_NAMED_MAX = 5


def explain_demand(
    state: State, role: str, demand: Demand, scarce: frozenset[str]
) -> Iterator[Finding]:
    """Say what is asked for, what of it is offered, and what no agent has."""
    pairs = [
        (want, count, left)
        for (want, count), left in zip(demand.all_left, demand.left, strict=True)
        if count
    ]
    if not pairs:
        yield Finding(role, "WANTS_NOTHING", "it has asked for nothing in this role")
    for want, count, left in pairs[:WANTS_NAMED_MAX]:
        tasks = "1 task" if count == 1 else f"{count} tasks"
        offered = "offered it" if not left else f"{left} not offered it yet"
        yield Finding(role, "DEMAND", f"it asks for {tasks} of {describe_want(want)}: {offered}")
    for want, _, left in pairs[:WANTS_NAMED_MAX]:
        if left and (text := find_shortage(state, want, scarce)):
            yield Finding(role, "SHORTAGE", text)


def find_shortage(state: State, want: Want, scarce: frozenset[str]) -> str:
    """Return what no agent can give that a task needs, empty when one can.

    What is lent or kept for others counts as free here: it may come back.
    """
    agents = [state.agents[agent_id] for agent_id in state.soft.agent_links]
    admitted = [
        each
        for each in agents
        if is_admitted(want.constraints, each.id, each)
        and asks_for(scarce_of(each, scarce), want.amounts)
    ]
    if not admitted:
        where = f" with {format_constraints(want.constraints)}" if want.constraints else ""
        return f"no agent offers resources{where}"
    free = [(each.total - each.allocated).quantities for each in admitted]
    if any(want.fits(amounts) for amounts in free):
        return ""
    for name, amount in want.amounts.items():
        most = max(amounts.get(name, 0) for amounts in free)
        if most < amount:
            wanted, found = (format_quantities({name: each}) for each in (amount, most))
            return f"no agent offers {wanted} (the most is {found.partition(':')[2]})"
    return f"no agent offers all of {format_quantities(want.amounts)} at once"


def reason_of_agent(state: State, agent: Agent, demand: Demand) -> tuple[str, str] | None:
    """Return why an agent serves nothing that is asked for, None when it does."""
    free: Mapping[str, int] = free_of(state, agent).quantities
    wanted = [want for want, left in zip(demand.wants, demand.left, strict=True) if left]
    if not wanted:
        return "NOT_NEEDED", "free: it has all it asked for, or asked for nothing"
    admitted = [each for each in wanted if is_admitted(each.constraints, agent.id, agent)]
    if not admitted:
        return "CONSTRAINED", f"not {format_constraints(wanted[0].constraints)}"
    if not any(want.fits(free) for want in admitted):
        return "TOO_SMALL", f"with less free than {format_quantities(admitted[0].amounts)}"
    return None


def describe_want(want: Want) -> str:
    """Return a task's size, and where it may be."""
    where = f" ({format_constraints(want.constraints)})" if want.constraints else ""
    return f"{format_quantities(want.amounts)}{where}"
