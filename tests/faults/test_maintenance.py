"""Maintenance with a scheduler that moves when it is asked, and one that does not."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from master.ctl.cluster import EmbeddedCluster
from protocol.messages.framework import InverseOffer, Offer
from protocol.messages.values import TaskReason, TaskState
from schedulers import Driver
from tests.faults.crowd import Crowd, driving, introduce
from tests.faults.stage import play, staged, until


class Mover(Crowd):
    """Promises to leave, and starts each task anew elsewhere before it ends the old one."""

    def __init__(self) -> None:
        super().__init__()
        self.questions: list[InverseOffer] = []
        self.spared: list[str] = []

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        if going := [each for each in offers if self.questions and each.unavailable_ns]:
            driver.decline(going, refuse_s=60)
        super().offered(driver, offers)

    def asked_to_leave(self, driver: Driver, offers: Sequence[InverseOffer]) -> None:
        self.questions += offers
        driver.answer([each.offer_id for each in offers], is_leaving=True)

    def may_stay(self, driver: Driver, offers: Sequence[str]) -> None:
        self.spared += offers


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    with staged(tmp_path_factory.mktemp("maintenance"), masters=1, agents=2) as started:
        yield started


async def quorate(cluster: EmbeddedCluster, *arguments: str) -> str:
    """Run a command as an operator does, and return what it prints."""
    target = cluster.target
    command = [sys.executable, "-m", "master.ctl", *arguments]
    command += ["--masters", ",".join(target.masters), "--credentials", target.credentials]
    run = asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    ran = await run
    assert ran.returncode == 0, ran.stderr
    return str(ran.stdout)


async def show(cluster: EmbeddedCluster) -> dict[str, object]:
    [view] = json.loads(await quorate(cluster, "maintenance", "-o", "json"))
    assert isinstance(view, dict)
    return view


def test_who_is_asked_leaves_before_and_who_stays_is_killed(
    cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    async def scene() -> None:
        mover, stayer = Mover(), Crowd()
        async with (
            driving(introduce(cluster, "mover"), mover) as moving,
            driving(introduce(cluster, "stayer"), stayer) as staying,
        ):
            await quorate(cluster, "agent", "deactivate", "a2")
            mover.submit(moving, {"old": "exec sleep 1000"})
            stayer.submit(staying, {"stays": "exec sleep 1000"})
            await mover.pids(["old"])
            await stayer.pids(["stays"])
            await quorate(cluster, "agent", "activate", "a2")
            plan = await quorate(
                cluster, "maintenance", "schedule", "w", "a1", "--start", "+1h", "--plan"
            )
            assert "2 frameworks would be asked to leave, and 2 tasks killed" in plan
            await quorate(cluster, "maintenance", "schedule", "w", "a1", "--start", "+1h")
            await until(lambda: bool(mover.questions), "the mover is asked")
            assert list(mover.questions[0].tasks) == ["old"]
            await until(lambda: "" in mover.answers.values(), "its answer is taken")
            view = await show(cluster)
            assert (view["asked"], view["accepted"], view["tasks"]) == (2, 1, 2)
            mover.submit(moving, {"new": "exec sleep 1000"})
            await mover.pids(["new"])
            moving.kill(["old"])
            await until(lambda: bool(mover.ends("old")), "the old task ends")
            await quorate(cluster, "maintenance", "cancel", "w")
            await quorate(cluster, "maintenance", "schedule", "w", "a1", "--start", "+0s")
            await until(lambda: bool(stayer.ends("stays")), "who stays is killed")
            [end] = stayer.ends("stays")
            assert (end.state, end.reason) == (TaskState.KILLED, TaskReason.AGENT_DRAINING)
            table = await quorate(cluster, "maintenance")
            assert max(map(len, table.splitlines())) <= 80
            assert "1/1" in table
            new = mover.updates["new"][-1]
            assert new.state == TaskState.RUNNING
            await quorate(cluster, "maintenance", "cancel", "w")
            agents = json.loads(await quorate(cluster, "agents", "-o", "json"))
            assert [view["duty"] for view in agents] == ["active", "active"]

    play(scene())
