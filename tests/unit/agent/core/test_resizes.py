"""Resizes: told once settled, again when asked again, and never done twice."""

from agent.core.effects import Effect, ResizeContainer, SendStatuses
from agent.core.resizes import PENDING_MAX, AcceptResize, ContainerResized
from agent.core.tasks import ContainerEnded
from protocol.decision import Refused
from protocol.messages.agent import Resize
from protocol.messages.values import TaskReason, TaskState
from protocol.resources import parse_resources
from tests.unit.agent.core.lives import Life

LARGER = parse_resources("cpus:2;mem:1GiB")


def ask(life: Life, number: int = 1, launch: int = 1) -> tuple[Effect, ...] | Refused:
    return life.give(AcceptResize(Resize("f1", "t1", launch, number, LARGER)))


def test_resize_is_tried_and_told_in_the_stream_of_statuses() -> None:
    life = Life()
    life.run()
    assert ask(life) == (ResizeContainer(1, 1, LARGER),)
    life.give(ContainerResized(1, 1, LARGER))
    newest = life.newest()
    assert (newest.state, newest.reason) == (TaskState.RUNNING, TaskReason.RESIZED)
    assert (newest.sequence, newest.resize, newest.resize_refused) == (2, 1, False)
    assert newest.message == "cpus:2;mem:1GiB"


def test_resize_that_fails_is_told_with_the_reason() -> None:
    life = Life()
    life.run()
    ask(life)
    life.give(ContainerResized(1, 1, LARGER, "it uses 2GiB"))
    newest = life.newest()
    assert (newest.reason, newest.message) == (TaskReason.RESIZE_REFUSED, "it uses 2GiB")
    assert newest.resize_refused


def test_settled_resize_is_told_again_and_not_done_again() -> None:
    life = Life()
    life.run()
    life.give(ContainerResized(1, 1, LARGER))
    life.acknowledge(2)
    assert ask(life) == (SendStatuses((life.newest(),)),)
    assert isinstance(life.give(ContainerResized(1, 1, LARGER)), Refused)
    assert life.newest().sequence == 2


def test_later_statuses_still_say_what_became_of_it() -> None:
    life = Life()
    life.run()
    life.give(ContainerResized(1, 1, LARGER))
    life.kill()
    assert (life.newest().state, life.newest().resize) == (TaskState.KILLING, 1)
    life.state = life.replayed()
    assert life.newest().resize == 1


def test_task_that_does_not_run_is_not_resized() -> None:
    life = Life()
    assert isinstance(ask(life), Refused)
    life.launch()
    assert ask(life) == ()
    life.give(ContainerEnded(1))
    assert ask(life) == (SendStatuses(tuple(life.state.tasks[1].pending)),)
    assert isinstance(life.give(ContainerResized(1, 1, LARGER)), Refused)


def test_resize_without_all_amounts_is_refused() -> None:
    life = Life()
    life.run()
    bad = Resize("f1", "t1", 1, 1, parse_resources("cpus:2"))
    assert isinstance(life.give(AcceptResize(bad)), Refused)


def test_nothing_is_resized_while_no_master_takes_note() -> None:
    life = Life()
    life.run()
    for number in range(1, 30):
        if ask(life, number):
            life.give(ContainerResized(1, number, LARGER))
    assert len(life.state.tasks[1].pending) == PENDING_MAX
