"""Quantities: how much of each resource, whichever parts; of ranges and sets, how many.

In thousandths, of mem and disk in bytes, as `Resources.quantities`.
"""

from collections.abc import Iterable, Mapping

from protocol.messages.values import Quantity
from protocol.resources import AMOUNT_MAX, ENTRIES_MAX, KINDS, check_name, format_amount
from protocol.resources import parse_resources as parse_parts


def parse_quantities(text: str) -> dict[str, int]:
    """Return what a text such as `cpus:4;mem:8GiB;ports:100` says.

    Raises: ValueError whose sentence names the item that is wrong.
    """
    found: dict[str, int] = {}
    for item in filter(None, (part.strip() for part in text.split(";"))):
        name, _, value = (part.strip() for part in item.partition(":"))
        if name in found:
            raise ValueError(f"resource {name} is given twice")
        if KINDS.get(name) == "ranges":
            if not value.isdecimal():
                raise ValueError(f"resource {item!r}: a number of {name} is expected")
            found[name] = 1000 * int(value)
            continue
        parts = parse_parts(item)
        if parts.ranges or parts.sets:
            raise ValueError(f"resource {item!r}: an amount is expected, not which ones")
        found[name] = parts.scalars.get(name, 0)
    if fault := check_quantities(found):
        raise ValueError(fault)
    return found


def format_quantities(quantities: Mapping[str, int]) -> str:
    """Return the text that `parse_quantities` reads back as the same."""
    known = {name: place for place, name in enumerate(("cpus", "mem", "disk", "gpus", "ports"))}
    names = sorted(quantities, key=lambda name: (known.get(name, 9), name))
    return ";".join(f"{name}:{format_amount(name, quantities[name])}" for name in names)


def check_quantities(quantities: Mapping[str, int]) -> str | None:
    """Return why quantities that came from outside are none, None when they are."""
    if len(quantities) > ENTRIES_MAX:
        return f"{len(quantities)} resources are named, at most {ENTRIES_MAX} are allowed"
    for name, amount in quantities.items():
        if fault := check_name(name):
            return f"{name[:40]!r} cannot name a resource: {fault}"
        if not 0 <= amount <= AMOUNT_MAX:
            return f"{name} is {amount}, it must be 0 to {AMOUNT_MAX}"
    return None


def listed_quantities(quantities: Mapping[str, int]) -> tuple[Quantity, ...]:
    """Return them as messages carry them."""
    return tuple(Quantity(name, quantities[name]) for name in sorted(quantities))


def amounts_of(listed: Iterable[Quantity]) -> dict[str, int]:
    """Return what a message carries by name; of a name that is given twice, the last."""
    return {each.name: each.amount for each in listed}
