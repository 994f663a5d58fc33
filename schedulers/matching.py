"""Which offer serves which demand: pure, first fit, biggest demands first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from protocol.constraints import format_constraints, is_admitted
from protocol.messages.framework import Offer, Want
from protocol.messages.values import Constraint
from protocol.quantities import listed_quantities
from protocol.resources import (
    EMPTY,
    Resources,
    dominant_share,
    format_amount,
    format_resources,
    sum_resources,
)


@dataclass(frozen=True, slots=True)
class Demand:
    """What one task needs of one agent; `ports` is how many, whichever."""

    name: str
    resources: Resources
    ports: int = 0
    constraints: tuple[Constraint, ...] = ()
    volumes: tuple[str, ...] = ()  # that it uses


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
    taken: dict[str, None] = {}  # agent/volume, of those for one task
    placements: dict[str, tuple[Placement, ...]] = {}
    unserved = []
    by_size = sorted(
        demands, key=lambda demand: dominant_share(demand.resources, everything), reverse=True
    )
    for demand in by_size:
        for offer in offers:
            left = rest[offer.offer_id]
            needed = claim(offer, left, demand)
            alone = [
                f"{offer.agent_id}/{each.id}"
                for each in offer.volumes
                if each.id in demand.volumes and not each.is_shared
            ]
            if needed is not None and not any(each in taken for each in alone):
                taken.update(dict.fromkeys(alone))
                rest[offer.offer_id] = left - needed
                placed = Placement(demand, needed)
                placements[offer.offer_id] = (*placements.get(offer.offer_id, ()), placed)
                break
        else:
            unserved.append(demand)
    return Matching(placements, tuple(unserved))


def want_all(demands: Iterable[Demand]) -> tuple[Want, ...]:
    """Return what to request of the masters to have these demands served."""
    counts: dict[Want, int] = {}
    for each in demands:
        amounts = dict(each.resources.quantities)
        if each.ports:
            amounts["ports"] = amounts.get("ports", 0) + 1000 * each.ports
        want = Want(listed_quantities(amounts), constraints=each.constraints)
        counts[want] = counts.get(want, 0) + 1
    return tuple(replace(want, count=count) for want, count in counts.items())


def claim(offer: Offer, left: Resources, demand: Demand) -> Resources | None:
    """Return what the demand takes of what is left of an offer; None when that is too little."""
    if not is_admitted(demand.constraints, offer.agent_id, offer):
        return None
    if not has_volumes(offer, demand) or not left.contains(demand.resources):
        return None
    left = left - demand.resources
    ports = _pick_ports(left, demand.ports)
    return None if ports is None else demand.resources + ports


def has_volumes(offer: Offer, demand: Demand) -> bool:
    """Whether all that the demand uses come with the offer."""
    offered = {each.id for each in offer.volumes}
    return all(name in offered for name in demand.volumes)


def explain_shortage(offers: Sequence[Offer], demand: Demand) -> str:
    """Say what keeps the demand from being served, naming the first thing that does."""
    if not offers:
        return "no resources are offered"
    admitted = [each for each in offers if is_admitted(demand.constraints, each.agent_id, each)]
    if not admitted:
        return f"no agent offers resources with {format_constraints(demand.constraints)}"
    admitted = [offer for offer in admitted if has_volumes(offer, demand)]
    if not admitted:
        return f"no agent offers volume {', '.join(demand.volumes)}"
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
