"""Deadlines: what has run for long enough is ended, and nothing else is."""

from dataclasses import replace

from agent.core.deadlines import due
from agent.core.effects import KillContainer
from agent.core.recovery import Recover
from agent.core.tasks import AcceptLaunch, ContainerEnded, ContainerStarted
from agent.core.updates import Tick
from protocol.decision import Refused
from protocol.messages.values import TaskReason, TaskState
from tests.unit.agent.core.lives import GRACE_NS, SECOND_NS, Life, launch_of

TIME_NS = 60 * SECOND_NS


def timed_life() -> Life:
    """Return a life whose only task runs, has no news for the master, and must end in a minute."""
    life = Life()
    launch = launch_of(1, "t1")
    description = replace(launch.description, completion_ns=TIME_NS)
    life.give(AcceptLaunch(replace(launch, description=description)))
    life.now_ns += 10 * SECOND_NS  # fetching and starting do not count
    life.give(ContainerStarted(1, 101, 7))
    life.acknowledge(1)
    return life


def kills(effects: object) -> list[KillContainer]:
    assert not isinstance(effects, Refused)
    assert isinstance(effects, tuple)
    return [each for each in effects if isinstance(each, KillContainer)]


def test_task_is_ended_when_its_time_is_over_and_not_before() -> None:
    life = timed_life()
    assert due(life.state) == life.now_ns + TIME_NS
    life.now_ns += TIME_NS - 1
    assert kills(life.give(Tick(GRACE_NS))) == []
    life.now_ns += 1
    assert kills(life.give(Tick(GRACE_NS))) == [KillContainer(1, GRACE_NS)]
    assert life.newest().state is TaskState.KILLING
    life.give(ContainerEnded(1, signal=15))
    newest = life.newest()
    assert (newest.state, newest.reason) == (TaskState.FAILED, TaskReason.COMPLETION_TIME)


def test_time_goes_on_while_the_agent_is_away() -> None:
    life = timed_life()
    deadline_ns = life.now_ns + TIME_NS
    life.state = life.replayed()
    assert due(life.state) == deadline_ns
    life.now_ns = deadline_ns + SECOND_NS
    life.give(Recover("boot1", (ContainerStarted(1, 101, 7),)))
    assert kills(life.give(Tick(GRACE_NS))) == [KillContainer(1, GRACE_NS)]


def test_task_that_is_killed_or_has_ended_is_not_ended_again() -> None:
    life = timed_life()
    life.kill()
    assert life.state.timed == {}
    other = timed_life()
    other.give(ContainerEnded(1))
    other.acknowledge(2)
    assert due(other.state) is None


def test_deadline_is_in_the_snapshot() -> None:
    life = timed_life()
    assert life.checkpoint.load(life.checkpoint.dump(life.state)).timed == life.state.timed != {}
