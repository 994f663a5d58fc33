"""One run: how it ends, and what a person is told meanwhile."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from structlog.testing import capture_logs

from protocol.credentials import Credentials
from protocol.handshake import LinkIdentity
from protocol.messages.framework import Accept, KillTasksCall, Leave, Subscribe, Suppress, Teardown
from protocol.messages.link import LinkRole
from schedulers import Framework
from schedulers.run.job import JobOptions, make_job
from schedulers.run.runner import Runner, RunOptions
from schedulers.run.screen import Screen
from tests.unit.schedulers.fake_master import FakeMaster


class Run:
    """A runner of one task against a fake master."""

    def __init__(self, options: RunOptions, cpus: str = "1") -> None:
        self.options = options
        self.job = make_job(JobOptions(("true",), name="t", cpus=cpus))
        self.detached: list[tuple[str, list[str]]] = []
        self.master = FakeMaster()
        self.is_reachable = True

    def play(self, script: Callable[["Run"], Coroutine[Any, Any, None]]) -> int:
        """Run while the script drives the master; the exit status."""

        async def main() -> int:
            await self.master.start()
            address = self.master.address
            if not self.is_reachable:
                await self.master.stop()
            nobody = Credentials.insecure()
            runner = Runner(
                self.job,
                Framework("t", masters=address),
                LinkIdentity(LinkRole.OPERATOR, "test", "", nobody),
                Screen(is_json=False),
                self.options,
                on_detached=lambda framework, tasks: self.detached.append((framework, tasks)),
            )
            running = asyncio.create_task(runner.run())
            try:
                async with asyncio.timeout(20):
                    await script(self)
                    return await running
            finally:
                await self.master.stop()

        with capture_logs():
            return asyncio.run(main())

    async def launch(self) -> None:
        await self.master.hear(Subscribe)
        self.master.offer()
        await self.master.hear(Accept)


async def nothing(run: Run) -> None:
    return


def test_run_detached_names_its_tasks_and_leaves_them() -> None:
    run = Run(RunOptions(is_detached=True))
    assert run.play(Run.launch) == 0
    assert run.detached == [("fw-1", ["t-0"])]
    assert len(run.master.all_of(Leave)) == 1
    assert run.master.all_of(Teardown) == []


def test_run_gives_up_at_its_timeout_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(RunOptions(timeout_s=0.5))
    run.is_reachable = False
    assert run.play(nothing) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "gave up after 0.5 s: no master answers at 127.0.0.1:" in told
    assert "(connection refused)" in told


def test_run_ends_with_what_the_masters_refuse(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(RunOptions())
    run.master.refusals[Accept] = ("BAD_COMMAND", "no such thing")
    assert run.play(Run.launch) == 1
    assert "no such thing (BAD_COMMAND)" in capsys.readouterr().err


def test_run_kills_its_task_when_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    async def interrupt(run: Run) -> None:
        await run.launch()
        await run.master.hear(Suppress)  # so the accept is known to be done
        os.kill(os.getpid(), signal.SIGINT)
        await run.master.hear(KillTasksCall)
        os.kill(os.getpid(), signal.SIGINT)

    run = Run(RunOptions())
    assert run.play(interrupt) == 130
    told = capsys.readouterr().err
    assert "killing the tasks" in told and "fw-1/t-0 may still run" in told
    assert run.master.all_of(Teardown) == []


def test_run_ends_at_once_when_interrupted_before_it_began() -> None:
    async def interrupt(run: Run) -> None:
        await run.master.hear(Subscribe)
        os.kill(os.getpid(), signal.SIGINT)

    run = Run(RunOptions())
    assert run.play(interrupt) == 130
