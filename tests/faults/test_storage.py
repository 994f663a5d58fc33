"""The store of a member under failing system calls and kills in the middle of everything."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlog.store import Store
from tests.faults.shim import failing_disk
from tests.faults.storing import CHUNK, POINTS, Claims

PROGRAM = [sys.executable, "-m", "tests.faults.storing"]
ROUNDS = 3


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield failing_disk(tmp_path_factory.mktemp("shim"))


@pytest.mark.parametrize("call", ["fdatasync", "pwrite"])
def test_failed_write_is_final_and_nothing_is_acknowledged_after_it(
    library: Path, tmp_path: Path, call: str
) -> None:
    failing = tmp_path / "failing"
    environment = dict(os.environ, LD_PRELOAD=str(library), FAILING=str(failing))
    command = [*PROGRAM, str(tmp_path / "log"), "-", str(failing), call]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 3, ran.stderr
    *claims, last = ran.stdout.splitlines()
    print(last)
    assert last.startswith("StorageLost ")
    assert str(tmp_path / "log") in last
    held = check(tmp_path / "log", Claims.read(claims))
    assert held >= 1


@pytest.mark.parametrize("point", POINTS)
def test_process_killed_at_a_step_restarts_with_all_it_acknowledged(
    tmp_path: Path, point: str
) -> None:
    claims = Claims()
    for _ in range(ROUNDS):
        command = [*PROGRAM, str(tmp_path / "log"), point]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == -signal.SIGKILL, f"{point} was never reached: {ran.stderr}"
        claims.add(ran.stdout.splitlines())
        check(tmp_path / "log", claims)


def check(directory: Path, claims: Claims) -> int:
    """See that a store opens, holds what was acknowledged, and that all of it is right."""
    store = Store(str(directory), "a:1", "red")
    assert store.durable >= claims.durable
    assert store.snapshot.index >= claims.snapshot
    content = store.load_snapshot()
    assert content is None or content == CHUNK * (len(content) // len(CHUNK))
    entries = store.range(store.first, store.last + 1, 1 << 40) if store.last >= store.first else []
    assert [entry.index for entry in entries] == list(range(store.first, store.last + 1))
    assert all(entry.command == b"%d" % entry.index * 100 for entry in entries)
    last = store.last
    store.close()
    return last
