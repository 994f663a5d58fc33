"""Launches, kills and ends, each from a state made in a few lines."""

import pytest

from agent.core.effects import DestroyContainer, KillContainer, SendStatuses, StartContainer
from agent.core.reasons import Reason
from agent.core.tasks import GRACE_NS_MAX, AcceptLaunch, ContainerEnded, EndAll, LaunchFailed
from protocol.decision import Refused
from protocol.messages.values import TaskReason, TaskState, TaskStatus
from tests.unit.agent.core.lives import GRACE_NS, SECOND_NS, Life, launch_of


def sent(effects: object) -> list[TaskStatus]:
    assert isinstance(effects, tuple)
    return [
        status
        for effect in effects
        if isinstance(effect, SendStatuses)
        for status in effect.statuses
    ]


def test_launch_is_remembered_before_its_container_starts() -> None:
    life = Life()
    assert life.launch() == (StartContainer(launch_of()),)
    assert life.newest().state is TaskState.STAGING
    assert life.newest().sequence == 0


def test_launch_repeated_starts_nothing() -> None:
    life = Life()
    life.launch()
    assert life.launch() == ()


def test_launch_repeated_is_answered_with_what_is_not_acknowledged() -> None:
    life = Life()
    life.run()
    assert [s.state for s in sent(life.launch())] == [TaskState.RUNNING]


def test_launch_of_a_task_that_runs_is_turned_away() -> None:
    life = Life()
    life.run()
    (status,) = sent(life.launch(2))
    assert (status.launch, status.sequence, status.state) == (2, 1, TaskState.DROPPED)
    assert 2 not in life.state.tasks


def test_launch_turned_away_is_not_started_by_its_repetition() -> None:
    life = Life()
    life.run()
    first = sent(life.launch(2))
    life.give(ContainerEnded(1))
    life.state = life.replayed()
    again = sent(life.launch(2))
    assert [(s.launch, s.sequence, s.state) for s in again] == [(2, 1, TaskState.DROPPED)]
    assert [s.state for s in first] == [TaskState.DROPPED]
    assert 2 not in life.state.tasks


def test_launch_turned_away_is_noted_once() -> None:
    life = Life()
    bad = AcceptLaunch(launch_of(1, argv=()))
    assert [s.state for s in sent(life.give(bad))] == [TaskState.ERROR]
    noted = len(life.log)
    assert [s.state for s in sent(life.give(bad))] == [TaskState.ERROR]
    assert len(life.log) == noted


def test_launch_after_the_same_task_ended_is_accepted() -> None:
    life = Life()
    life.run()
    life.give(ContainerEnded(1))
    assert life.launch(2) == (StartContainer(launch_of(2)),)


def test_launch_forgotten_never_starts_again() -> None:
    life = Life()
    life.run()
    life.give(ContainerEnded(1))
    life.acknowledge(2)
    effects = life.launch()
    assert [(s.state, s.launch) for s in sent(effects)] == [(TaskState.DROPPED, 1)]
    assert effects == (SendStatuses(tuple(sent(effects))),)
    assert not life.state.tasks


@pytest.mark.parametrize(
    ("task", "argv"),
    [("../up", ("sleep",)), ("", ("sleep",)), ("t1", ()), ("t1", ("",)), ("t1", ("a\0b",))],
)
def test_launch_that_can_never_run_is_an_error(task: str, argv: tuple[str, ...]) -> None:
    life = Life()
    (status,) = sent(life.give(AcceptLaunch(launch_of(1, task, argv=argv))))
    assert (status.state, status.reason) == (TaskState.ERROR, TaskReason.INVALID_TASK)
    assert status.message
    assert not life.state.tasks


def test_started_container_makes_the_task_running() -> None:
    life = Life()
    (status,) = sent(life.run())
    assert (status.state, status.sequence, status.pid) == (TaskState.RUNNING, 1, 101)
    assert life.state.tasks[1].start_ticks == 7


def test_started_container_of_an_unknown_launch_is_refused() -> None:
    life = Life()
    refused = life.give(LaunchFailed(9, TaskReason.LAUNCH_FAILED, ""))
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.UNKNOWN_LAUNCH


