"""The framework of docs/first-framework.md: it is short, its types are right, and it works."""

import asyncio
import re
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from mypy import api
from structlog.testing import capture_logs

from protocol.messages.framework import Accept, LaunchTask, Revive
from protocol.messages.values import TaskState, TaskStatus
from schedulers import Driver, Framework
from tests.unit.schedulers.fake_master import FakeMaster

DOCUMENT = Path(__file__).parents[3] / "docs" / "first-framework.md"


@pytest.fixture(scope="module")
def program() -> str:
    [block] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return str(block)


def make_driver(program: str, master: FakeMaster) -> Driver:
    """A driver of the program's scheduler, whose subscription wakes who waits on the master."""
    module: Any = types.ModuleType("keep")
    exec(compile(program, str(DOCUMENT), "exec"), module.__dict__)

    class Watched(module.KeepRunning):  # type: ignore[misc]
        def subscribed(self, driver: Driver, tasks: Sequence[TaskStatus]) -> None:
            master.tell()

    return Driver(Framework("keep", masters=master.address), Watched())


def launched(master: FakeMaster) -> list[str]:
    return [
        operation.description.task_id
        for accept in master.all_of(Accept)
        for operation in accept.operations
        if isinstance(operation, LaunchTask)
    ]


def test_first_framework_is_short(program: str) -> None:
    assert len(program.splitlines()) < 50


def test_first_framework_has_right_types(program: str, tmp_path: Path) -> None:
    path = tmp_path / "keep.py"
    path.write_text(program)
    found, trouble, status = api.run(["--strict", "--follow-imports=silent", str(path)])
    assert (status, trouble) == (0, ""), found


def test_first_framework_keeps_three_tasks_running(
    program: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def main() -> None:
        master = FakeMaster()
        await master.start()
        driver = make_driver(program, master)
        running = asyncio.create_task(driver.run())
        await master.until(lambda: driver.is_subscribed)
        master.offer("cpus:0.2;mem:1GiB")
        await master.hear(Accept)
        master.offer("cpus:2;mem:1GiB")
        await master.hear(Accept, 2)
        assert launched(master) == ["copy-1", "copy-2", "copy-3"]
        master.update("copy-2", TaskState.FAILED, 1, message="killed")
        await master.hear(Revive)
        master.offer()
        await master.hear(Accept, 3)
        assert launched(master)[3:] == ["copy-4"]
        driver.stop(failover=True)
        await running
        await master.stop()

    with capture_logs():
        asyncio.run(main())
    assert "copy-2 FAILED on a1 killed" in capsys.readouterr().out


def test_first_framework_launches_again_what_was_refused(program: str) -> None:
    async def main() -> None:
        master = FakeMaster()
        master.refusals[Accept] = ("UNKNOWN_OFFER", "rescinded")
        await master.start()
        driver = make_driver(program, master)
        running = asyncio.create_task(driver.run())
        await master.until(lambda: driver.is_subscribed)
        master.offer()
        await master.hear(Accept)
        master.offer()
        await master.hear(Accept, 2)
        assert launched(master)[3:] == ["copy-4", "copy-5", "copy-6"]
        driver.stop(failover=True)
        await running
        await master.stop()

    with capture_logs():
        asyncio.run(main())
