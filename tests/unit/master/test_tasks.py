"""Tasks: bounds of descriptions, kills and questions."""

from dataclasses import replace
from typing import Any

import pytest

from master.core.agents import RegisterAgent
from master.core.frameworks import SubscribeFramework
from master.core.machine import Command
from master.core.offers import AcceptOffers, DeclineOffers
from master.core.reasons import Reason
from master.core.settings import SECOND_NS, Settings
from master.core.tasks import KillTasks, ReconcileTasks
from master.core.updates import AcknowledgeUpdates, UpdateStatuses
from master.core.validity import weigh_description
from master.core.view import view_tasks
from master.ctl.objects import plain_task
from protocol.decision import Decision, Refused
from protocol.ids import AgentId, FrameworkId
from protocol.messages.framework import Accept, Acknowledgement, Decline, KillTask, LaunchTask
from protocol.messages.values import (
    Discovery,
    Label,
    ServicePort,
    TaskDescription,
    TaskState,
    Uri,
    Variable,
)
from protocol.resources import Resources
from tests.unit.master.leader import (
    Leader,
    acceptance,
    description,
    offers_of,
    registration,
    status,
    subscription,
)

F1 = FrameworkId("fw-1")
GOOD = description()
PORT = (ServicePort(80, "http", "tcp"),)


def serving(*ports: ServicePort) -> Discovery:
    return Discovery("db", "cluster", ports)


def leader_with_offer(settings: Settings | None = None) -> Leader:
    leader = Leader.with_settings(settings or Settings())
    leader.submit(RegisterAgent(registration(resources="cpus:100;mem:100GiB"), "p", 1))
    leader.submit(SubscribeFramework(subscription(), "p", 2))
    leader.advance(SECOND_NS)
    return leader


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (replace(GOOD, task_id=""), Reason.BAD_ID),
        (replace(GOOD, task_id="x" * 129), Reason.BAD_ID),
        (replace(GOOD, resources=Resources()), Reason.BAD_RESOURCES),
        (
            replace(GOOD, resources=Resources({"cpus": 1, "mem": 1}, {"cpus": ((1, 2),)})),
            Reason.BAD_RESOURCES,
        ),
        (
            replace(GOOD, resources=Resources({"cpus": 1, "mem": 1}, {"p": ((9, 2),)})),
            Reason.BAD_RESOURCES,
        ),
        (replace(GOOD, command=()), Reason.BAD_COMMAND),
        (replace(GOOD, command=("a\0",)), Reason.BAD_COMMAND),
        (replace(GOOD, command=("a",) * 1025), Reason.TOO_MANY),
        (replace(GOOD, command=("a", "x" * 300_000)), Reason.TOO_MANY),
        (replace(GOOD, name="a\x1b[2J"), Reason.BAD_NAME),
        (replace(GOOD, user="x" * 300), Reason.BAD_NAME),
        (replace(GOOD, kill_grace_ns=-1), Reason.BAD_DURATION),
        (replace(GOOD, kill_signal=65), Reason.BAD_DESCRIPTION),
        (replace(GOOD, discovery=Discovery("a b", "cluster")), Reason.BAD_DESCRIPTION),
        (replace(GOOD, discovery=Discovery("db", "world")), Reason.BAD_DESCRIPTION),
        (replace(GOOD, discovery=Discovery("", "cluster")), Reason.BAD_DESCRIPTION),
        (replace(GOOD, discovery=serving(ServicePort(0, "http", "tcp"))), Reason.BAD_DESCRIPTION),
        (replace(GOOD, discovery=serving(ServicePort(80, "a b", "tcp"))), Reason.BAD_DESCRIPTION),
        (replace(GOOD, discovery=serving(ServicePort(80, "", "sctp"))), Reason.BAD_DESCRIPTION),
        (replace(GOOD, discovery=serving(*PORT * 65)), Reason.TOO_MANY),
        (replace(GOOD, completion_ns=-1), Reason.BAD_DURATION),
        (replace(GOOD, completion_ns=2**62), Reason.BAD_DURATION),
        (replace(GOOD, replaces="a b"), Reason.BAD_ID),
        (replace(GOOD, limits=Resources({"cpus": 1})), Reason.BAD_RESOURCES),
        (replace(GOOD, limits=Resources(ranges={"cpus": ((1, 2),)})), Reason.BAD_RESOURCES),
        (replace(GOOD, environment=(Variable("A=B", ""),)), Reason.BAD_DESCRIPTION),
        (replace(GOOD, environment=(Variable("", ""),)), Reason.BAD_DESCRIPTION),
        (replace(GOOD, environment=(Variable("A", "\0"),)), Reason.BAD_DESCRIPTION),
        (replace(GOOD, uris=(Uri(""),)), Reason.BAD_DESCRIPTION),
        (replace(GOOD, uris=(Uri("http://x", filename="../y"),)), Reason.BAD_DESCRIPTION),
        (replace(GOOD, uris=(Uri("http://x"),) * 65), Reason.TOO_MANY),
        (replace(GOOD, labels=(Label("x" * 300, ""),)), Reason.BAD_NAME),
    ],
)
def test_bad_description_is_refused(task: TaskDescription, reason: Reason) -> None:
    leader = leader_with_offer()
    outcome = leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], task)))
    assert isinstance(outcome, Refused)
    assert outcome.reason is reason, outcome.text
    assert outcome.text
    assert leader.state.tasks == {}