@pytest.mark.parametrize(
    ("ended", "state", "reason"),
    [
        (ContainerEnded(1), TaskState.FINISHED, TaskReason.COMMAND_EXITED),
        (ContainerEnded(1, exit_code=3), TaskState.FAILED, TaskReason.COMMAND_EXITED),
        (ContainerEnded(1, signal=9), TaskState.FAILED, TaskReason.COMMAND_EXITED),
        (
            ContainerEnded(1, signal=9, is_out_of_memory=True),
            TaskState.FAILED,
            TaskReason.MEMORY_LIMIT,
        ),
        (ContainerEnded(1, is_lost=True), TaskState.FAILED, TaskReason.SUPERVISOR_LOST),
    ],
)
def test_end_says_how_it_came(ended: ContainerEnded, state: TaskState, reason: TaskReason) -> None:
    life = Life()
    life.run()
    effects = life.give(ended)
    (status,) = sent(effects)
    assert (status.state, status.reason, status.sequence) == (state, reason, 2)
    assert (status.exit_code, status.signal) == (ended.exit_code, ended.signal)
    assert isinstance(effects, tuple)
    assert DestroyContainer("f1", "t1", 1) in effects


def test_end_before_the_start_was_told_is_the_end() -> None:
    life = Life()
    life.launch()
    (status,) = sent(life.give(ContainerEnded(1)))
    assert (status.state, status.sequence) == (TaskState.FINISHED, 1)


def test_end_after_a_kill_is_killed_with_the_killers_reason() -> None:
    life = Life()
    life.run()
    life.kill()
    (status,) = sent(life.give(ContainerEnded(1, signal=15)))
    assert (status.state, status.reason) == (TaskState.KILLED, TaskReason.KILLED_BY_OPERATOR)


def test_end_is_told_once() -> None:
    life = Life()
    life.run()
    life.give(ContainerEnded(1))
    assert isinstance(life.give(ContainerEnded(1, exit_code=1)), Refused)
    assert life.newest().state is TaskState.FINISHED


def test_kill_tells_the_container_and_the_master() -> None:
    life = Life()
    life.run()
    effects = life.kill()
    assert isinstance(effects, tuple)
    assert KillContainer(1, GRACE_NS) in effects
    assert [s.state for s in sent(effects)] == [TaskState.KILLING]


def test_kill_before_the_start_ends_the_task_without_a_container() -> None:
    life = Life()
    life.launch()
    life.kill()
    (status,) = sent(life.give(LaunchFailed(1, TaskReason.LAUNCH_FAILED, "cancelled")))
    assert (status.state, status.reason) == (TaskState.KILLED, TaskReason.KILLED_BY_OPERATOR)


def test_kill_that_met_a_starting_container_is_repeated_when_it_runs() -> None:
    life = Life()
    life.launch()
    life.kill()
    effects = life.run()
    assert isinstance(effects, tuple)
    assert KillContainer(1, GRACE_NS) in effects
    assert life.newest().state is TaskState.KILLING


def test_kill_repeated_changes_nothing() -> None:
    life = Life()
    life.run()
    life.kill()
    life.now_ns += SECOND_NS
    assert life.kill() == ()


def test_kill_with_a_shorter_grace_escalates() -> None:
    life = Life()
    life.run()
    life.kill()
    effects = life.kill(grace_ns=SECOND_NS)
    assert effects == (KillContainer(1, SECOND_NS),)


def test_kill_grace_is_bounded() -> None:
    life = Life()
    life.run()
    life.kill(grace_ns=10 * GRACE_NS_MAX)
    kill = life.state.tasks[1].kill
    assert kill is not None
    assert kill.grace_ns == GRACE_NS_MAX


def test_kill_of_another_tasks_launch_is_refused() -> None:
    life = Life()
    life.run()
    refused = life.kill(1, "t2")
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.UNKNOWN_LAUNCH
    assert life.newest().state is TaskState.RUNNING


def test_kill_of_an_ended_task_is_answered_with_its_end() -> None:
    life = Life()
    life.run()
    life.give(ContainerEnded(1))
    assert [s.state for s in sent(life.kill())] == [TaskState.RUNNING, TaskState.FINISHED]


def test_agent_that_is_given_up_ends_all_that_runs() -> None:
    life = Life()
    life.run(1, "t1")
    life.launch(2, "t2")
    life.run(3, "t3")
    life.give(ContainerEnded(3))
    effects = life.give(EndAll(GRACE_NS))
    assert isinstance(effects, tuple)
    assert [each for each in effects if isinstance(each, KillContainer)] == [
        KillContainer(1, GRACE_NS),
        KillContainer(2, GRACE_NS),
    ]
    assert life.give(EndAll(GRACE_NS)) == ()
    life.give(ContainerEnded(1))
    assert (life.newest().state, life.newest().reason) == (TaskState.KILLED, TaskReason.AGENT_GONE)
