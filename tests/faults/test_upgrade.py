"""Masters of two versions in one cluster: upgraded one by one, taken back, and upgraded again."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from master.ctl.children import Child
from master.ctl.cluster import EmbeddedCluster
from tests.clusters import Cluster, wait_for

SHIM = "tests.faults.other_version"
LATER, EARLIER = "2", "1"


class Mixed:
    """Three masters whose versions are chosen at each start."""

    def __init__(self, directory: Path) -> None:
        self.cluster = Cluster(EmbeddedCluster(3, 0, directory))
        self.embedded = self.cluster.embedded
        self._words = [child._command[4:] for child in self.embedded.masters]
        for place in range(3):
            self.put(place, EARLIER)

    def put(self, place: int, version: str) -> Child:
        """Have the next start of a master be one of this version."""
        words = [version, "master", *self._words[place]]
        log = self.embedded.directory / f"m{place + 1}.log"
        child = self.embedded.masters[place] = Child(f"m{place + 1}", SHIM, words, log)
        return child

    def restart(self, place: int, version: str) -> None:
        """Replace the program of a master that runs, and wait until all are together again."""
        self.end(place)
        self.put(place, version).start()
        wait_for(self.is_whole, "all to be together")

    def end(self, place: int) -> None:
        child = self.embedded.masters[place]
        child.terminate()
        wait_for(lambda: not child.is_running, f"{child.name} to end")

    def is_whole(self) -> bool:
        views = self.look()
        behind = {view["applied"] for view in views}
        roles = sorted(view["role"] for view in views)
        return roles == ["follower", "follower", "leader"] and len(behind) == 1

    def look(self) -> list[dict[str, Any]]:
        return list(json.loads(self.cluster.quorate("masters", "-o", "json").stdout or "[]"))

    def lead(self, place: int) -> None:
        self.do("masters", "transfer", self.embedded.addresses[place])

    def do(self, *words: str) -> None:
        ran = self.cluster.quorate(*words)
        assert ran.returncode == 0, ran.stderr + self.embedded.tails()

    def refusal(self, *words: str) -> str:
        """Return why a command was refused."""
        ran = self.cluster.quorate(*words)
        assert ran.returncode == 1, ran.stdout
        return ran.stderr

    def tool(self, version: str, place: int, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of the tools for directories, of a version, on a master's."""
        child = self.embedded.masters[place]
        directory = str(self.embedded.directory / child.name)
        command = [sys.executable, "-m", SHIM, version, "master.ctl", *words]
        return subprocess.run(
            [*command, "--data-dir", directory], capture_output=True, text=True, check=False
        )


@pytest.fixture
def mixed(tmp_path: Path) -> Iterator[Mixed]:
    mixed = Mixed(tmp_path / "cluster")
    try:
        asyncio.run(mixed.embedded.start())
        yield mixed
    finally:
        asyncio.run(mixed.embedded.stop())


QUOTA = ("quota", "set", "web", "--limit", "cpus:4")


def test_masters_are_upgraded_one_by_one_and_back_until_something_new_is_used(
    mixed: Mixed,
) -> None:
    addresses = mixed.embedded.addresses
    mixed.do("weight", "web", "2")
    mixed.restart(0, LATER)
    mixed.lead(0)
    mixed.do("weight", "web", "3")
    told = mixed.refusal(*QUOTA)
    assert "needs version 2 of the log" in told
    assert f"knows versions up to 1; upgrade {addresses[1]} first" in told
    mixed.restart(0, EARLIER)
    mixed.do("weight", "web", "4")
    for place in range(3):
        mixed.restart(place, LATER)
    mixed.do(*QUOTA)
    wait_for(mixed.is_whole, "all to have it")
    states = {mixed.tool(LATER, place, "log", "replay").stdout for place in range(3)}
    assert len(states) == 1
    assert "web" in states.pop()


def test_master_of_before_stops_at_what_is_newer_and_harms_nothing(mixed: Mixed) -> None:
    for place in range(3):
        mixed.restart(place, LATER)
    mixed.do(*QUOTA)
    for written in ("an entry", "a snapshot"):
        text = f"{written} of the log is of version 2, and this program knows versions up to 1"
        mixed.end(1)
        older = mixed.put(1, EARLIER)
        older.log.unlink()
        older.start()
        wait_for(lambda: not mixed.embedded.masters[1].is_running, "the older one to stop")
        [line] = [each for each in older.tail(100).splitlines() if each.startswith("quorate ")]
        assert text in line
        assert not list(mixed.embedded.directory.rglob("data.mdb.damaged*"))
        mixed.do("weight", "web", "5")
        for words in (("log", "replay"), ("log", "verify")):
            ran = mixed.tool(EARLIER, 0, *words)
            assert (ran.returncode, text in ran.stdout + ran.stderr) == (1, True)
            assert "empty" not in ran.stderr
        mixed.put(1, LATER).start()
        wait_for(mixed.is_whole, "it to be back")
        mixed.do("log", "compact")
