"""Resizes: what scripts cannot show of their books."""

from dataclasses import replace

from master.core.agents import RegisterAgent
from master.core.frameworks import SubscribeFramework
from master.core.leadership import reconcile
from master.core.offers import AcceptOffers
from master.core.resizes import ResizeTask
from master.core.settings import SECOND_NS, Settings
from master.core.snapshot import digest, dump, load
from master.core.updates import UpdateStatuses
from master.core.view import view_tasks
from protocol.ids import AgentId, FrameworkId, TaskId, task_key
from protocol.resources import parse_resources
from tests.unit.master.leader import (
    Leader,
    acceptance,
    description,
    offers_of,
    registration,
    status,
    subscription,
)

F1, A1, T1 = FrameworkId("fw-1"), AgentId("a1"), TaskId("t1")


def resizing_leader() -> Leader:
    """Return a leader under which t1 grows in cpus and shrinks in memory."""
    leader = Leader()
    leader.submit(RegisterAgent(replace(registration(), can_resize=True), "p", 1))
    leader.submit(SubscribeFramework(subscription(), "p", 2))
    leader.advance(SECOND_NS)
    wanted = description("t1", "cpus:1;mem:2GiB")
    leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], wanted, refuse_ns=10**15)))
    leader.submit(UpdateStatuses(A1, (status(),)))
    leader.submit(ResizeTask(F1, T1, parse_resources("cpus:3;mem:1GiB")))
    return leader


def test_task_is_charged_the_larger_of_both_until_it_is_settled() -> None:
    leader = resizing_leader()
    task = leader.state.tasks[task_key(F1, T1)]
    assert task.held == parse_resources("cpus:3;mem:2GiB")
    assert leader.state.agents[A1].allocated == task.held
    assert leader.state.allocated == {"web": task.held.quantities}


def test_order_that_stands_is_in_the_snapshot_and_outstanding() -> None:
    leader = resizing_leader()
    loaded = load(dump(leader.state))
    task = loaded.tasks[task_key(F1, T1)]
    assert task.resize == leader.state.tasks[task_key(F1, T1)].resize is not None
    assert digest(loaded) == digest(leader.state)
    said = [type(effect).__name__ for effect in reconcile(leader.state, Settings())]
    assert "SendResize" in said


def test_view_says_what_a_task_becomes() -> None:
    leader = resizing_leader()
    [view] = view_tasks(leader.state, is_all=False)
    assert view.description.resources == parse_resources("cpus:1;mem:2GiB")
    assert view.wanted == parse_resources("cpus:3;mem:1GiB")


def test_number_that_was_not_ordered_settles_nothing() -> None:
    leader = resizing_leader()
    leader.submit(UpdateStatuses(A1, (replace(status(sequence=2), resize=9),)))
    assert leader.state.tasks[task_key(F1, T1)].resize is not None
    leader.submit(UpdateStatuses(A1, (replace(status(sequence=2), resize=1),)))
    assert leader.state.tasks[task_key(F1, T1)].resize is None
    leader.crash()
