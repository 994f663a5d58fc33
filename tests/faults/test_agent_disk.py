"""An agent whose disk is full says so and goes; its tasks run on, and it comes back."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.messages.values import TaskState
from tests.faults.disks import fill, small_disk
from tests.integration.scripted_master import cluster


@pytest.fixture
def work_dir(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "work", 8) as directory:
        yield directory


def test_full_disk_ends_the_agent_and_not_its_tasks(work_dir: Path) -> None:
    async def scene() -> None:
        async with cluster(work_dir) as (master, agent):
            await master.registration()
            master.launch(1, "t1", "exec sleep 100")
            running = await master.status(1, TaskState.RUNNING)
            filler = work_dir / "filler"
            fill(filler)
            for number in range(2, 200):
                master.launch(number, f"t{number}", "x" * 20_000)
            code, errors = await agent.wait()
            assert code == 1
            last = errors.splitlines()[-1]
            assert last.startswith("quorate agent: ")
            assert str(work_dir) in last
            assert "bytes free" in last
            os.kill(running.pid, 0)
            filler.unlink()
            await agent.start()
            told = await master.registration()
            assert told.tasks[0].pid == running.pid
            master.kill(1, "t1")
            await master.status(1, TaskState.KILLED)

    asyncio.run(scene())
