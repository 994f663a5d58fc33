"""Absence: rates, and a cluster whose power comes back."""

from collections.abc import Iterator

import pytest

from master.core.absence import LiftGuard, survey, view_guard
from master.core.agents import AgentUnlinked, RegisterAgent
from master.core.effects import Effect, SendUpdates, TellHeld
from master.core.frameworks import SubscribeFramework
from master.core.invariants import check
from master.core.leadership import Tick
from master.core.offers import AcceptOffers
from master.core.settings import SECOND_NS, Settings
from master.core.updates import PENDING_MAX, AcknowledgeUpdates, UpdateStatuses
from protocol.decision import Decision
from protocol.ids import AgentId, FrameworkId, task_key
from protocol.messages.agent import RegisterAgent as Registration
from protocol.messages.framework import Acknowledgement
from protocol.messages.operator import ZoneView
from protocol.messages.values import TaskReason, TaskState, TaskStatus
from protocol.resources import parse_resources
from tests.unit.master.leader import Leader, acceptance, description, status, subscription

F1 = FrameworkId("fw-1")
AGENTS = 60
SERVICE = ("cpus:4;mem:8GiB", "cpus:1;mem:1GiB")


def effects_of(outcomes: list[object]) -> Iterator[Effect]:
    for outcome in outcomes:
        assert isinstance(outcome, Decision)
        yield from outcome.effects


def agent_id(number: int) -> AgentId:
    return AgentId(f"a{number}")


def register(leader: Leader, number: int, boot: str, *tasks: TaskStatus) -> None:
    register = Registration(
        agent_id=agent_id(number),
        hostname=f"{agent_id(number)}.example",
        address=f"{agent_id(number)}.example:7001",
        resources=parse_resources(SERVICE[0]),
        boot_id=boot,
        tasks=tasks,
    )
    leader.submit(RegisterAgent(register, "p", 1000 + len(leader.log)))


def unlink(leader: Leader, number: int) -> None:
    link = leader.state.soft.agent_links[agent_id(number)]
    leader.submit(AgentUnlinked(agent_id(number), link))


def service(settings: Settings | None = None) -> Leader:
    """Return a leader with a task on each of many agents, all known to be running."""
    leader = Leader.with_settings(settings or Settings())
    leader.submit(SubscribeFramework(subscription(), "p", 1))
    for number in range(AGENTS):
        register(leader, number, "boot-1")
    leader.advance(SECOND_NS)
    for offer in tuple(leader.state.soft.offers.values()):
        wanted = description(f"on-{offer.agent_id}", SERVICE[1])
        leader.submit(AcceptOffers(F1, acceptance(offer.id, wanted, refuse_ns=10**15)))
    for task in tuple(leader.state.tasks.values()):
        running = status(task.task_id, launch=task.launch)
        leader.submit(UpdateStatuses(task.agent_id, (running,)))
        ack = Acknowledgement(task.task_id, task.launch, 1)
        leader.submit(AcknowledgeUpdates(F1, (ack,)))
    assert leader.state.task_counts == {"RUNNING": AGENTS}
    return leader


def test_power_that_comes_back_after_an_outage_of_all_racks_loses_no_task_of_a_service() -> None:
    leader = service()
    for number in range(AGENTS):
        unlink(leader, number)
    effects = list(effects_of([*leader.advance(60 * SECOND_NS)]))
    assert not [each for each in effects if isinstance(each, SendUpdates)]
    [held] = [each for each in effects if isinstance(each, TellHeld)]
    assert [(zone.absent, zone.known) for zone in held.zones] == [(AGENTS, AGENTS)]
    leader.crash()  # the masters were without power, too
    leader.submit(SubscribeFramework(subscription(framework_id=F1), "p", 2))
    leader.advance(30 * SECOND_NS)
    assert leader.state.task_counts == {"RUNNING": AGENTS}
    ended: dict[str, int] = {}
    for number in reversed(range(AGENTS)):
        task = leader.state.tasks[task_key(F1, f"on-a{number}")]
        failed = TaskStatus(
            F1,
            task.task_id,
            agent_id(number),
            task.launch,
            sequence=2,
            state=TaskState.FAILED,
            reason=TaskReason.AGENT_RESTARTED,
        )
        register(leader, number, "boot-2", failed)
        for effect in effects_of([leader.outcomes[-1]]):
            if isinstance(effect, SendUpdates):
                for each in effect.statuses:
                    ended[each.task_id] = ended.get(each.task_id, 0) + 1
    assert ended == {f"on-a{number}": 1 for number in range(AGENTS)}
    assert leader.state.ended_counts == {"FAILED": AGENTS}
    leader.advance(10 * SECOND_NS)
    offered = {offer.agent_id for offer in leader.state.soft.offers.values()}
    assert offered == {agent_id(number) for number in range(AGENTS)}
    assert leader.state.soft.held == ()


