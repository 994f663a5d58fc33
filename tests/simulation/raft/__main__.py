"""Run seeds from the command line: `python -m tests.simulation.raft FIRST COUNT [SECONDS]`."""

import sys
import time
from collections import Counter

from tests.simulation.raft.ledger import Violation
from tests.simulation.raft.world import Plan, World


def main() -> int:
    """Print each failing seed; return how many failed."""
    first, count = int(sys.argv[1]), int(sys.argv[2])
    load_s = float(sys.argv[3]) if len(sys.argv) > 3 else 20.0
    seen: Counter[str] = Counter()
    failed = 0
    began_s = time.monotonic()
    for seed in range(first, first + count):
        world = World(Plan.of(seed, load_s))
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