@pytest.mark.parametrize(
    "command",
    [
        AcceptOffers(F1, Accept(1, tuple(f"o{n}" for n in range(101)))),
        AcceptOffers(F1, Accept(1, (), (KillTask("t"),) * 1001)),
        DeclineOffers(F1, Decline(1, tuple(f"o{n}" for n in range(1001)))),
        KillTasks(F1, (KillTask("t"),) * 1001),
        ReconcileTasks(F1, ("t",) * 10_001),
    ],
)
def test_call_with_too_many_items_is_refused(command: Command) -> None:
    outcome = leader_with_offer().submit(command)
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.TOO_MANY


def test_descriptions_of_a_framework_are_bounded() -> None:
    tasks = [replace(description(f"t{number}"), command=("x" * 1000,)) for number in range(3)]
    bytes_max = 2 * weigh_description(tasks[0])
    leader = leader_with_offer(Settings(framework_bytes_max=bytes_max))
    outcome = leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], *tasks)))
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.TOO_MANY
    assert outcome.text.startswith(f"{bytes_max * 3 // 2} bytes of descriptions")
    assert f"at most {bytes_max} " in outcome.text
    leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], *tasks[:2])))
    leader.advance(10 * SECOND_NS)
    outcome = leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], tasks[2])))
    assert isinstance(outcome, Refused)
    assert leader.state.frameworks[F1].live == 2


def test_description_of_an_ended_task_makes_room() -> None:
    bytes_max = weigh_description(GOOD)
    leader = leader_with_offer(Settings(framework_bytes_max=bytes_max))
    leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], GOOD)))
    leader.submit(UpdateStatuses(AgentId("a1"), (status(state=TaskState.FINISHED),)))
    leader.submit(AcknowledgeUpdates(F1, (Acknowledgement("t1", 1, 1),)))
    leader.advance(10 * SECOND_NS)
    again = replace(GOOD, task_id="t2")
    outcome = leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], again)))
    assert isinstance(outcome, Decision)


@pytest.mark.parametrize("bound", ["tasks_max", "framework_tasks_max"])
def test_tasks_are_bounded(bound: str) -> None:
    changes: dict[str, Any] = {bound: 2}
    leader = leader_with_offer(replace(Settings(), **changes))
    tasks = [description(f"t{number}") for number in range(3)]
    outcome = leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], *tasks)))
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.TOO_MANY


@pytest.mark.parametrize("framework_id", ["", "fw-9", "fw-2"])
def test_call_of_a_framework_that_is_not_is_refused(framework_id: str) -> None:
    outcome = leader_with_offer().submit(KillTasks(FrameworkId(framework_id), ()))
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.UNKNOWN_FRAMEWORK


def test_many_launches_leave_in_several_effects() -> None:
    leader = leader_with_offer()
    heavy = ("run", "x" * 150_000)
    tasks = [replace(description(f"t{n}"), command=heavy) for n in range(3)]
    outcome = leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], *tasks)))
    assert isinstance(outcome, Decision)
    assert len(outcome.effects) == 3


def test_accept_that_no_entry_of_the_log_can_hold_is_refused() -> None:
    leader = leader_with_offer()
    tasks = [replace(description(f"t{n}"), command=("run", "x" * 220_000)) for n in range(3)]
    outcome = leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], *tasks)))
    assert isinstance(outcome, Refused)
    assert outcome.reason is Reason.TOO_MANY


def test_launch_runs_as_the_frameworks_user_unless_the_task_names_one() -> None:
    leader = leader_with_offer()
    leader.submit(SubscribeFramework(subscription(framework_id="fw-1", user="alice"), "p", 2))
    leader.advance(SECOND_NS)
    operations = (LaunchTask(GOOD), LaunchTask(replace(GOOD, task_id="t2", user="bob")))
    outcome = leader.submit(AcceptOffers(F1, Accept(1, (offers_of(leader)[0],), operations)))
    assert isinstance(outcome, Decision)
    users = [launch.user for effect in outcome.effects for launch in effect.launches]  # type: ignore[union-attr]
    assert users == ["alice", "bob"]


def test_discovery_of_a_task_is_listed_with_where_it_is() -> None:
    leader = leader_with_offer()
    wanted = replace(GOOD, discovery=serving(*PORT), labels=(Label("tier", "1"),))
    leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], wanted)))
    [view] = view_tasks(leader.state, is_all=False)
    plain = plain_task(view)
    assert plain["discovery"] == {
        "name": "db",
        "visibility": "cluster",
        "ports": [{"number": 80, "name": "http", "protocol": "tcp"}],
    }
    assert (plain["labels"], plain["agent_hostname"]) == ({"tier": "1"}, "a1.example")
