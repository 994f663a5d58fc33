"""Demand: what a framework has said that it would run, and which part of an agent serves it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from protocol.constraints import Described, is_admitted
from protocol.messages.values import Constraint
from protocol.resources import Resources

NOTHING: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Want:
    """So many tasks of one size; amounts as `Resources.quantities`, none is 0."""

    amounts: Mapping[str, int]
    count: int
    constraints: tuple[Constraint, ...] = ()

    def fits(self, supply: Mapping[str, int]) -> int:
        """Return how many of its tasks a supply holds."""
        return min(supply.get(name, 0) // amount for name, amount in self.amounts.items())


class Demand:
    """Wants in the order of their importance, less what open offers cover."""

    def __init__(self, wants: Iterable[Want]) -> None:
        self.wants = tuple(wants)
        self.counts = [want.count for want in self.wants]  # less what was launched
        self._sums = [0] * len(self.wants)  # covered by all offers
        self._covered: dict[str, tuple[int, ...]] = {}  # by each

    @property
    def all_left(self) -> list[tuple[Want, int]]:
        """The wants, and how many tasks of each are not launched."""
        return list(zip(self.wants, self.counts, strict=True))

    @property
    def left(self) -> list[int]:
        """How many tasks of each want no open offer covers."""
        return [max(0, all_ - some) for all_, some in zip(self.counts, self._sums, strict=True)]

    @property
    def covered(self) -> set[str]:
        """The offers that count."""
        return set(self._covered)

    def is_same(self, other: "Demand") -> bool:
        """Whether another says what is left of this one."""
        mine = [(want.amounts, want.constraints, count) for want, count in self.all_left if count]
        theirs = [(want.amounts, want.constraints, want.count) for want in other.wants]
        return mine == theirs

    def may_use(self, supply: Mapping[str, int]) -> bool:
        """Whether a supply holds a task of any size that is wanted, wherever it is."""
        return any(want.fits(supply) for want in self.wants)

    @property
    def is_met(self) -> bool:
        """Whether nothing is wanted beyond what is offered."""
        return not any(self.left)

    def cover(self, offer_id: str, agent: tuple[str, Described], resources: Resources) -> None:
        """Count what an offer is good for."""
        left, counts = self.left, [0] * len(self.wants)
        supply = dict(resources.quantities)
        while taken := take(self.wants, left, agent, supply, NOTHING):
            place, count = taken
            counts[place] += count
            left[place] -= count
            for name, amount in self.wants[place].amounts.items():
                supply[name] -= count * amount
        self._covered[offer_id] = tuple(counts)
        self._sums = [some + more for some, more in zip(self._sums, counts, strict=True)]

    def uncover(self, offer_id: str) -> None:
        """Count an offer no more."""
        counts = self._covered.pop(offer_id)
        self._sums = [some - less for some, less in zip(self._sums, counts, strict=True)]

    def launched(self, amounts: Mapping[str, int]) -> None:
        """Count one task less of those that are of this size."""
        for place, want in enumerate(self.wants):
            if self.counts[place] and want.amounts == amounts:
                self.counts[place] -= 1
                return


def take(
    wants: Sequence[Want],
    left: Sequence[int],
    agent: tuple[str, Described],
    supply: Mapping[str, int],
    step: Mapping[str, int],
) -> tuple[int, int] | None:
    """Return which want a supply serves first, and how many of its tasks.

    Not more than there are in a `step`, but one in any case; no step: as many as fit.
    """
    for place, want in enumerate(wants):
        if left[place] and (count := want.fits(supply)) and is_admitted(want.constraints, *agent):
            if step:
                count = min(count, max(1, want.fits(step)))
            return place, min(count, left[place])
    return None
