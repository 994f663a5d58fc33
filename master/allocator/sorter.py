"""The order of fairness: names by dominant share over weight, poorest first.

Source: Ghodsi et al., Dominant Resource Fairness (NSDI 2011), section 4.1.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping

SHARE_UNITS = 10**12  # a share of 1; finer than one task of the largest cluster


class Sorter:
    """Keeps names sorted while amounts are charged to them."""

    def __init__(self, total: Mapping[str, int]) -> None:
        self._total = total
        self._amounts: dict[str, dict[str, int]] = {}
        self._weights_milli: dict[str, int] = {}
        self._keys: dict[str, tuple[int, str]] = {}
        self._order: list[tuple[int, str]] = []
        self._resting: dict[str, None] = {}

    def add(self, name: str, amounts: Mapping[str, int], weight_milli: int) -> None:
        """Let a name take part with what it has already."""
        assert name not in self._keys
        assert weight_milli > 0
        self._amounts[name] = dict(amounts)
        self._weights_milli[name] = weight_milli
        self._place(name)

    def charge(self, name: str, amounts: Mapping[str, int]) -> None:
        """Give a name more, which moves it back in the order."""
        account = self._amounts[name]
        for each, amount in amounts.items():
            account[each] = account.get(each, 0) + amount
        self._take_out(name)
        self._place(name)

    def rest(self, name: str, *, is_resting: bool) -> None:
        """Let a name take no part for a while; what it has goes on to count."""
        if is_resting and name not in self._resting:
            self._take_out(name)
            self._resting[name] = None
        elif not is_resting and name in self._resting:
            del self._resting[name]
            insort(self._order, self._keys[name])

    def share_of(self, name: str) -> int:
        """Return the weighted dominant share in `SHARE_UNITS`."""
        return self._keys[name][0]

    def __iter__(self) -> Iterator[str]:
        """Go from the poorest to the richest; equal shares in the order of names."""
        for _, name in self._order:
            yield name

    def _place(self, name: str) -> None:
        share = 0
        total = self._total
        for each, amount in self._amounts[name].items():
            whole = total.get(each, 0)
            if whole > 0:
                share = max(share, amount * SHARE_UNITS // whole)
        key = (share * 1000 // self._weights_milli[name], name)
        self._keys[name] = key
        if name not in self._resting:
            insort(self._order, key)

    def _take_out(self, name: str) -> None:
        if name not in self._resting:
            del self._order[bisect_left(self._order, self._keys[name])]
