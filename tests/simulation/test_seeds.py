"""Seeds of the whole cluster, and the proof that broken code does not survive them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.mutations import MUTATIONS

ROOT = Path(__file__).parents[2]
SEEDS = {"cluster": 60, "keeping": 12}
HALVES = 2  # processes side by side
MUTATION_SEEDS_MAX = 12
FOUND = [
    line.split(maxsplit=2)
    for line in (Path(__file__).parent / "found.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.parametrize("world", SEEDS)
def test_world_keeps_its_promises_under_seeded_faults(world: str) -> None:
    share = SEEDS[world] // HALVES
    of_world = ("--world", world, "--seeds", str(share))
    running = [start("--first", str(1 + half * share), *of_world) for half in range(HALVES)]
    told = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * HALVES, "\n".join(told)


@pytest.mark.parametrize(("world", "seed", "mistake"), FOUND)
def test_what_a_seed_once_found_stays_mended(world: str, seed: str, mistake: str) -> None:
    process = start("--world", world, "--seed", seed)
    told, _ = process.communicate()
    assert process.returncode == 0, f"{mistake}:\n{told}"


@pytest.mark.parametrize("world", SEEDS)
def test_a_seed_replays_exactly(world: str) -> None:
    replay = ("--world", world, "--seed", "7", "--fingerprint")
    first, second = (start(*replay).communicate()[0] for _ in range(2))
    assert "fingerprint" in first
    assert first == second


@pytest.mark.parametrize("name", MUTATIONS)
def test_simulation_finds_a_mistake_put_back(name: str) -> None:
    process = start("--mutation", name, "--seeds", str(MUTATION_SEEDS_MAX), "--until-broken")
    told, _ = process.communicate()
    assert process.returncode == 1, f"{name} survived {MUTATION_SEEDS_MAX} seeds:\n{told}"
    assert "broken" in told
