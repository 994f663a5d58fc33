"""Filters: which offers a framework can use at all, as it said when it subscribed."""

from collections.abc import Iterable, Sequence

from master.core.reasons import Reason
from master.core.records import Agent
from master.core.validity import check_count, check_texts
from protocol.constraints import format_constraints, is_admitted
from protocol.decision import Refused
from protocol.messages.framework import OfferFilter
from protocol.messages.values import Constraint
from protocol.quantities import amounts_of, check_quantities, format_quantities
from protocol.resources import Resources

FILTERS_MAX = 64
CONSTRAINTS_MAX = 16
VALUES_MAX = 64


def is_filtered(
    filters: Iterable[OfferFilter], role: str, agent: Agent, resources: Resources
) -> bool:
    """Whether a framework cannot use these resources of an agent in a role."""
    has_any = False
    for each in filters:
        if each.role in ("", role):
            has_any = True
            if _lets_through(each, agent, resources):
                return False
    return has_any


def describe_filters(filters: Iterable[OfferFilter], role: str) -> str:
    """Return what a role's filters let through."""
    parts = []
    for each in filters:
        if each.role in ("", role):
            least = format_quantities(amounts_of(each.least))
            words = (format_constraints(each.constraints), f"at least {least}" if least else "")
            parts.append(", ".join(filter(None, words)) or "anything")
    return " or ".join(parts)


def check_filters(filters: Sequence[OfferFilter], roles: Sequence[str]) -> Refused | None:
    """Check the filters of a framework in these roles."""
    if refused := check_count("filters", len(filters), FILTERS_MAX):
        return refused
    for each in filters:
        if each.role and each.role not in roles:
            text = f"a filter speaks of role {each.role[:140]!r}, which the framework is not in"
            return Refused(Reason.NOT_ITS_ROLE, text)
        if fault := check_quantities(amounts_of(each.least)):
            return Refused(Reason.BAD_RESOURCES, f"a filter's least amounts: {fault}")
        if refused := check_constraints(each.constraints):
            return refused
    return None


def check_constraints(constraints: Sequence[Constraint]) -> Refused | None:
    """Check constraints: they are few and short, for every agent is held against them."""
    if refused := check_count("constraints beside each other", len(constraints), CONSTRAINTS_MAX):
        return refused
    for each in constraints:
        if not each.attribute:
            return Refused(Reason.BAD_NAME, "a constraint names no attribute")
        texts = ((f"value of {each.attribute[:40]}", value) for value in each.values)
        refused = (
            check_count("values of one constraint", len(each.values), VALUES_MAX)
            or check_texts((("attribute", each.attribute),))
            or check_texts(texts)
        )
        if refused:
            return refused
    return None


def _lets_through(each: OfferFilter, agent: Agent, resources: Resources) -> bool:
    if not is_admitted(each.constraints, agent.id, agent):
        return False
    amounts = resources.quantities
    return all(amounts.get(part.name, 0) >= part.amount for part in each.least)
