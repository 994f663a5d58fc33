"""Run seeds: `python -m tests.simulation --seeds 1000`, or one in detail: `--seed 17`.

Each seed is run in each world: `cluster` (masters, agents, schedulers), `keeping` (masters and
those who keep state in them) and `log` (Raft and its store alone), or only in `--world`.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import sys
import time
import zlib
from collections.abc import Callable

from tests.simulation.keeping.world import run_keeping_seed
from tests.simulation.loop import quiet_leftovers
from tests.simulation.mutations import MUTATIONS
from tests.simulation.raft.world import run_log_seed
from tests.simulation.world import Outcome, run_seed

WORLDS: dict[str, Callable[[int], Outcome]] = {
    "cluster": run_seed,
    "keeping": run_keeping_seed,
    "log": run_log_seed,
}
PROGRESS_S = 10.0  # between lines of progress where nobody looks at a terminal


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--world", choices=[*WORLDS, "all"], default="all")
    parser.add_argument("--seeds", type=int, default=50, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int, help="only this one, with its story")
    parser.add_argument("--fingerprint", action="store_true", help="what two equal runs share")
    parser.add_argument("--mutation", choices=list(MUTATIONS), help="put this mistake back")
    parser.add_argument("--until-broken", action="store_true", help="stop at the first finding")
    chosen = parser.parse_args()
    quiet_leftovers()
    mutation = MUTATIONS[chosen.mutation] if chosen.mutation else None
    worlds = list(WORLDS) if chosen.world == "all" else [chosen.world]
    if mutation and chosen.world == "all":
        worlds = [mutation.world]
    failed = 0
    with mutation.put_back() if mutation else contextlib.nullcontext():
        for world in worlds:
            if chosen.seed is not None:
                failed += run_one(world, chosen.seed, is_fingerprinted=chosen.fingerprint)
                continue
            seeds = range(chosen.first, chosen.first + chosen.seeds)
            failed += run_many(world, seeds, is_stopping=chosen.until_broken)
    return min(failed, 1)


def run_one(world: str, seed: int, *, is_fingerprinted: bool) -> int:
    outcome = WORLDS[world](seed)
    print("\n".join(outcome.story))
    if is_fingerprinted:
        story = zlib.crc32("\n".join(outcome.story).encode())
        print(f"fingerprint {story:08x} {outcome.messages} messages {outcome.virtual_s!r} s")
    print(f"{world}: {outcome.broken or 'every promise held'}")
    return 1 if outcome.broken else 0


class Progress:
    """How far a run is, told on a terminal or now and then in a file."""

    def __init__(self, world: str, count: int) -> None:
        self._world, self._count = world, count
        self._told_s = time.monotonic()

    def tell(self, done: int, broken: int) -> None:
        line = f"{self._world}: {done}/{self._count} seeds, {broken} broken"
        if sys.stderr.isatty():
            print(f"\r{line}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._told_s > PROGRESS_S:
            self._told_s = time.monotonic()
            print(line, file=sys.stderr, flush=True)


def run_many(world: str, seeds: range, *, is_stopping: bool) -> int:
    started_s = time.monotonic()
    progress = Progress(world, len(seeds))
    seen: collections.Counter[str] = collections.Counter()
    broken: list[int] = []
    virtual_s, done = 0.0, 0
    for done, seed in enumerate(seeds, 1):
        outcome = WORLDS[world](seed)
        seen += outcome.seen
        virtual_s += outcome.virtual_s
        if outcome.broken:
            broken.append(seed)
            print(f"{world} seed {seed}: {outcome.broken}", flush=True)
        progress.tell(done, len(broken))
        if broken and is_stopping:
            break
    real_s = time.monotonic() - started_s
    print(
        f"{world}: {done} seeds, {len(broken)} broken;"
        f" {virtual_s:.0f} virtual seconds in {real_s:.0f} s"
    )
    print("seen: " + ", ".join(f"{name} {count}" for name, count in sorted(seen.items())))
    for seed in broken:
        print(f"replay: python -m tests.simulation --world {world} --seed {seed}")
    return len(broken)


if __name__ == "__main__":
    sys.exit(main())
