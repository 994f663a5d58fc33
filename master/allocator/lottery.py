"""The order of chance: who is served first is drawn anew each time, by weight alone.

Where tasks are short and many frameworks want little, chance is as fair as shares are, and nobody
who declines holds up the others.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping


class Lottery:
    """Names in an order drawn with probabilities in proportion to their weights.

    Source: Efraimidis and Spirakis, Weighted random sampling with a reservoir (2006).
    """

    def __init__(self, seed: str) -> None:
        """Equal seeds draw equal orders: what a master decides follows from what it knows."""
        self._seed = seed.encode()
        self._draws = 0
        self._weights_milli: dict[str, int] = {}
        self._resting: dict[str, None] = {}

    def add(self, name: str, amounts: Mapping[str, int], weight_milli: int) -> None:
        """Let a name take part; what it has does not matter."""
        assert weight_milli > 0
        self._weights_milli[name] = weight_milli

    def charge(self, name: str, amounts: Mapping[str, int]) -> None:
        """Nothing: chance has no memory."""

    def rest(self, name: str, *, is_resting: bool) -> None:
        """Let a name take no part for a while."""
        if is_resting:
            self._resting[name] = None
        else:
            self._resting.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        """Draw the whole order anew."""
        self._draws += 1
        times = {
            name: -math.log(self._chance(name)) / weight
            for name, weight in self._weights_milli.items()
            if name not in self._resting
        }
        return iter(sorted(times, key=times.__getitem__))

    def _chance(self, name: str) -> float:
        """Return a number above 0 and at most 1."""
        text = b"%b %d %b" % (self._seed, self._draws, name.encode())
        number = int.from_bytes(hashlib.blake2b(text, digest_size=6).digest())
        return (number + 1) / (1 << 48)
