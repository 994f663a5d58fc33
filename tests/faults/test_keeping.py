"""What schedulers keep in the log, while masters and schedulers are killed."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from master.ctl.cluster import EmbeddedCluster
from rlog.spaces.messages import Change, Condition
from schedulers.keeper import Keeper, Refusal
from tests.faults.crowd import introduce
from tests.faults.elected import AHEAD
from tests.faults.stage import find_leader, play, staged, until, until_whole

ROUNDS = 3
JOBS = 40
WRITERS = 4


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    with staged(tmp_path_factory.mktemp("keeping"), agents=1) as started:
        yield started


def test_counter_counts_every_acknowledged_step_once(cluster: EmbeddedCluster) -> None:
    """Writers that race by compare-and-set, over leaders that die, and a watcher beside them."""

    async def scene() -> None:
        framework = introduce(cluster, "counting")
        is_over = asyncio.Event()
        async with Keeper(framework, "counter") as keeper:
            await keeper.store("steps", b"0", 0)
            seen: list[int] = []
            watching = asyncio.create_task(watch(keeper, seen))
            writing = [asyncio.create_task(count(keeper, is_over)) for _ in range(WRITERS)]
            for _ in range(ROUNDS):
                await until(lambda: len(seen) % 7 == 6, "counting goes on")
                victim = cluster.masters[await find_leader(cluster)]
                victim.kill()
                await until_longer(seen, 5)
                victim.start()
                await until_whole(cluster)
            is_over.set()
            steps = sum(await asyncio.gather(*writing))
            item = (await keeper.fetch("steps"))["steps"]
            await until(lambda: seen[-1:] == [steps], "the last step is seen")
            watching.cancel()
            assert int(item.value) == steps
            assert seen == list(range(1, steps + 1))
            print(f"{steps} steps by {WRITERS} writers over {ROUNDS} leaders killed")

    play(scene())


async def until_longer(seen: list[int], more: int) -> None:
    before = len(seen)
    await until(lambda: len(seen) > before + more, "counting goes on again")


async def count(keeper: Keeper, is_over: asyncio.Event) -> int:
    """Add one again and again; return how often that was acknowledged."""
    steps = 0
    while not is_over.is_set():
        item = (await keeper.fetch("steps"))["steps"]
        following = b"%d" % (int(item.value) + 1)
        try:
            await keeper.transact(
                (Change("steps", following),), (Condition("steps", item.version),)
            )
        except Refusal as refusal:
            assert refusal.reason == "CONFLICT"
        else:
            steps += 1
    return steps


async def watch(keeper: Keeper, seen: list[int]) -> None:
    async for revision in keeper.watch("steps", after=1):
        seen.extend(int(change.value) for change in revision.changes)


class Replicas:
    """Replicas of one scheduler, each a process, and what their jobs have written."""

    def __init__(self, cluster: EmbeddedCluster, directory: Path) -> None:
        self._cluster, self._directory = cluster, directory
        self._ledger = directory / "ledger"
        self._ledger.touch()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        target = self._cluster.target
        with self._output(name).open("wb") as output:
            self.processes[name] = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.faults.elected", ",".join(target.masters)),
                    *(target.credentials, name, str(JOBS), str(self._ledger)),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def leader(self) -> str:
        """Return the newest that leads and lives, empty when there is none."""
        alive = [name for name, process in self.processes.items() if process.poll() is None]
        led = [name for name in alive if f"{name} leads" in self._output(name).read_text()]
        return led[-1] if led else ""

    def ran(self) -> list[str]:
        return self._ledger.read_text().split()

    def has_run(self, count: int) -> bool:
        return len(self.ran()) >= count

    def has_finished(self) -> bool:
        """Whether one has ended by itself, content."""
        return any(process.poll() == 0 for process in self.processes.values())

    def end(self) -> None:
        for name, process in self.processes.items():
            process.kill()
            process.wait()
            print(f"--- {name}\n{self._output(name).read_text()[-2000:]}")

    def _output(self, name: str) -> Path:
        return self._directory / f"{name}.out"


def test_standby_takes_over_from_a_killed_scheduler_and_repeats_nothing(
    cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    replicas = Replicas(cluster, tmp_path)

    async def scene() -> None:
        replicas.start("first")
        replicas.start("second")
        for killed in range(2):
            await until(lambda: bool(replicas.leader()), "a scheduler leads")
            await until(partial(replicas.has_run, (killed + 1) * JOBS // 4), "it launches")
            replicas.processes[replicas.leader()].kill()
            killed_s, under_way = time.monotonic(), len(replicas.ran()) + AHEAD
            await until(partial(replicas.has_run, under_way + 1), "another one launches")
            print(f"from the kill to launches again: {time.monotonic() - killed_s:.2f} s")
            replicas.start(f"further-{killed}")
        await until(partial(replicas.has_run, JOBS), "all jobs have run")
        await until(replicas.has_finished, "the last leader has nothing left to do")
        assert sorted(replicas.ran()) == sorted(f"job-{number}" for number in range(JOBS))

    try:
        play(scene())
    finally:
        replicas.end()
