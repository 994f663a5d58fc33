"""What a script sees when it asks to be shown the state."""

from collections.abc import Iterator

from master.core import view
from master.core.holdings_view import view_bookings, view_reservations, view_volumes
from master.core.state import State, free_of
from protocol.quantities import amounts_of, format_quantities
from protocol.resources import Resources
from tests.scripts.names import Names, amounts


def show(state: State, names: Names, what: str) -> Iterator[str]:
    """Return the lines for one kind of thing."""
    return {
        "agents": _agents,
        "frameworks": _frameworks,
        "tasks": _tasks,
        "history": _history,
        "roles": _roles,
        "quotas": _quotas,
        "offers": _offers,
        "reservations": _reservations,
        "volumes": _volumes,
        "bookings": _bookings,
        "pending": _pending,
        "totals": _totals,
        "demands": _demands,
        "policies": _policies,
        "windows": _windows,
    }[what](state, names)


def _agents(state: State, names: Names) -> Iterator[str]:
    for each in view.view_agents(state):
        free = amounts(free_of(state, state.agents[each.agent_id]))  # type: ignore[index]
        duty = "" if each.duty == "active" else f" {each.duty}"
        yield f"{each.agent_id} {each.state}{duty} total {amounts(each.total)}, free {free}"


def _frameworks(state: State, names: Names) -> Iterator[str]:
    for each in view.view_frameworks(state, is_all=True):
        name = names.framework(each.framework_id)
        roles = ",".join(each.roles)
        yield f"{name} {each.state} roles={roles} tasks={each.tasks} has {amounts(each.allocated)}"


def _tasks(state: State, names: Names) -> Iterator[str]:
    for each in view.view_tasks(state, is_all=False):
        status = each.status
        name = f"{names.framework(status.framework_id)}/{status.task_id}"
        held = amounts(each.description.resources)
        to = f" becomes {amounts(each.wanted)}" if each.wanted else ""
        yield f"{name} {status.state.name} on {status.agent_id} {held}{to}"


def _history(state: State, names: Names) -> Iterator[str]:
    for framework in state.frameworks.values():
        for task in framework.history.values():
            yield f"{names.framework(framework.id)}/{task.task_id} {task.status.state.name}"


def _roles(state: State, names: Names) -> Iterator[str]:
    for each in view.view_roles(state):
        share = f"{each.dominant_share_millionths / 10_000:.1f}% of {each.dominant_resource or '-'}"
        yield f"{each.role} weight {each.weight_milli / 1000:g} share {share}"


def _quotas(state: State, names: Names) -> Iterator[str]:
    for each in view.view_quotas(state):
        promised, most, used = (
            format_quantities(amounts_of(parts)) or "nothing"
            for parts in (each.guarantee, each.limit, each.used)
        )
        yield f"{each.role} guarantee {promised} limit {most} used {used}"


def _offers(state: State, names: Names) -> Iterator[str]:
    for each in view.view_offers(state):
        name = names.offer(each.offer_id)
        to = names.framework(each.framework_id)
        rival = f" rival of {names.offer(each.rival_of)}" if each.rival_of else ""
        yield f"{name} {to} {each.agent_id} {amounts(each.resources)}{rival}"


def _reservations(state: State, names: Names) -> Iterator[str]:
    for each in view_reservations(state):
        told = each.reservation
        parent = f" in {told.parent}" if told.parent else ""
        owner = f" of {names.framework(told.framework_id)}" if told.framework_id else ""
        held = f"{amounts(told.resources)}, in use {amounts(each.allocated)}"
        yield f"{each.agent_id}/{told.id} {each.state} for {told.role}{parent}{owner}: {held}"


def _volumes(state: State, names: Names) -> Iterator[str]:
    for each in view_volumes(state):
        told = each.volume
        users = ", ".join(names.translate(task) for task in each.tasks) or "nobody"
        shared = " shared" if told.is_shared else ""
        fault = f", but {each.fault}" if each.fault else ""
        size = amounts(Resources({"disk": told.size_bytes}))
        yield (
            f"{each.agent_id}/{told.id} number {told.number}{shared} {told.state.name} "
            f"{size} of {told.reservation} for {told.role}, used by {users}{fault}"
        )


def _bookings(state: State, names: Names) -> Iterator[str]:
    for each in view_bookings(state):
        booking = each.booking
        window = f"{booking.begin_ns // 10**9} to {booking.end_ns // 10**9 or 'ever'}"
        has = f"{amounts(each.reserved)} of {amounts(each.wanted)}"
        yield f"{booking.id} for {booking.role} {each.state} {window}: {has}, {each.agents} agents"


def _pending(state: State, names: Names) -> Iterator[str]:
    for task in state.tasks.values():
        name = f"{names.framework(task.framework_id)}/{task.task_id}"
        for status in task.pending:
            yield f"{name} #{status.sequence} {status.state.name}"


def _windows(state: State, names: Names) -> Iterator[str]:
    for each in view.view_windows(state):
        begun = "begun" if each.is_begun else "scheduled"
        said = f"asked {each.asked} accepted {each.accepted} declined {each.declined}"
        yield f"{each.name} {begun} drained {each.drained}/{each.agents} tasks {each.tasks} {said}"


def _totals(state: State, names: Names) -> Iterator[str]:
    found = view.totals(state)
    for what, scalars in (
        ("capacity", found.capacity),
        ("allocated", found.allocated),
        ("offered", found.offered),
    ):
        yield f"{what} {amounts(Resources(scalars))}"
    for what, counts in (("tasks", found.tasks), ("ended", found.tasks_ended)):
        yield f"{what} {' '.join(f'{name}={count}' for name, count in counts.items()) or 'none'}"


def _demands(state: State, names: Names) -> Iterator[str]:
    for framework_id, by_role in state.soft.demands.items():
        for role, demand in by_role.items():
            for (want, count), left in zip(demand.all_left, demand.left, strict=True):
                size = format_quantities(want.amounts)
                name = names.framework(framework_id)
                yield f"{name} {role} {count} of {size}, {left} not offered"


def _policies(state: State, names: Names) -> Iterator[str]:
    for each in view.view_policies(state):
        least = format_quantities(amounts_of(each.least)) or "nothing"
        shared = f" sharers {each.sharers}" if each.sharers > 1 else ""
        shared += " open" if each.is_open else ""
        yield f"{each.role} least {least}{shared}"
