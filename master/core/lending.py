"""Lending: the accounts of what open offers have of agents; of rivals only one is on them."""

from collections.abc import Callable
from dataclasses import replace

from master.core.records import Offer, unreserved_quantities
from master.core.state import Soft, State, charge_role, credit_role
from protocol.resources import sum_resources


def lend(state: State, offer: Offer) -> None:
    """Count what an offer lends."""
    soft, amounts = state.soft, offer.resources.quantities
    if amounts:  # there may be volumes only
        charge_role(soft.offered.setdefault(offer.framework_id, {}), offer.role, amounts)
    _note_draws(soft, offer, charge_role)
    if soft.ledger is not None:
        soft.ledger.charge(offer.framework_id, offer.role, amounts, unreserved_quantities(offer))


def take_back(state: State, offer: Offer) -> None:
    """Count no more what an offer has lent; the first of its rivals lends it from now on."""
    soft, amounts = state.soft, offer.resources.quantities
    if amounts:
        credit_role(soft.offered[offer.framework_id], offer.role, amounts)
        if not soft.offered[offer.framework_id]:
            del soft.offered[offer.framework_id]
    _note_draws(soft, offer, credit_role)
    if soft.ledger is not None:
        soft.ledger.credit(offer.framework_id, offer.role, amounts, unreserved_quantities(offer))
    _bequeath(state, offer)


def _bequeath(state: State, offer: Offer) -> None:
    soft = state.soft
    rivals = tuple(soft.rivals.pop(offer.id, ()))
    if rivals:
        heir = replace(soft.offers[rivals[0]], rival_of=None)
        soft.offers[heir.id] = heir
        lend(state, heir)
        for each in rivals[1:]:
            soft.offers[each] = replace(soft.offers[each], rival_of=heir.id)
            soft.rivals.setdefault(heir.id, {})[each] = None


def _note_draws(
    soft: Soft, offer: Offer, note: Callable[[dict[str, dict[str, int]], str, dict[str, int]], None]
) -> None:
    """Keep account of what is reserved of the offers in each role."""
    if offer.draws:
        drawn = sum_resources(draw.resources for draw in offer.draws)
        note(soft.drawn, offer.role, drawn.quantities)
