"""Seeded runs; more of them: `python -m tests.simulation.raft FIRST COUNT [SECONDS]`."""

import os
import subprocess
import sys

import pytest

from tests.simulation.raft.hunt import first_noticing
from tests.simulation.raft.mutants import Mutant, mutants

RUN = (sys.executable, "-m", "tests.simulation.raft")
SEEDS, LOAD_S = 300, 6.0
PROCESSES = 2
WITHIN = 100  # seeds; each mutant that is not rare is noticed by one in ten of them or more


def test_every_seed_keeps_every_promise() -> None:
    """They run side by side in as many processes as help."""
    share = SEEDS // PROCESSES
    running = [
        subprocess.Popen(
            [*RUN, str(place * share), str(share), str(LOAD_S)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for place in range(PROCESSES)
    ]
    told = [process.communicate()[0] for process in running]
    print(*told)
    assert [process.returncode for process in running] == [0] * PROCESSES, "\n".join(told)


OBVIOUS = [mutant for mutant in mutants() if not mutant.is_rare]


@pytest.mark.parametrize("mutant", OBVIOUS, ids=lambda mutant: mutant.mistake)
def test_simulation_notices(mutant: Mutant) -> None:
    assert first_noticing(mutant, range(WITHIN)) is not None


def test_run_depends_on_nothing_but_its_seed() -> None:
    command = [*RUN, "2", "1", "4"]
    outputs = set()
    for hash_seed in ("1", "2"):
        environment = dict(os.environ, PYTHONHASHSEED=hash_seed)
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        outputs.add(ran.stdout.split(" s, ")[1])
    assert len(outputs) == 1
