"""The driver: what a scheduler hears, and that no call's outcome stays in doubt."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from protocol.credentials import parse_credentials
from protocol.errors import Denied
from protocol.messages.framework import (
    Accept,
    Acknowledge,
    Acknowledgement,
    Decline,
    FrameworkFailed,
    KillTasksCall,
    LaunchTask,
    Leave,
    Reconcile,
    Rescinded,
    Revive,
    Subscribe,
    Subscribed,
    Suppress,
    Teardown,
)
from protocol.messages.values import TaskState, TaskStatus
from schedulers import Framework
from tests.unit.schedulers.fake_master import FakeMaster
from tests.unit.schedulers.stage import TASK, Stage, play


def test_driver_subscribes_with_what_the_framework_says() -> None:
    async def act(stage: Stage) -> None:
        call = await stage.master.hear(Subscribe)
        assert (call.name, call.roles, call.framework_id) == ("test", ("web",), "")
        assert call.failover_timeout_ns == 2_500_000_000 and call.token
        assert stage.driver.framework_id == "fw-1" and stage.driver.is_subscribed

    play(act, roles=("web",), failover_timeout_s=2.5)


def test_driver_returns_under_its_id_and_token() -> None:
    async def act(stage: Stage) -> None:
        stage.master.cut()
        again = await stage.master.hear(Subscribe, 2)
        first = await stage.master.hear(Subscribe)
        assert again.framework_id == "fw-1" and again.token == first.token

    play(act)


def test_driver_accepts_and_reports_that_it_is_done() -> None:
    async def act(stage: Stage) -> None:
        offer = stage.master.offer()
        assert await stage.told("offered") == ("offered", (offer,))
        number = stage.driver.accept([offer], [TASK], ["t0"], refuse_s=3)
        accept = await stage.master.hear(Accept)
        assert accept.offers == (offer.offer_id,) and accept.refuse_ns == 3_000_000_000
        assert accept.operations[0] == LaunchTask(TASK)
        assert await stage.told("done") == ("done", number)
        assert stage.driver.offers == {}

    play(act)


def test_driver_acknowledges_an_update_once_it_is_handled_and_tells_it_once() -> None:
    async def act(stage: Stage) -> None:
        status = stage.master.update("t1", TaskState.RUNNING, 1)
        stage.master.update("t1", TaskState.RUNNING, 1)
        stage.master.update("t1", TaskState.FINISHED, 2)
        await stage.master.until(
            lambda: sum(len(a.acknowledgements) for a in stage.master.all_of(Acknowledge)) >= 3
        )
        acknowledged = [e for a in stage.master.all_of(Acknowledge) for e in a.acknowledgements]
        assert acknowledged[0] == Acknowledgement("t1", status.launch, 1)
        assert [entry[2] for entry in stage.diary.of("updated")] == [
            TaskState.RUNNING,
            TaskState.FINISHED,
        ]

    play(act)


def test_driver_declines_what_a_refused_accept_leaves_open() -> None:
    async def act(stage: Stage) -> None:
        stage.master.refusals[Accept] = ("OVER_CLAIMED", "too much")
        offer = stage.master.offer()
        await stage.told("offered")
        number = stage.driver.accept([offer], [TASK])
        assert await stage.told("refused") == ("refused", number, "OVER_CLAIMED")
        assert (await stage.master.hear(Decline)).offers == (offer.offer_id,)

    play(act)


def test_driver_does_not_decline_an_offer_that_is_void() -> None:
    async def act(stage: Stage) -> None:
        stage.master.refusals[Accept] = ("UNKNOWN_OFFER", "")
        offer = stage.master.offer()
        await stage.told("offered")
        stage.driver.accept([offer], [TASK])
        await stage.told("refused")
        stage.driver.revive()
        await stage.master.hear(Revive)
        assert stage.master.all_of(Decline) == []

    play(act)


def test_driver_passes_on_what_is_rescinded() -> None:
    async def act(stage: Stage) -> None:
        offer = stage.master.offer()
        await stage.told("offered")
        stage.master.say(Rescinded((offer.offer_id, "o9-9")))
        assert await stage.told("rescinded") == ("rescinded", (offer.offer_id,))

    play(act)


def test_driver_voids_its_offers_when_the_leader_is_lost() -> None:
    async def act(stage: Stage) -> None:
        offer = stage.master.offer()
        await stage.told("offered")
        stage.master.cease()
        await stage.told("disconnected")
        assert stage.diary.of("rescinded") == [("rescinded", (offer.offer_id,))]
        number = stage.driver.accept([offer], [TASK])
        assert await stage.told("refused") == ("refused", number, "LOST_OFFER")
        stage.master.lead()
        await stage.told("subscribed", 2)

    play(act)


def test_driver_finds_that_a_lost_accept_took_effect() -> None:
    async def act(stage: Stage) -> None:
        stage.master.mute_on.add(Accept)
        offer = stage.master.offer()
        await stage.told("offered")
        number = stage.driver.accept([offer], [TASK])
        await stage.master.hear(Accept)
        stage.master.cut()
        assert await stage.told("done") == ("done", number)
        assert stage.master.all_of(Reconcile) == []

    play(act)


def test_driver_finds_that_a_lost_accept_had_no_effect() -> None:
    async def act(stage: Stage) -> None:
        stage.master.deaf_to.add(Accept)
        offer = stage.master.offer()
        await stage.told("offered")
        number = stage.driver.accept([offer], [TASK, replace(TASK, task_id="t2")])
        await stage.master.hear(Accept)
        stage.master.cut()
        assert await stage.told("refused") == ("refused", number, "LOST_OFFER")
        assert (await stage.master.hear(Reconcile)).tasks == ("t1",), "one task tells of all"
        assert stage.diary.of("updated") == []

    play(act)


def test_driver_asks_when_subscribed_does_not_name_the_task() -> None:
    async def act(stage: Stage) -> None:
        stage.master.deaf_to.add(Accept)
        offer = stage.master.offer()
        await stage.told("offered")
        number = stage.driver.accept([offer], [TASK])
        await stage.master.hear(Accept)
        stage.master.mute_on.add(Subscribe)
        stage.master.cut()
        call = await stage.master.hear(Subscribe, 2)
        stage.master.known["t1"] = TaskStatus("fw-1", "t1", "a1", 1, 0, TaskState.FINISHED)
        stage.master.say(Subscribed(call.call, "fw-1", ()))
        assert await stage.told("done") == ("done", number)
        assert await stage.told("updated") == ("updated", "t1", TaskState.FINISHED)

    play(act)


def test_driver_repeats_what_can_be_repeated() -> None:
    async def act(stage: Stage) -> None:
        stage.master.deaf_to |= {KillTasksCall, Suppress}
        kill = stage.driver.kill(["t1"], grace_s=1)
        suppress = stage.driver.suppress()
        await stage.master.hear(Suppress)
        stage.master.deaf_to.clear()
        stage.master.cut()
        again = await stage.master.hear(KillTasksCall, 2)
        assert again.call == kill and again.kills[0].grace_ns == 1_000_000_000
        assert await stage.told("done", 2) == ("done", suppress)

    play(act)


def test_driver_repeats_the_kills_of_an_accept_without_launches() -> None:
    async def act(stage: Stage) -> None:
        stage.master.deaf_to.add(Accept)
        number = stage.driver.accept([], [], ["t7"])
        await stage.master.hear(Accept)
        stage.master.cut()
        call = await stage.master.hear(KillTasksCall)
        assert call.call == number and call.kills[0].task_id == "t7"
        assert await stage.told("done") == ("done", number)

    play(act)


def test_driver_makes_certain_what_a_deposed_leader_answered() -> None:
    async def act(stage: Stage) -> None:
        stage.master.refusals[Accept] = ("NOT_LEADER", "")
        offer = stage.master.offer()
        await stage.told("offered")
        number = stage.driver.accept([offer], [TASK])
        assert await stage.told("refused") == ("refused", number, "LOST_OFFER")
        assert len(stage.master.all_of(Subscribe)) == 2

    play(act)


def test_driver_tries_again_when_a_master_is_overloaded() -> None:
    async def act(stage: Stage) -> None:
        stage.master.refusals[KillTasksCall] = ("OVERLOADED", "")
        number = stage.driver.kill(["t1"])
        assert await stage.told("done") == ("done", number)
        assert len(stage.master.all_of(KillTasksCall)) == 2

    play(act)


def test_driver_refuses_a_call_that_no_frame_holds() -> None:
    async def act(stage: Stage) -> None:
        offer = stage.master.offer()
        await stage.told("offered")
        big = replace(TASK, command=("x" * (2 << 20),))
        number = stage.driver.accept([offer], [big])
        assert await stage.told("refused") == ("refused", number, "TOO_LARGE")
        await stage.master.hear(Decline)

    play(act)


def test_driver_leaves_its_framework_behind_at_failover() -> None:
    stage = run_to_the_end(lambda stage: stage.driver.stop(failover=True))
    assert stage.master.all_of(Teardown) == []


def run_to_the_end(change: Callable[[Stage], None], wait: bool = True) -> Stage:
    """Run a driver until it ends by itself."""

    async def main() -> Stage:
        master = FakeMaster()
        await master.start()
        stage = Stage(master, Framework("test", masters=master.address))
        if not wait:
            change(stage)
        running = asyncio.create_task(stage.driver.run())
        try:
            if wait:
                await stage.told("subscribed")
                change(stage)
            async with asyncio.timeout(10):
                await running
        finally:
            await master.stop()
        return stage

    with capture_logs():
        return asyncio.run(main())


def test_driver_returns_from_run_after_the_teardown() -> None:
    stage = run_to_the_end(lambda stage: stage.driver.stop())
    assert len(stage.master.all_of(Teardown)) == 1


def test_driver_returns_from_run_once_it_has_left() -> None:
    stage = run_to_the_end(lambda stage: stage.driver.leave())
    assert len(stage.master.all_of(Leave)) == 1
    assert stage.master.all_of(Teardown) == []


def test_driver_ends_when_another_scheduler_takes_its_place() -> None:
    with pytest.raises(Denied, match="REPLACED"):
        run_to_the_end(lambda stage: stage.master.say(FrameworkFailed("REPLACED", "newer")))


def test_driver_ends_when_its_subscription_is_refused_for_good() -> None:
    def refuse(stage: Stage) -> None:
        stage.master.refusals[Subscribe] = ("BAD_ROLE", "no such role")

    with pytest.raises(Denied, match="BAD_ROLE"):
        run_to_the_end(refuse, wait=False)


def test_driver_raises_what_a_callback_raised_and_leaves_the_update_unacknowledged() -> None:
    stages: list[Stage] = []

    def fail(stage: Stage) -> None:
        stages.append(stage)
        stage.diary.fails_on = TaskState.FAILED
        stage.master.update("t1", TaskState.FAILED, 1)

    with pytest.raises(RuntimeError, match="the scheduler fails"):
        run_to_the_end(fail)
    assert stages[0].master.all_of(Acknowledge) == []


def test_driver_ends_when_no_master_lets_it_in() -> None:
    async def main() -> None:
        master = FakeMaster(parse_credentials("framework right"))
        await master.start()
        credentials = parse_credentials("framework wrong")
        stage = Stage(master, Framework("test", masters=master.address, credentials=credentials))
        try:
            async with asyncio.timeout(10):
                await stage.driver.run()
        finally:
            await master.stop()

    with capture_logs(), pytest.raises(Denied, match="WRONG_SECRET"):
        asyncio.run(main())
