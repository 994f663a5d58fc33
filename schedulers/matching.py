"""Which offer serves which demand: pure, first fit, biggest demands first."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol.messages.framework import Offer
from protocol.resources import (
    EMPTY,
    Resources,
    dominant_share,
    format_amount,
    format_resources,
    sum_resources,
)


@dataclass(frozen=True, slots=True)
class Constraint:
    """An agent's attribute must have one of these values, or none of them."""

    attribute: str
    values: tuple[str, ...]
    is_negated: bool = False

    def admits(self, offer: Offer) -> bool:
        """Whether the offer's agent will do; a missing attribute has no value."""
        found = [each.value for each in offer.attributes if each.name == self.attribute]
        return any(value in self.values for value in found) != self.is_negated

    def __str__(self) -> str:
        return f"{self.attribute}{'!=' if self.is_negated else '='}{','.join(self.values)}"


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


@dataclass(frozen=True, slots=True)
class Demand:
    """What one task needs of one agent; `ports` is how many, whichever."""

    name: str
    resources: Resources
    ports: int = 0
    constraints: tuple[Constraint, ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """A demand that an offer serves, with the resources it takes, ports included."""

    demand: Demand
    resources: Resources


@dataclass(frozen=True, slots=True)
class Matching:
    """Placements by offer id, and what no offer serves."""

    placements: dict[str, tuple[Placement, ...]] = field(default_factory=dict)
    unserved: tuple[Demand, ...] = ()


def match_offers(offers: Sequence[Offer], demands: Sequence[Demand]) -> Matching:
    """Return who gets what; no offer gives more than it holds."""
    everything = sum_resources(offer.resources for offer in offers)
    rest = {offer.offer_id: offer.resources for offer in offers}
    placements: dict[str, tuple[Placement, ...]] = {}
    unserved = []
    by_size = sorted(
        demands, key=lambda demand: dominant_share(demand.resources, everything), reverse=True
    )
    for demand in by_size:
        for offer in offers:
            left = rest[offer.offer_id]
            needed = claim(offer, left, demand)
            if needed is not None:
                rest[offer.offer_id] = left - needed
                placed = Placement(demand, needed)
                placements[offer.offer_id] = (*placements.get(offer.offer_id, ()), placed)
                break
        else:
            unserved.append(demand)
    return Matching(placements, tuple(unserved))


def claim(offer: Offer, left: Resources, demand: Demand) -> Resources | None:
    """Return what the demand takes of what is left of an offer; None when that is too little."""
    if not all(constraint.admits(offer) for constraint in demand.constraints):
        return None
    if not left.contains(demand.resources):
        return None
    left = left - demand.resources
    ports = _pick_ports(left, demand.ports)
    return None if ports is None else demand.resources + ports


def explain_shortage(offers: Sequence[Offer], demand: Demand) -> str:
    """Say what keeps the demand from being served, naming the first thing that does."""
    if not offers:
        return "no resources are offered"
    admitted = [offer for offer in offers if all(each.admits(offer) for each in demand.constraints)]
    if not admitted:
        return f"no agent offers resources with {', '.join(map(str, demand.constraints))}"
    for name, amount in demand.resources.scalars.items():
        most = max(offer.resources.scalars.get(name, 0) for offer in admitted)
        if most < amount:
            wanted = f"{name}:{format_amount(name, amount)}"
            return f"no agent offers {wanted} (the most is {format_amount(name, most)})"
    if all(_pick_ports(offer.resources, demand.ports) is None for offer in admitted):
        return f"no agent offers {demand.ports} ports"
    return f"no agent offers all of {format_resources(demand.resources)} at once"


def _pick_ports(left: Resources, count: int) -> Resources | None:
    """Return the lowest ports that are left, None when there are not so many."""
    picked: list[tuple[int, int]] = []
    for first, last in left.ranges.get("ports", ()):
        if count <= 0:
            break
        end = min(last, first + count - 1)
        picked.append((first, end))
        count -= end - first + 1
    if count > 0:
        return None
    return Resources(ranges={"ports": tuple(picked)}) if picked else EMPTY


def list_ports(resources: Resources) -> tuple[int, ...]:
    """Return the single ports of some resources."""
    spans = resources.ranges.get("ports", ())
    return tuple(port for first, last in spans for port in range(first, last + 1))
