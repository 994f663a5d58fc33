"""Offers in hand: what is lent to a scheduler, and which of its calls use it."""

from collections.abc import Iterable, Sequence

from protocol.messages.framework import Accept, Offer
from schedulers.calls import Call

VOID_OFFER = frozenset({"UNKNOWN_OFFER", "LOST_OFFER", "FOREIGN_OFFER", "OFFER_TAKEN"})


class OffersInHand:
    """Owns offers from the time they are made until they are answered, for good or void."""

    def __init__(self) -> None:
        self.open: dict[str, Offer] = {}  # not answered
        self._used: dict[int, tuple[Offer, ...]] = {}  # by the calls that wait for an answer

    def add(self, offers: Iterable[Offer]) -> None:
        """Take what the masters lend."""
        self.open.update((offer.offer_id, offer) for offer in offers)

    def use(self, call: int, offers: Sequence[Offer | str]) -> None:
        """Leave offers to a call until it is answered."""
        popped = (self.open.pop(offer_id, None) for offer_id in ids_of(offers))
        self._used[call] = tuple(offer for offer in popped if offer is not None)

    def settle(self, call: int) -> None:
        """The call has used its offers up."""
        self._used.pop(call, None)

    def reopen(self, number: int, call: Call | None, reason: str) -> tuple[str, ...]:
        """A call was refused: return which of its offers are open again."""
        used = self._used.pop(number, ())
        if not isinstance(call, Accept) or reason in VOID_OFFER:
            return ()
        self.add(used)
        return tuple(offer.offer_id for offer in used)

    def rescind(self, offers: Sequence[str]) -> tuple[str, ...]:
        """Return those of the offers that were open until now."""
        return tuple(each for each in offers if self.open.pop(each, None) is not None)

    def forget_calls(self) -> None:
        """The link broke: what was used is lost or will be found."""
        self._used.clear()


def ids_of(offers: Sequence[Offer | str]) -> tuple[str, ...]:
    """Return the ids of offers, or of what names them."""
    return tuple(each if isinstance(each, str) else each.offer_id for each in offers)
