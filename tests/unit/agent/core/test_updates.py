"""Statuses wait for their acknowledgement, and only for that."""

from agent.core.effects import KillContainer, SendStatuses
from agent.core.reasons import Reason
from agent.core.tasks import ContainerEnded
from agent.core.updates import RETRY_NS, Tick, due
from protocol.decision import Refused
from protocol.messages.values import TaskState
from tests.unit.agent.core.lives import GRACE_NS, Life


def test_acknowledgement_is_cumulative() -> None:
    life = Life()
    life.run()
    life.give(ContainerEnded(1))
    life.acknowledge(2)
    assert not life.state.tasks
    assert not life.state.unacknowledged


def test_acknowledgement_of_an_early_status_keeps_the_end() -> None:
    life = Life()
    life.run()
    life.give(ContainerEnded(1))
    life.acknowledge(1)
    assert [status.state for status in life.state.tasks[1].pending] == [TaskState.FINISHED]


def test_acknowledgement_of_a_running_task_keeps_the_task() -> None:
    life = Life()
    life.run()
    life.acknowledge(1)
    assert life.newest().state is TaskState.RUNNING
    assert due(life.state) is None


def test_acknowledgement_of_what_was_never_sent_is_refused() -> None:
    life = Life()
    life.run()
    refused = life.acknowledge(2)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.UNKNOWN_STATUS


def test_acknowledgement_repeated_changes_nothing() -> None:
    life = Life()
    life.run()
    life.acknowledge(1)
    assert life.acknowledge(1) == ()


def test_tick_repeats_what_has_no_answer() -> None:
    life = Life()
    life.run()
    status = life.newest()
    assert due(life.state) == life.now_ns + RETRY_NS
    life.now_ns += RETRY_NS
    assert life.give(Tick()) == (SendStatuses((status,)),)


def test_tick_before_its_time_does_nothing() -> None:
    life = Life()
    life.run()
    life.now_ns += RETRY_NS - 1
    assert life.give(Tick()) == ()


def test_tick_forces_the_end_once_the_grace_is_over() -> None:
    life = Life()
    life.run()
    life.kill()
    life.acknowledge(2)
    life.now_ns += GRACE_NS
    assert life.give(Tick()) == (KillContainer(1, 0),)
