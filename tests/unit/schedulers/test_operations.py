"""Operations through the driver: in their order, told and acknowledged, and never left in doubt."""

from protocol.messages.framework import (
    Accept,
    AcknowledgeOperations,
    LaunchTask,
    OperationUpdates,
    ReconcileOperations,
    Reserve,
)
from protocol.messages.values import OperationState, OperationStatus
from protocol.resources import parse_resources
from tests.unit.schedulers.stage import TASK, Stage, play

MINE = Reserve(reservation="mine", role="default", resources=parse_resources("cpus:1"))


def test_operations_come_before_launches_and_have_ids() -> None:
    async def act(stage: Stage) -> None:
        offer = stage.master.offer()
        await stage.told("offered")
        stage.driver.accept([offer], [TASK], operations=[MINE])
        accept = await stage.master.hear(Accept)
        reserve, launch = accept.operations
        assert isinstance(reserve, Reserve)
        assert reserve.operation_id
        assert isinstance(launch, LaunchTask)

    play(act)


def test_end_of_an_operation_is_told_and_acknowledged() -> None:
    async def act(stage: Stage) -> None:
        for ended in (OperationState.PENDING, OperationState.FAILED):
            stage.master.say(OperationUpdates((OperationStatus("op", "fw-1", "a1", ended),)))
        assert await stage.told("operated", 2) == ("operated", "op", OperationState.FAILED)
        acknowledged = await stage.master.hear(AcknowledgeOperations)
        assert acknowledged.operations == ("op",)
        assert len(stage.master.all_of(AcknowledgeOperations)) == 1

    play(act)


def test_driver_finds_that_a_lost_accept_of_operations_took_effect() -> None:
    async def act(stage: Stage) -> None:
        stage.master.mute_on.add(Accept)
        offer = stage.master.offer()
        await stage.told("offered")
        number = stage.driver.accept([offer], operations=[MINE])
        await stage.master.hear(Accept)
        stage.master.cut()
        assert await stage.told("done") == ("done", number)
        assert (await stage.told("operated"))[2] == OperationState.FINISHED

    play(act)


def test_driver_finds_that_a_lost_accept_of_operations_had_no_effect() -> None:
    async def act(stage: Stage) -> None:
        stage.master.deaf_to.add(Accept)
        offer = stage.master.offer()
        await stage.told("offered")
        number = stage.driver.accept([offer], operations=[MINE, MINE])
        await stage.master.hear(Accept)
        stage.master.cut()
        assert await stage.told("refused") == ("refused", number, "LOST_OFFER")
        assert len((await stage.master.hear(ReconcileOperations)).operations) == 1
        assert stage.diary.of("operated") == []

    play(act)
