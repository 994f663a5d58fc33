"""The launcher: places every instance once, and knows how the job ended."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from protocol.messages.framework import Offer, Want
from protocol.messages.values import TaskDescription, TaskReason, TaskState, TaskStatus
from protocol.resources import parse_resources
from schedulers.driver import Driver
from schedulers.run.job import JobOptions, make_job
from schedulers.run.launcher import Launcher, exit_status_of


class PaperDriver:
    """Numbers calls and writes them down."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def _note(self, *call: Any) -> int:
        self.calls.append(call)
        return len(self.calls)

    def accept(self, offers: Sequence[Offer], launches: Sequence[TaskDescription]) -> int:
        tasks = tuple(launch.task_id for launch in launches)
        return self._note("accept", offers[0].offer_id, tasks)

    def decline(self, offers: Sequence[Offer], refuse_s: float) -> int:
        return self._note("decline", tuple(offer.offer_id for offer in offers))

    def kill(self, tasks: Sequence[str]) -> int:
        return self._note("kill", tuple(tasks))

    def suppress(self) -> int:
        return self._note("suppress")

    def revive(self) -> int:
        return self._note("revive")

    def request(self, wants: Sequence[Want]) -> int:
        return self._note("request", tuple(want.count for want in wants))


class Desk:
    """A launcher with its driver and listener on paper."""

    def __init__(self, instances: int = 2, cpus: str = "1") -> None:
        self.paper = PaperDriver()
        self.driver = cast(Driver, self.paper)
        self.heard: list[Any] = []
        job = make_job(JobOptions(("a",), name="t", instances=instances, cpus=cpus, mem="1MiB"))
        self.launcher = Launcher(job, self)

    def launched(self) -> None:
        self.heard.append("launched")

    def changed(self, status: TaskStatus, address: str) -> None:
        self.heard.append((status.task_id, status.state.name, address))

    def ended(self) -> None:
        self.heard.append("ended")

    def given_up(self, text: str) -> None:
        self.heard.append(("given up", text))

    def offer(self, offer_id: str, cpus: int) -> None:
        offer = Offer(
            offer_id, "a1", "h", "h:1", "default", parse_resources(f"cpus:{cpus};mem:1GiB")
        )
        self.launcher.offered(self.driver, [offer])

    def update(self, task: str, state: TaskState, **more: Any) -> None:
        status = TaskStatus("fw-1", task, "a1", 1, 1, state, **more)
        self.launcher.updated(self.driver, status)


def test_launcher_places_what_fits_and_declines_what_does_not() -> None:
    desk = Desk(instances=3, cpus="2")
    desk.offer("o1", 5)
    desk.offer("o2", 1)
    assert desk.paper.calls == [("accept", "o1", ("t-0", "t-1")), ("decline", ("o2",))]
    assert list(desk.launcher.waiting) == ["t-2"]
    assert desk.launcher.explain_waiting() == "no agent offers cpus:2 (the most is 1)"


def test_launcher_has_nothing_to_explain_when_nothing_waits_for_resources() -> None:
    desk = Desk(instances=1)
    assert desk.launcher.explain_waiting() == "no resources are offered"
    desk.offer("o1", 1)
    assert desk.launcher.explain_waiting() == ""


def test_launcher_wants_no_more_once_all_are_accepted() -> None:
    desk = Desk()
    desk.offer("o1", 4)
    assert desk.heard == []
    desk.launcher.done(desk.driver, 1)
    assert desk.heard == ["launched"] and desk.paper.calls[-1:] == [("suppress",)]
    assert desk.launcher.is_launched
    desk.offer("o2", 4)
    assert desk.paper.calls[-1:] == [("decline", ("o2",))]


def test_launcher_asks_for_what_it_needs_and_no_more() -> None:
    desk = Desk(instances=3)
    desk.launcher.subscribed(desk.driver, [])
    assert desk.paper.calls == [("request", (3,))]
    desk.offer("o1", 1)
    desk.launcher.subscribed(desk.driver, [])
    assert desk.paper.calls[-1:] == [("request", (2,))]
    desk.launcher.kill_all(desk.driver)
    desk.launcher.subscribed(desk.driver, [])
    assert desk.paper.calls[-1:] == [("request", (2,))]


