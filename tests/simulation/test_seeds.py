"""Seeds of the whole cluster, and the proof that broken code does not survive them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.mutations import MUTATIONS

ROOT = Path(__file__).parents[2]
SEEDS = 60
HALVES = 2  # processes side by side
MUTATION_SEEDS_MAX = 12
FOUND = [
    line.split(maxsplit=1)
    for line in (Path(__file__).parent / "found.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.simulation", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_cluster_keeps_its_promises_under_seeded_faults() -> None:
    share = SEEDS // HALVES
    running = [
        start("--first", str(1 + half * share), "--seeds", str(share)) for half in range(HALVES)
    ]
    told = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * HALVES, "\n".join(told)


@pytest.mark.parametrize(("seed", "mistake"), FOUND)
def test_what_a_seed_once_found_stays_mended(seed: str, mistake: str) -> None:
    process = start("--seed", seed)
    told, _ = process.communicate()
    assert process.returncode == 0, f"{mistake}:\n{told}"


def test_a_seed_replays_exactly() -> None:
    first, second = (start("--seed", "7", "--fingerprint").communicate()[0] for _ in range(2))
    assert "fingerprint" in first
    assert first == second


@pytest.mark.parametrize("name", MUTATIONS)
def test_simulation_finds_a_mistake_put_back(name: str) -> None:
    process = start("--mutation", name, "--seeds", str(MUTATION_SEEDS_MAX), "--until-broken")
    told, _ = process.communicate()
    assert process.returncode == 1, f"{name} survived {MUTATION_SEEDS_MAX} seeds:\n{told}"
    assert "broken" in told
