"""Run seeds: `python -m tests.simulation --seeds 1000`, or one in detail: `--seed 17`."""

from __future__ import annotations

import argparse
import collections
import contextlib
import sys
import time
import zlib

from tests.simulation.loop import quiet_leftovers
from tests.simulation.mutations import MUTATIONS
from tests.simulation.world import Outcome, run_seed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=50, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int, help="only this one, with its story")
    parser.add_argument("--fingerprint", action="store_true", help="what two equal runs share")
    parser.add_argument("--mutation", choices=list(MUTATIONS), help="put this mistake back")
    parser.add_argument("--until-broken", action="store_true", help="stop at the first finding")
    chosen = parser.parse_args()
    quiet_leftovers()
    mistake = MUTATIONS[chosen.mutation]() if chosen.mutation else contextlib.nullcontext()
    with mistake:
        if chosen.seed is not None:
            return run_one(chosen.seed, is_fingerprinted=chosen.fingerprint)
        seeds = range(chosen.first, chosen.first + chosen.seeds)
        return run_many(seeds, is_stopping=chosen.until_broken)


def run_one(seed: int, *, is_fingerprinted: bool) -> int:
    outcome = run_seed(seed)
    print("\n".join(outcome.story))
    if is_fingerprinted:
        story = zlib.crc32("\n".join(outcome.story).encode())
        print(f"fingerprint {story:08x} {outcome.messages} messages {outcome.virtual_s!r} s")
    print(outcome.broken or "every promise held")
    return 1 if outcome.broken else 0


def run_many(seeds: range, *, is_stopping: bool) -> int:
    started_s = time.monotonic()
    outcomes: list[Outcome] = []
    for seed in seeds:
        outcomes.append(run_seed(seed))
        if sys.stderr.isatty():
            print(f"\r{len(outcomes)}/{len(seeds)} seeds", end="", file=sys.stderr, flush=True)
        if outcomes[-1].broken:
            print(f"seed {seed}: {outcomes[-1].broken}", flush=True)
            if is_stopping:
                break
    return report(outcomes, time.monotonic() - started_s)


def report(outcomes: list[Outcome], real_s: float) -> int:
    broken = [outcome for outcome in outcomes if outcome.broken]
    faults = sum((outcome.faults for outcome in outcomes), collections.Counter[str]())
    print(
        f"{len(outcomes)} seeds, {len(broken)} broken; {sum(o.tasks for o in outcomes)} tasks,"
        f" {faults.total()} faults, {sum(o.comparisons for o in outcomes)} states compared;"
        f" {sum(o.virtual_s for o in outcomes):.0f} virtual seconds in {real_s:.0f} s"
    )
    print("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(faults.items())))
    for outcome in broken:
        print(f"replay: python -m tests.simulation --seed {outcome.seed}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
