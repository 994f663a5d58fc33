"""Scarce: what few agents have, so that those agents are for those alone who ask for it."""

from collections.abc import Iterable, Mapping

from master.core.records import Agent
from protocol.messages.framework import OfferFilter
from protocol.quantities import amounts_of


def scarce_of(agent: Agent, scarce: frozenset[str]) -> tuple[str, ...]:
    """Return which scarce resources an agent has, in use or not."""
    if not scarce:
        return ()
    return tuple(name for name in sorted(scarce) if name in agent.total.quantities)


def asks_for(names: tuple[str, ...], amounts: Mapping[str, int]) -> bool:
    """Whether something that asks for these amounts may use an agent that has what is named."""
    return not names or any(amounts.get(name) for name in names)


def do_ask_for(names: tuple[str, ...], filters: Iterable[OfferFilter], role: str) -> bool:
    """Whether filters of a role name one of these as the least that is of use."""
    return any(
        asks_for(names, amounts_of(each.least)) for each in filters if each.role in ("", role)
    )
