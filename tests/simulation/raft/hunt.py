"""Find the first seed that notices each mutant.

`python -m tests.simulation.raft.hunt [SEEDS] [WORD]`: only mutants with this word in their name.
"""

import sys

from tests.simulation.raft.mutants import Mutant, mutants
from tests.simulation.raft.plan import Plan
from tests.simulation.raft.world import World


def first_noticing(mutant: Mutant, seeds: range) -> tuple[int, str] | None:
    """Return the first seed under which the mistake is noticed, and how."""
    changes = ((mutant.owner, mutant.name, mutant.replacement), *mutant.also)
    originals = [(owner, name, owner.__dict__[name]) for owner, name, _ in changes]
    for owner, name, replacement in changes:
        setattr(owner, name, replacement)
    try:
        for seed in seeds:
            try:
                World(Plan.of(seed, theme=mutant.theme)).run()
            except Exception as error:
                return seed, repr(error)
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)
    return None


def main() -> int:
    """Print what noticed each mutant; return how many went unnoticed."""
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    missed = 0
    for mutant in mutants():
        if word not in mutant.mistake:
            continue
        found = first_noticing(mutant, seeds)
        missed += found is None
        outcome = "MISSED" if found is None else f"seed {found[0]}, {found[1]}"
        print(f"{mutant.mistake} [{mutant.theme}]: {outcome}", flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(main())
