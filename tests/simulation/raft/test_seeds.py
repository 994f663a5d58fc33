"""Seeded runs; more of them: `python -m tests.simulation.raft FIRST COUNT [SECONDS]`."""

import os
import subprocess
import sys

import pytest

from tests.simulation.raft.hunt import first_noticing
from tests.simulation.raft.mutants import Mutant, mutants
from tests.simulation.raft.plan import LOAD_S, Plan
from tests.simulation.raft.world import World

RUN = (sys.executable, "-m", "tests.simulation.raft")
SEEDS = 300
PROCESSES = 2
WITHIN = 100  # seeds; the first of each mutant is one that notices, as long as the code is this


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


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.mistake)
def test_simulation_notices(mutant: Mutant) -> None:
    """Of the code as it is, the seed that notices has nothing to say."""
    found = first_noticing(mutant, range(mutant.seed, mutant.seed + WITHIN))
    assert found is not None, "python -m tests.simulation.raft.hunt may find another seed"
    World(Plan.of(found[0], theme=mutant.theme)).run()


@pytest.mark.parametrize("seed", ["2", "35"])  # of bits that flip is the second
def test_run_depends_on_nothing_but_its_seed(seed: str) -> None:
    command = [*RUN, seed, "1", "4"]
    outputs = set()
    for hash_seed in ("1", "2"):
        environment = dict(os.environ, PYTHONHASHSEED=hash_seed)
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        outputs.add(ran.stdout.split(" s, ")[1])
    assert len(outputs) == 1
