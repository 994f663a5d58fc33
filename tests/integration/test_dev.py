"""`quorate dev`: a cluster in the foreground that other commands find by themselves."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters import SLEEPER, wait_for
from tests.shell import Command, processes_in, run_quorate, running_quorate


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Command]:
    home = tmp_path / "home"
    home.mkdir()
    with running_quorate(home, "dev", "--masters", "1", "--agents", "1") as dev:
        dev.wait_for_text("ctrl-C ends everything.")
        yield dev


def test_dev_cluster_is_found_and_ends_with_all_its_tasks(dev: Command, tmp_path: Path) -> None:
    home = tmp_path / "home"
    ran = run_quorate(home, "run", "--name", "left", "--detach", "--shell", "--", SLEEPER)
    assert ran.returncode == 0, ran.stderr
    (name,) = ran.stdout.splitlines()

    def look() -> list[int]:
        tasks = json.loads(run_quorate(home, "ps", "-o", "json").stdout)
        return [task["pid"] for task in tasks if task["state"] == "RUNNING"]

    (pid,) = wait_for(look, f"{name} to run")
    second = run_quorate(home, "dev")
    assert second.returncode == 1
    assert second.stderr.startswith("quorate: a dev cluster runs already, at 127.0.0.1:")

    assert dev.interrupt(signal.SIGINT) == 0
    assert dev.said.splitlines()[-1].startswith("files and logs are left in ")
    assert not Path(f"/proc/{pid}").exists()
    assert processes_in(home, dev.process.pid) == []
    assert not (home / ".quorate" / "dev.json").exists()
    lost = run_quorate(home, "ps")
    assert lost.returncode == 2
    assert lost.stderr.startswith("quorate: no secret for 127.0.0.1:7000: ")
