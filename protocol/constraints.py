"""Constraints: which agents will do, by their attributes, their hostnames and their ids."""

from collections.abc import Iterable
from typing import Protocol

from protocol.messages.values import Attribute, Constraint

HOSTNAME, AGENT = "hostname", "agent"  # what every agent has without saying so


class Described(Protocol):
    """What an agent, or an offer of its resources, says of the machine."""

    @property
    def hostname(self) -> str: ...

    @property
    def attributes(self) -> tuple[Attribute, ...]: ...


def is_admitted(constraints: Iterable[Constraint], agent_id: str, described: Described) -> bool:
    """Whether an agent meets all of the constraints; an attribute that it lacks has no value."""
    return all(_admits(each, agent_id, described) for each in constraints)


def parse_constraint(text: str) -> Constraint:
    """Return what `rack=r1,r2` or `zone!=a` says.

    Raises: ValueError saying what is expected.
    """
    for sign in ("!=", "="):
        name, found, values = text.partition(sign)
        if found and name.strip() and values.strip():
            parts = tuple(part.strip() for part in values.split(",") if part.strip())
            return Constraint(name.strip(), parts, is_negated=sign == "!=")
    raise ValueError(f"constraint {text!r} is not of the form rack=r1,r2 or zone!=a")


def format_constraints(constraints: Iterable[Constraint]) -> str:
    """Return the constraints as people write them."""
    return ", ".join(map(format_constraint, constraints))


def format_constraint(constraint: Constraint) -> str:
    """Return the text that `parse_constraint` reads back."""
    if not constraint.values:
        return f"{'no' if constraint.is_negated else 'any'} {constraint.attribute}"
    sign = "!=" if constraint.is_negated else "="
    return f"{constraint.attribute}{sign}{','.join(constraint.values)}"


def _admits(constraint: Constraint, agent_id: str, described: Described) -> bool:
    name = constraint.attribute
    if name == HOSTNAME:
        found = [described.hostname]
    elif name == AGENT:
        found = [agent_id]
    else:
        found = [each.value for each in described.attributes if each.name == name]
    is_met = (
        any(value in constraint.values for value in found) if constraint.values else bool(found)
    )
    return is_met != constraint.is_negated
