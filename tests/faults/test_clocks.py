"""Clocks that are set by an hour, and clocks that go wrong: nothing is over before its time."""

import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from master.ctl.cluster import EmbeddedCluster
from tests.faults.crowd import Crowd, Stream, driving, introduce
from tests.faults.shim import set_clock
from tests.faults.stage import find_leader, identify_processes, play, staged, until_whole

HOUR_S = 3600
PACES = (0.8, 1.0, 1.2, 1.2)  # of the masters, then of the agent
SLEEPERS = {f"sleeper-{number}": "exec sleep 1000" for number in range(3)}
CLOCK = struct.Struct("=qq")  # ahead in nanoseconds, pace in millionths


class Clocks:
    """The clocks of a cluster's processes, one file each."""

    def __init__(self, directory: Path, count: int) -> None:
        self.paths = [directory / f"clock-{place}" for place in range(count)]
        for path, pace in zip(self.paths, PACES, strict=True):
            path.write_bytes(CLOCK.pack(0, round(pace * 1e6)))

    def set(self, place: int, ahead_s: int) -> None:
        """Set one process's wall clock; others see nothing of it."""
        with self.paths[place].open("r+b") as file:
            file.write(struct.pack("=q", ahead_s * 10**9))


@pytest.fixture
def stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[EmbeddedCluster, Clocks]]:
    """Three masters and an agent, each with clocks of its own that go wrong by a fifth."""
    library = set_clock(tmp_path)
    with staged(tmp_path / "cluster", agents=1) as cluster:
        clocks = Clocks(tmp_path, len(cluster.children))
        for child, path in zip(cluster.children, clocks.paths, strict=True):
            child.kill()
            monkeypatch.setenv("LD_PRELOAD", str(library))
            monkeypatch.setenv("CLOCK", str(path))
            child.start()
            monkeypatch.undo()
        play(until_whole(cluster))
        for child, path in zip(cluster.children, clocks.paths, strict=True):
            assert str(path) in Path(f"/proc/{child.pid}/maps").read_text()
        yield cluster, clocks


def test_clocks_that_are_set_end_nothing_before_its_time(
    stage: tuple[EmbeddedCluster, Clocks], tmp_path: Path
) -> None:
    cluster, clocks = stage

    async def scene() -> None:
        stream, crowd = Stream(tmp_path / "ledger"), Crowd()
        async with (
            driving(introduce(cluster, "sleepers"), crowd) as sleeping,
            driving(introduce(cluster, "stream"), stream),
        ):
            crowd.submit(sleeping, SLEEPERS)
            before = identify_processes(await crowd.pids(list(SLEEPERS)))
            for ahead_s in (HOUR_S, -HOUR_S, 0):
                for place in range(len(clocks.paths)):
                    clocks.set(place, ahead_s)
                    await stream.next_accept(time.monotonic())
            leader = await find_leader(cluster)
            clocks.set(leader, -HOUR_S)  # whoever follows it knows a later time
            cluster.masters[leader].kill()
            await stream.next_accept(time.monotonic())
            cluster.masters[leader].start()
            await until_whole(cluster)
            await stream.next_accept(time.monotonic())
            await stream.dry_up()
            assert identify_processes(await crowd.pids(list(SLEEPERS))) == before
            assert crowd.over == {}
        stream.check_ledger()

    play(scene())
