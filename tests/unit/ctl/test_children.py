"""Child processes: they end when asked, and by force when they do not listen."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from master.ctl.children import Child, free_ports, kill_leftovers, stop_all


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that says that it runs and then sleeps; with an argument it ignores SIGTERM."""
    (tmp_path / "sleeper.py").write_text(
        "import signal, sys, time\n"
        "if sys.argv[1:]: signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "sleeper"


def started(child: Child) -> Child:
    child.start()
    deadline_s = time.monotonic() + 10
    while "ready" not in child.tail():
        assert time.monotonic() < deadline_s
    return child


def test_child_ends_when_asked(module: str, tmp_path: Path) -> None:
    child = started(Child("c", module, [], tmp_path / "c.log"))
    assert child.is_running
    stop_all([child])
    assert (child.is_running, child.exit_code) == (False, -15)


def test_child_that_does_not_listen_is_killed(module: str, tmp_path: Path) -> None:
    child = started(Child("c", module, ["deaf"], tmp_path / "c.log"))
    stop_all([child], patience_s=0.05)
    assert child.exit_code == -9


def test_child_can_be_started_again_and_adds_to_its_log(module: str, tmp_path: Path) -> None:
    child = started(Child("c", module, [], tmp_path / "c.log"))
    child.kill()
    first = child.pid
    child.start()
    deadline_s = time.monotonic() + 10
    while child.tail().count("ready") < 2:
        assert time.monotonic() < deadline_s
    assert child.pid != first
    child.kill()


def test_leftovers_are_found_by_their_sandbox(tmp_path: Path) -> None:
    environment = {"QUORATE_SANDBOX": f"{tmp_path}/a1/sandboxes/fw-1/t1.1"}
    left = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); import time; time.sleep(60)"],
        env=environment,
        stdout=subprocess.PIPE,
    )
    assert left.stdout is not None
    left.stdout.readline()
    assert kill_leftovers(tmp_path / "a") == 0
    assert kill_leftovers(tmp_path / "a1") == 1
    assert left.wait(10) == -9
    left.stdout.close()


def test_ports_are_free_and_different() -> None:
    ports = free_ports(3)
    assert len(set(ports)) == 3