def test_launcher_places_again_what_a_lost_offer_would_have_run() -> None:
    desk = Desk(instances=1)
    desk.offer("o1", 4)
    desk.launcher.refused(desk.driver, 1, "LOST_OFFER", "")
    assert desk.paper.calls[-2:] == [("request", (1,)), ("revive",)]
    desk.offer("o2", 4)
    assert desk.paper.calls[-1:] == [("accept", "o2", ("t-0",))]


def test_launcher_gives_up_what_would_be_refused_for_ever() -> None:
    desk = Desk(instances=1)
    desk.offer("o1", 4)
    desk.launcher.refused(desk.driver, 1, "BAD_COMMAND", "argv[0] is empty")
    assert desk.heard == [
        ("given up", "the masters refuse the tasks: argv[0] is empty (BAD_COMMAND)")
    ]


def test_launcher_tells_each_state_once_and_the_end() -> None:
    desk = Desk()
    desk.offer("o1", 4)
    desk.launcher.done(desk.driver, 1)
    desk.heard.clear()
    desk.update("t-0", TaskState.RUNNING)
    desk.update("t-0", TaskState.RUNNING)
    desk.update("stranger", TaskState.RUNNING)
    desk.update("t-1", TaskState.FAILED, exit_code=3)
    desk.update("t-0", TaskState.FAILED, exit_code=4)
    desk.update("t-0", TaskState.FAILED, exit_code=4)
    assert desk.heard == [
        ("t-0", "RUNNING", "h:1"),
        ("t-1", "FAILED", "h:1"),
        ("t-0", "FAILED", "h:1"),
        "ended",
    ]
    assert desk.launcher.exit_status == 3, "the first that is not 0"


def test_launcher_kills_what_lives_and_ends() -> None:
    desk = Desk()
    desk.offer("o1", 1)
    desk.launcher.done(desk.driver, 1)
    desk.launcher.kill_all(desk.driver)
    assert desk.paper.calls[-1:] == [("kill", ("t-0",))] and desk.heard == []
    desk.update("t-0", TaskState.KILLED, signal=15)
    assert desk.heard[-1] == "ended" and desk.launcher.exit_status == 143


def test_launcher_kills_what_is_accepted_while_it_kills() -> None:
    desk = Desk(instances=1)
    desk.offer("o1", 1)
    desk.launcher.kill_all(desk.driver)
    assert len(desk.paper.calls) == 1
    desk.launcher.done(desk.driver, 1)
    assert desk.paper.calls[-1:] == [("kill", ("t-0",))] and "launched" not in desk.heard


@pytest.mark.parametrize("is_asked", [True, False])
def test_launcher_ends_at_once_when_nothing_was_started(is_asked: bool) -> None:
    desk = Desk(instances=1)
    if is_asked:
        desk.offer("o1", 1)
    desk.launcher.kill_all(desk.driver)
    if is_asked:
        assert desk.heard == []
        desk.launcher.refused(desk.driver, 1, "LOST_OFFER", "")
    assert desk.heard == ["ended"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (TaskStatus(state=TaskState.FINISHED), 0),
        (TaskStatus(state=TaskState.FAILED, exit_code=7), 7),
        (TaskStatus(state=TaskState.FAILED, exit_code=256), 1),
        (TaskStatus(state=TaskState.FAILED, signal=11), 139),
        (TaskStatus(state=TaskState.FAILED, reason=TaskReason.MEMORY_LIMIT), 137),
        (TaskStatus(state=TaskState.FAILED, reason=TaskReason.FETCH_FAILED), 1),
        (TaskStatus(state=TaskState.KILLED, signal=9), 137),
        (TaskStatus(state=TaskState.LOST), 1),
    ],
)
def test_exit_status_is_what_a_shell_would_say(status: TaskStatus, code: int) -> None:
    assert exit_status_of(status) == code
