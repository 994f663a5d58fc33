"""What an agent makes of its containers after it was away."""

from agent.core.effects import DestroyContainer, KillContainer, StartContainer
from agent.core.reasons import Reason
from agent.core.recovery import NameAgent, Recover
from agent.core.tasks import ContainerEnded, ContainerStarted
from protocol.decision import Refused
from protocol.messages.values import TaskReason, TaskState
from tests.unit.agent.core.lives import GRACE_NS, Life, launch_of


def test_name_is_given_once() -> None:
    refused = Life().give(NameAgent("a2"))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.ALREADY_NAMED


def test_recovery_leaves_a_running_task_as_it_is() -> None:
    life = Life()
    life.run()
    before = life.newest()
    assert life.give(Recover("boot1", (ContainerStarted(1, 101, 7),))) == ()
    assert life.newest() == before


def test_recovery_records_a_container_that_started_unnoticed() -> None:
    life = Life()
    life.launch()
    life.give(Recover("boot1", (ContainerStarted(1, 55, 7),)))
    assert (life.newest().state, life.newest().pid) == (TaskState.RUNNING, 55)


def test_recovery_records_an_end_that_came_unnoticed() -> None:
    life = Life()
    life.run()
    effects = life.give(Recover("boot1", (ContainerEnded(1, exit_code=4),)))
    assert effects == (DestroyContainer("f1", "t1", 1),)
    assert (life.newest().state, life.newest().exit_code) == (TaskState.FAILED, 4)


def test_recovery_starts_what_was_only_promised() -> None:
    life = Life()
    life.launch()
    assert life.give(Recover("boot1")) == (StartContainer(launch_of()),)


def test_recovery_does_not_start_what_was_to_be_killed() -> None:
    life = Life()
    life.launch()
    life.kill()
    life.give(Recover("boot1"))
    assert life.newest().state is TaskState.KILLED


def test_recovery_kills_again_what_was_to_be_killed() -> None:
    life = Life()
    life.run()
    life.kill()
    effects = life.give(Recover("boot1", (ContainerStarted(1, 101, 7),)))
    assert effects == (KillContainer(1, GRACE_NS),)


def test_recovery_without_a_container_fails_the_task() -> None:
    life = Life()
    life.run()
    life.give(Recover("boot1"))
    assert (life.newest().state, life.newest().reason) == (
        TaskState.FAILED,
        TaskReason.SUPERVISOR_LOST,
    )


def test_recovery_on_another_boot_fails_every_task() -> None:
    life = Life()
    life.run(1, "t1")
    life.launch(2, "t2")
    life.give(Recover("boot2", (ContainerStarted(1, 101, 7),)))
    assert [life.newest(n).reason for n in (1, 2)] == [TaskReason.AGENT_RESTARTED] * 2
    assert life.state.boot_id == "boot2"


def test_recovery_clears_away_what_had_ended() -> None:
    life = Life()
    life.run()
    life.give(ContainerEnded(1))
    assert life.give(Recover("boot1")) == (DestroyContainer("f1", "t1", 1),)
