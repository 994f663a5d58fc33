"""The benchmarks can be run: nothing else says so until somebody needs a figure."""

import os
import subprocess
import sys

import pytest

from tests.bench.__main__ import claim, names
from tests.bench.measure import ROOT, cpu_s, describe_place, percentile


@pytest.mark.parametrize("name", names())
def test_benchmark_says_what_it_measures(name: str) -> None:
    assert claim(name)


def test_runner_lists_every_benchmark() -> None:
    command = [sys.executable, "-m", "tests.bench", "--list"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(names())


def test_runner_refuses_a_benchmark_that_is_not_there() -> None:
    command = [sys.executable, "-m", "tests.bench", "absent"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "no benchmark absent; there are" in refused.stderr


def test_percentile_is_a_sample_that_its_share_does_not_exceed() -> None:
    samples = [float(number) for number in range(100, 0, -1)]
    assert percentile(samples, 0.5) == 51.0
    assert percentile(samples, 0.99) == 100.0
    assert percentile([], 0.5) == 0.0


def test_processor_time_of_a_process_grows() -> None:
    assert cpu_s(os.getpid()) > 0.0


def test_place_names_the_python_that_ran() -> None:
    assert f"Python {sys.version.split()[0]}" in describe_place()
