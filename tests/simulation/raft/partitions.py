"""The shapes in which a network falls apart: who no longer reaches whom."""

import random
from collections.abc import Sequence

Pairs = frozenset[tuple[str, str]]


def divide(names: Sequence[str], apart: Sequence[str]) -> Pairs:
    """Part some from all others."""
    return frozenset((a, b) for a, b in _pairs(names) if (a in apart) != (b in apart))


def bridge(names: Sequence[str]) -> Pairs:
    """Part two halves that both still reach one member between them."""
    middle = len(names) // 2
    left, right = set(names[:middle]), set(names[middle + 1 :])
    return frozenset((a, b) for a, b in _pairs(names) if {a, b} & left and {a, b} & right)


def ring(names: Sequence[str]) -> Pairs:
    """Let each reach only its neighbours: among five each sees a majority, and each another."""
    place, count = {name: at for at, name in enumerate(names)}, len(names)
    return frozenset(
        (a, b) for a, b in _pairs(names) if (place[a] - place[b]) % count not in (1, count - 1)
    )


def choose(rng: random.Random, names: Sequence[str]) -> tuple[str, Pairs]:
    """Return some shape over the members in some order, and what it is called."""
    order = rng.sample(list(names), len(names))
    chance = rng.random()
    if chance < 0.5:
        return "one alone", divide(order, order[:1])
    if chance < 0.65:
        return "a minority", divide(order, order[: (len(order) - 1) // 2])
    if chance < 0.8 or len(order) < 5:
        return "a bridge", bridge(order)
    return "a ring", ring(order)


def choose_silence(rng: random.Random, names: Sequence[str]) -> tuple[str, list[tuple[str, str]]]:
    """Return channels that carry nothing though their links look well, and what that is called."""
    one, other = rng.sample(list(names), 2)
    rest = [name for name in names if name != one]
    kind = rng.randrange(4)
    if kind == 0:
        return "one mute", [(one, name) for name in rest]
    if kind == 1:
        return "one deaf", [(name, one) for name in rest]
    return "one way silent", [(one, other)]


def _pairs(names: Sequence[str]) -> Sequence[tuple[str, str]]:
    return [(a, b) for a in sorted(names) for b in sorted(names) if a < b]
