"""Schedulers that ask for what they must not have: told why, and everybody else goes on."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from master.ctl.cluster import EmbeddedCluster
from protocol.errors import Denied
from protocol.messages.framework import Offer
from protocol.messages.values import TaskDescription, TaskState
from protocol.resources import Resources, parse_resources
from schedulers import Driver
from tests.faults.crowd import NEED, Crowd, describe, driving, introduce, run_canary
from tests.faults.guests import count_lines
from tests.faults.stage import identify_processes, play, staged, until

MIB = 1 << 20


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    with staged(tmp_path_factory.mktemp("calls"), masters=1, agents=2) as started:
        yield started
        assert count_lines(started.children, "Traceback") == 0


class Holder(Crowd):
    """Keeps what it is offered."""

    def offered(self, driver: Driver, offers: Sequence[Offer]) -> None:
        return

    async def offer(self, driver: Driver) -> Offer:
        await until(lambda: bool(driver.offers), "an offer is held")
        return next(iter(driver.offers.values()))

    async def answer(self, call: int) -> str:
        """Return why a call was refused; empty when it was done."""
        await until(lambda: call in self.answers, "an answer")
        print(self.answers[call])
        return self.answers[call]


Scene = Callable[[Holder, Driver], Awaitable[None]]


def hold(cluster: EmbeddedCluster, scene: Scene) -> None:
    """Play a scene with a scheduler that holds an offer; then see that tasks run."""

    async def act() -> None:
        before = [child.pid for child in cluster.children]
        holder = Holder()
        async with driving(introduce(cluster, "holder"), holder) as driver:
            await scene(holder, driver)
        await run_canary(cluster)
        assert [child.pid for child in cluster.children if child.is_running] == before

    asyncio.run(act())


@pytest.mark.parametrize(
    ("resources", "reason", "text"),
    [
        (parse_resources("cpus:64;mem:32MiB"), "OVER_CLAIMED", "asks for cpus 64"),
        (parse_resources("cpus:0.1;mem:32MiB;gpus:1"), "OVER_CLAIMED", "asks for gpus 1"),
        (parse_resources("cpus:0.1;mem:32MiB;ports:[80]"), "OVER_CLAIMED", "ports 80"),
        (Resources({"cpus": -1000, "mem": 32 * MIB}), "BAD_RESOURCES", "cpus"),
        (Resources({"cpus": 100, "mem": -(2**63)}), "BAD_RESOURCES", "mem"),
        (Resources({"cpus": 0, "mem": 32 * MIB}), "BAD_RESOURCES", "cpus"),
        (Resources({"cpus": 2**62, "mem": 32 * MIB}), "BAD_RESOURCES", "cpus"),
        (Resources({}), "BAD_RESOURCES", "cpus"),
    ],
)
def test_claim_beyond_the_offer_launches_nothing(
    cluster: EmbeddedCluster, resources: Resources, reason: str, text: str
) -> None:
    async def scene(holder: Holder, driver: Driver) -> None:
        offer = await holder.offer(driver)
        good = describe("good", "exec sleep 1000")
        bad = replace(describe("bad", "exec sleep 1000"), resources=resources)
        answer = await holder.answer(driver.accept([offer], [good, bad]))
        assert answer.startswith(reason)
        assert text in answer
        assert holder.updates == {}  # all of it or none
        assert await cluster.list_tasks() == []

    hold(cluster, scene)


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        (TaskDescription("../up", command=("true",), resources=NEED), "BAD_ID"),
        (TaskDescription("", command=("true",), resources=NEED), "BAD_ID"),
        (TaskDescription("x" * 200, command=("true",), resources=NEED), "BAD_ID"),
        (TaskDescription("none", command=(), resources=NEED), "BAD_COMMAND"),
        (TaskDescription("zero", command=("tr\0ue",), resources=NEED), "BAD_COMMAND"),
        (TaskDescription("grace", "", ("true",), NEED, kill_grace_ns=-1), "BAD_DURATION"),
    ],
)
def test_task_that_is_none_is_refused(
    cluster: EmbeddedCluster, description: TaskDescription, reason: str
) -> None:
    async def scene(holder: Holder, driver: Driver) -> None:
        offer = await holder.offer(driver)
        assert (await holder.answer(driver.accept([offer], [description]))).startswith(reason)

    hold(cluster, scene)


def test_foreign_and_unknown_ids_are_refused(cluster: EmbeddedCluster) -> None:
    async def scene(holder: Holder, driver: Driver) -> None:
        task = describe("stolen", "exec sleep 1000")
        offer = await holder.offer(driver)
        thief = Holder()
        async with driving(introduce(cluster, "thief"), thief) as other:
            answer = await thief.answer(other.accept([offer.offer_id], [task]))
            assert answer.startswith("FOREIGN_OFFER")
            answer = await thief.answer(other.decline([offer.offer_id]))
            assert answer.startswith("FOREIGN_OFFER")
            for unknown in ("o1-999999", "nonsense", ""):
                answer = await thief.answer(other.accept([unknown], [task]))
                assert answer.startswith("UNKNOWN_OFFER")
            assert await thief.answer(other.kill(["nobody"])) in ("", "UNKNOWN_TASK")
            await thief.answer(other.reconcile(["nobody"]))
            await until(lambda: "nobody" in thief.updates, "an answer about nobody")
            assert thief.updates["nobody"][-1].state == TaskState.UNKNOWN
        assert thief.updates.keys() == {"nobody"}
        assert offer.offer_id in driver.offers  # still its owner's
        holder.submit(driver, {})
        good = driver.accept([offer], [describe("own", "exit 0")])
        assert await holder.answer(good) == ""
        await until(lambda: bool(holder.ends("own")), "the owner's task runs")

    hold(cluster, scene)


def test_framework_of_an_unknown_id_is_told_and_stops(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        crowd = Crowd()
        with pytest.raises(Denied) as denied:
            async with driving(introduce(cluster, "nobody", framework_id="fw-999"), crowd):
                pass
        print(denied.value)
        assert "fw-999" in str(denied.value)
        await run_canary(cluster)

    play(scene())


def test_newer_of_two_frameworks_with_one_id_wins(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        older, newer = Crowd(), Crowd()
        framework = introduce(cluster, "twin", failover_timeout_s=60.0)
        with pytest.raises(Denied) as denied:
            async with driving(framework, older) as first:
                older.submit(first, {"kept": "exec sleep 1000"})
                before = identify_processes(await older.pids(["kept"]))
                again = replace(framework, framework_id=first.framework_id)
                async with driving(again, newer) as second:
                    await until(lambda: bool(older.failure), "the older is told")
                    assert [status.task_id for status in newer.found] == ["kept"]
                    newer.submit(second, {"next": "exit 0"})
                    await until(lambda: bool(newer.ends("next")), "the newer one's task runs")
                    assert identify_processes([before[0][0]]) == before
                    assert second.is_subscribed
        print(older.failure)
        assert "a newer scheduler has subscribed" in str(denied.value)
        assert newer.failure == ""
        await run_canary(cluster)

    play(scene())
