"""Shapes of a divided network: which directions between members carry nothing."""

import random
from collections.abc import Callable, Sequence
from itertools import permutations

Direction = tuple[str, str]  # from, to


def island(names: Sequence[str], rng: random.Random) -> frozenset[Direction]:
    """A minority, often one member, is alone."""
    size = 1 if rng.random() < 0.7 else rng.randint(1, (len(names) - 1) // 2)
    alone = set(rng.sample(names, size))
    return frozenset((a, b) for a, b in permutations(names, 2) if (a in alone) != (b in alone))


def thirds(names: Sequence[str], rng: random.Random) -> frozenset[Direction]:
    """Three groups, none of which has a majority."""
    order = rng.sample(names, len(names))
    group = {name: place % 3 for place, name in enumerate(order)}
    return frozenset((a, b) for a, b in permutations(names, 2) if group[a] != group[b])


def ring(names: Sequence[str], rng: random.Random) -> frozenset[Direction]:
    """Everybody sees a majority, and no two the same: only neighbours on a circle are joined.

    Of three members everybody would see everybody, so one link of the circle is open.
    """
    order = rng.sample(names, len(names))
    reach = len(names) // 4 if len(names) > 3 else 1
    place = {name: number for number, name in enumerate(order)}

    def is_joined(a: str, b: str) -> bool:
        apart = abs(place[a] - place[b])
        return apart <= reach or (len(names) > 3 and len(names) - apart <= reach)

    return frozenset((a, b) for a, b in permutations(names, 2) if not is_joined(a, b))


def bridge(names: Sequence[str], rng: random.Random) -> frozenset[Direction]:
    """Two halves that only one member sees both of."""
    others = rng.sample(names, len(names) - 1)
    left = set(others[: len(others) // 2])
    return frozenset((a, b) for a, b in permutations(others, 2) if (a in left) != (b in left))


def one_way(names: Sequence[str], rng: random.Random) -> frozenset[Direction]:
    """One member hears and is not heard, or is heard and does not hear."""
    deaf = rng.choice(names)
    is_deaf = rng.random() < 0.5
    others = [name for name in names if name != deaf]
    return frozenset((name, deaf) if is_deaf else (deaf, name) for name in others)


Shape = Callable[[Sequence[str], random.Random], frozenset[Direction]]
SHAPES: tuple[Shape, ...] = (island, thirds, ring, bridge, one_way)
