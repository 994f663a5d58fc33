"""Requests: frameworks state what they want, and are offered it at once if it is free."""

from dataclasses import dataclass

from master.allocator.demand import Demand, Want
from master.core.alarms import AlarmKind
from master.core.allocation import draft_answer
from master.core.draft import Draft, Outcome
from master.core.filters import check_constraints
from master.core.policies import policy_of
from master.core.reasons import Reason
from master.core.settings import Settings
from master.core.standing import DemandStated, cover_offers, demand_of
from master.core.state import State, find_framework
from master.core.validity import check_count
from protocol.decision import Decision, Refused
from protocol.ids import FrameworkId
from protocol.messages import framework as wire
from protocol.quantities import amounts_of, check_quantities

WANTS_MAX = 64  # different sizes of tasks in one role; each is tried at every agent
TASKS_MAX = 1_000_000  # of one size


@dataclass(frozen=True, slots=True)
class RequestResources:
    """This is what the framework would run in a role, and nothing else."""

    framework_id: FrameworkId
    request: wire.Request


def decide_request(
    state: State, command: RequestResources, now_ns: int, settings: Settings
) -> Outcome:
    """Remember the demand; offer what serves it of the agents that nobody else wanted.

    Refuses: UNKNOWN_FRAMEWORK, FRAMEWORK_REMOVED, NOT_ITS_ROLE, BAD_RESOURCES, TOO_MANY, BAD_NAME.
    """
    framework = find_framework(state, command.framework_id)
    if isinstance(framework, Refused):
        return framework
    role, wants = command.request.role, command.request.wants
    if role not in framework.roles:
        text = f"framework {framework.id} is not in role {role[:140]!r}"
        return Refused(Reason.NOT_ITS_ROLE, text)
    if refused := _check_wants(wants):
        return refused
    if framework.id not in state.soft.framework_links or framework.has_left:
        return Decision()
    demand = Demand(
        Want(amounts_of(each.amounts), each.count, each.constraints) for each in wants if each.count
    )
    before = demand_of(state, framework.id, role)
    if before is not None and before.is_same(demand):
        return Decision()
    cover_offers(state, framework.id, role, demand)
    draft = Draft(now_ns, settings)
    draft.soft.append(DemandStated(framework.id, role, demand))
    if role not in framework.suppressed and not policy_of(state, role).is_open:
        is_met = draft_answer(draft, state, framework.id, (role, demand))
        if not is_met:
            draft.alarm(AlarmKind.DEMAND_WAITS, (), 0)
        if wants and policy_of(state, role).reclaims:
            draft.alarm(AlarmKind.RECLAIM_DUE, (), settings.reclaim_delay_ns)
    return draft.decision()


def _check_wants(wants: tuple[wire.Want, ...]) -> Refused | None:
    if refused := check_count("sizes of tasks in one request", len(wants), WANTS_MAX):
        return refused
    for number, each in enumerate(wants, start=1):
        amounts = amounts_of(each.amounts)
        fault = check_quantities(amounts)
        for name in ("cpus", "mem"):
            fault = fault or (None if amounts.get(name) else f"no {name}; every task needs some")
        for name, amount in amounts.items():
            fault = fault or (None if amount else f"{name} is 0, leave it out")
        if fault:
            return Refused(Reason.BAD_RESOURCES, f"item {number} of the request: {fault}")
        refused = check_count("tasks of one size", each.count, TASKS_MAX) or check_constraints(
            each.constraints
        )
        if refused:
            return refused
    return None
