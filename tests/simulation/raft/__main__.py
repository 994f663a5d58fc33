"""Run seeds: `python -m tests.simulation.raft FIRST COUNT [SECONDS] [THEME]`."""

import sys
import time
from collections import Counter

from tests.simulation.raft.ledger import Violation
from tests.simulation.raft.plan import LOAD_S, Plan, Theme
from tests.simulation.raft.world import World


def main() -> int:
    """Print each failing seed; return how many failed."""
    first, count = int(sys.argv[1]), int(sys.argv[2])
    load_s = float(sys.argv[3]) if len(sys.argv) > 3 else LOAD_S
    theme = Theme(sys.argv[4]) if len(sys.argv) > 4 else None
    seen: Counter[str] = Counter()
    failed = 0
    began_s = time.monotonic()
    for seed in range(first, first + count):
        world = World(Plan.of(seed, load_s, theme))
        try:
            world.run()
        except (Violation, AssertionError) as violation:
            failed += 1
            print(f"seed {seed} at {world.agenda.now_s:.3f}: {violation!r}", flush=True)
        seen += world.ledger.seen
    print(f"{count} seeds, {failed} failed, {time.monotonic() - began_s:.1f} s, {dict(seen)}")
    return min(failed, 100)


if __name__ == "__main__":
    sys.exit(main())
