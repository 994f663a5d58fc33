"""Power cuts: a machine with three members loses it, boots, and must hold all it acknowledged.

`python -m tests.faults.power_cuts --cuts 50 [--seed N]`
"""

import argparse
import itertools
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.uml import ROOT, Machine, booted, make_disk

MEMBERS = 3
BOOT_S_MAX = 120.0  # to a leader; a guest that never gets there is a finding
RUNS_S_MAX = 2.0  # from the first acknowledgement to the cut
GUEST = (str(ROOT / ".venv/bin/python"), "-m", "tests.faults.power_cut_guest", str(MEMBERS))


@dataclass(slots=True)
class Tally:
    """What was acknowledged so far, and what became of it."""

    acknowledged: set[int] = field(default_factory=set)
    cuts: int = 0
    held: int = 0  # numbers found after the last boot

    def check(self, words: list[str]) -> None:
        """See that a booted log holds all that was acknowledged, in order, each once."""
        numbers = [number for word in words for number in _range(word)]
        assert all(a < b for a, b in itertools.pairwise(numbers)), (
            f"after cut {self.cuts} the log repeats numbers or has them out of order: {words}"
        )
        lost = sorted(self.acknowledged - set(numbers))
        assert not lost, f"after cut {self.cuts}, {len(lost)} acknowledged are lost: {lost[:9]}"
        self.held = len(numbers)


def _range(word: str) -> Iterator[int]:
    first, last = map(int, word.split("-"))
    yield from range(first, last + 1)


def cut(machine: Machine, tally: Tally, rng: random.Random) -> None:
    """Check what a booted log holds; let it acknowledge for a while, then cut the power."""
    said: list[str] = []
    has_cut = False
    deadline = threading.Timer(BOOT_S_MAX, machine.cut_power)
    deadline.start()
    try:
        for line in machine.lines():
            said.append(line)
            word, *words = line.split() or [""]
            if word == "HELD":
                tally.check(words)
            elif word == "ACK":
                for each in words:
                    tally.acknowledged.update(_range(each))
                if not has_cut:
                    deadline.cancel()
                    deadline = threading.Timer(rng.random() * RUNS_S_MAX, machine.cut_power)
                    deadline.start()
                    has_cut = True
    finally:
        deadline.cancel()
    assert has_cut, "the guest acknowledged nothing:\n" + "\n".join(said[-30:])
    tally.cuts += 1


def torment(directory: Path, cuts: int, seed: int, *, is_forgetful: bool = False) -> Tally:
    """Cut the power again and again; check once more at the end. Raises: AssertionError.

    Forgetful: the journals are opened without fsync, to see that this is noticed.
    """
    command = (*GUEST, "forgetful") if is_forgetful else GUEST
    rng, tally = random.Random(seed), Tally()
    disks = [directory / f"disk{place}.img" for place in range(MEMBERS)]
    for disk in disks:
        make_disk(disk)
    for number in range(cuts + 1):
        began_s = time.monotonic()
        with booted(directory, disks, command) as machine:
            cut(machine, tally, rng)
        print(
            f"boot {number}: held {tally.held}, acknowledged by now {len(tally.acknowledged)},"
            f" {time.monotonic() - began_s:.1f} s",
            flush=True,
        )
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.power_cuts", description=__doc__)
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.Random().randrange(10**6))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}")
    with tempfile.TemporaryDirectory(prefix="quorate-power-") as name:
        tally = torment(Path(name), chosen.cuts, chosen.seed)
    print(
        f"{chosen.cuts} cuts survived: {tally.held} numbers held in order, none twice,"
        " all that was acknowledged before the last cut among them"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