def test_agents_that_return_with_their_tasks_are_no_news() -> None:
    leader = service()
    for number in range(AGENTS):
        unlink(leader, number)
    leader.advance(60 * SECOND_NS)
    entries = len(leader.log)
    for number in range(AGENTS):
        task = leader.state.tasks[task_key(F1, f"on-a{number}")]
        register(leader, number, "boot-1", status(task.task_id, launch=task.launch))
    assert len(leader.log) == entries


def test_agents_are_given_up_at_a_rate_however_many_there_are() -> None:
    settings = Settings(removals_burst=10, removal_interval_ns=SECOND_NS, absent_milli_max=1000)
    leader = service(settings)
    for number in range(AGENTS):
        unlink(leader, number)
    counts = []
    leader.advance(10 * SECOND_NS)
    for _ in range(AGENTS + 20):
        counts.append(sum(agent.is_unreachable for agent in leader.state.agents.values()))
        leader.advance(SECOND_NS)
    assert counts[:5] == [10, 11, 12, 13, 14]
    assert counts[-1] == AGENTS


def test_agent_that_returns_before_its_turn_is_not_given_up() -> None:
    settings = Settings(removals_burst=1, removal_interval_ns=SECOND_NS, absent_milli_max=1000)
    leader = service(settings)
    unlink(leader, 0)
    unlink(leader, 1)
    leader.advance(10 * SECOND_NS)
    assert [each.id for each in leader.state.agents.values() if each.is_unreachable] == ["a0"]
    register(leader, 1, "boot-1", status("on-a1", launch=2))
    leader.advance(60 * SECOND_NS)
    assert [each.id for each in leader.state.agents.values() if each.is_unreachable] == ["a0"]


def test_those_that_went_long_ago_do_not_count_as_going_together() -> None:
    settings = Settings(absence_window_ns=60 * SECOND_NS)
    leader = service(settings)
    for number in range(19):
        unlink(leader, number)
    leader.advance(30 * SECOND_NS)
    assert survey(leader.state, settings, leader.now_ns)[""].absent == 19
    leader.advance(60 * SECOND_NS)
    assert survey(leader.state, settings, leader.now_ns)[""].known == AGENTS - 19
    for number in range(19, 25):
        unlink(leader, number)
    leader.advance(30 * SECOND_NS)
    assert sum(agent.is_unreachable for agent in leader.state.agents.values()) == 25


@pytest.mark.parametrize(("absent", "is_held"), [(19, False), (20, True)])
def test_zone_is_held_beyond_the_fraction(absent: int, is_held: bool) -> None:
    leader = service()
    for number in range(absent):
        unlink(leader, number)
    view = view_guard(leader.state, Settings(), leader.now_ns)
    assert view.zones == (ZoneView("", AGENTS, absent, is_held),)


def test_lift_lasts_as_long_as_it_says_under_any_leader() -> None:
    leader = service()
    leader.submit(LiftGuard("op", 60 * SECOND_NS))
    leader.crash()
    until_ns = leader.now_ns + 60 * SECOND_NS
    assert view_guard(leader.state, Settings(), until_ns - 1).lifted_until_ns == until_ns
    assert view_guard(leader.state, Settings(), until_ns).lifted_until_ns == 0
    assert view_guard(leader.state, Settings(), until_ns).zones[0].is_held


def test_held_agents_cost_a_leader_few_turns() -> None:
    leader = service()
    for number in range(AGENTS):
        unlink(leader, number)
    leader.advance(11 * SECOND_NS)
    before = len(leader.outcomes)
    leader.advance(60 * SECOND_NS)
    assert len(leader.outcomes) - before <= 31
    assert leader.submit(Tick()) is not None


def test_agent_that_flaps_costs_no_log_and_no_memory() -> None:
    leader = service()
    entries = len(leader.log)
    alarms = len(leader.state.soft.alarms.heap)
    task = leader.state.tasks[task_key(F1, "on-a0")]
    running = status(task.task_id, launch=task.launch)
    leader.is_checking = False
    for _ in range(300):
        unlink(leader, 0)
        leader.advance(5 * SECOND_NS)
        register(leader, 0, "boot-1", running)
        leader.advance(5 * SECOND_NS)
    check(leader.state)
    assert len(leader.log) == entries
    assert len(leader.state.soft.alarms.heap) <= alarms + 10
    assert leader.state.soft.overdue == {}


def test_agent_that_comes_and_goes_for_longer_leaves_bounded_news() -> None:
    leader = service()
    task = leader.state.tasks[task_key(F1, "on-a0")]
    running = status(task.task_id, launch=task.launch)
    leader.is_checking = False
    for _ in range(40):
        unlink(leader, 0)
        leader.advance(11 * SECOND_NS)
        register(leader, 0, "boot-1", running)
    check(leader.state)
    assert len(task.pending) == PENDING_MAX
    assert [task.pending[-1].state, task.status.state] == 2 * [TaskState.RUNNING]
