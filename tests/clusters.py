"""Real clusters for integration tests: child processes on loopback, driven by the command line."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from master.ctl.asking import quieten
from master.ctl.cluster import EmbeddedCluster
from master.ctl.objects import plain_task

POLL_S = 0.05
WAIT_S_MAX = 60.0  # a loaded machine is slow, not wrong
COMMAND_S_MAX = 90.0
RUN_END_S_MAX = 20.0
SLEEPER = "echo ready; while :; do sleep 0.1; done"

T = TypeVar("T")


@contextmanager
def running_cluster(
    masters: int,
    agents: int,
    directory: Path,
    settings: Sequence[str] = (),
    resources: str = "",
) -> Iterator["Cluster"]:
    """A cluster that is up, and gone with all it started at the end."""
    quieten()
    cluster = Cluster(
        EmbeddedCluster(masters, agents, directory, settings=settings, resources=resources)
    )
    try:
        asyncio.run(cluster.embedded.start())
        yield cluster
    finally:
        cluster.end_runs()
        asyncio.run(cluster.embedded.stop())


class Cluster:
    """An embedded cluster as an operator at a shell uses it."""

    def __init__(self, embedded: EmbeddedCluster) -> None:
        self.embedded = embedded
        self._runs: list[subprocess.Popen[str]] = []

    def quorate(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "master.ctl", *arguments],
            capture_output=True,
            text=True,
            env=self.environment(),
            timeout=COMMAND_S_MAX,
            check=False,
        )

    def ask(self, *arguments: str) -> list[dict[str, Any]]:
        """Return what a command prints as JSON."""
        ran = self.quorate(*arguments, "-o", "json")
        assert ran.returncode == 0, ran.stderr
        found = json.loads(ran.stdout)
        assert isinstance(found, list)
        return found

    def run(self, name: str, command: str, *arguments: str) -> subprocess.Popen[str]:
        """Start `quorate run` and leave it running; it is ended with the cluster."""
        run = subprocess.Popen(
            [
                *(sys.executable, "-m", "schedulers.run", "--name", name),
                *(*arguments, "--shell", "--", command),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(),
        )
        self._runs.append(run)
        return run

    def end_runs(self) -> None:
        """Interrupt every run: each ends its tasks, and itself."""
        for run in self._runs:
            run.terminate()
        for run in self._runs:
            try:
                run.communicate(timeout=RUN_END_S_MAX)
            except subprocess.TimeoutExpired:
                run.kill()
                run.communicate()
        self._runs.clear()

    def task(self, name: str) -> dict[str, Any] | None:
        """Return the newest task with this id, None when there is none."""
        views = asyncio.run(self.embedded.list_tasks(is_all=True))
        found = [view for view in views if view.status.task_id == name]
        return plain_task(found[-1]) if found else None

    def running(self, name: str) -> dict[str, Any]:
        """Return the task once it runs."""

        def look() -> dict[str, Any] | None:
            task = self.task(name)
            return task if task and task["state"] == "RUNNING" else None

        return wait_for(look, f"{name} to run")

    def settle(self) -> None:
        """Start what was killed and return once everything is connected."""
        for child in self.embedded.children:
            if not child.is_running:
                child.start()
        asyncio.run(self.embedded.settle())

    def leader(self) -> int:
        """Return the place of the leading master, once there is one."""
        return wait_for(lambda: self._leader_plus_one(), "a leader") - 1

    def _leader_plus_one(self) -> int:
        place = asyncio.run(self.embedded.leader())
        return 0 if place is None else place + 1

    def environment(self) -> dict[str, str]:
        target = self.embedded.target
        return {
            **os.environ,
            "HOME": str(self.embedded.directory),
            "QUORATE_MASTERS": ",".join(target.masters),
            "QUORATE_CREDENTIALS": target.credentials,
        }


def wait_for(look: Callable[[], T | None], what: str) -> T:
    """Return what `look` finds as soon as it finds something."""
    deadline_s = time.monotonic() + WAIT_S_MAX
    while not (found := look()):
        assert time.monotonic() < deadline_s, f"waited {WAIT_S_MAX:.0f} s for {what}"
        time.sleep(POLL_S)
    return found


def is_alive(pids: Sequence[int]) -> bool:
    return all(Path(f"/proc/{pid}").exists() for pid in pids)
