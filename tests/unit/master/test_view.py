"""Views: what operators see, and that it does not change with the state."""

from master.core import view
from master.core.agents import RegisterAgent
from master.core.frameworks import LeaveFramework, SubscribeFramework
from master.core.offers import AcceptOffers
from master.core.reservations import ReserveByOperator
from master.core.roles import SetWeight
from master.core.settings import SECOND_NS
from master.core.tasks import KillTasks
from master.core.updates import AcknowledgeUpdates, UpdateStatuses
from master.core.volumes import ChangeVolumeByOperator
from protocol.ids import AgentId, FrameworkId
from protocol.messages.framework import Acknowledgement, KillTask, Reserve
from protocol.messages.operator import ChangeVolume
from protocol.messages.values import TaskState
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

F1, A1 = FrameworkId("fw-1"), AgentId("a1")


def leader_with_tasks() -> Leader:
    """Return a leader with t1 running and t2 ended, known to its framework."""
    leader = Leader()
    leader.submit(RegisterAgent(registration(), "p", 1))
    leader.submit(SubscribeFramework(subscription(name="shop"), "p", 2))
    leader.advance(SECOND_NS)
    accept = acceptance(offers_of(leader)[0], description("t1"), description("t2"), refuse_ns=1)
    leader.submit(AcceptOffers(F1, accept))
    ended = status("t2", TaskState.FINISHED, 1, 2)
    leader.submit(UpdateStatuses(A1, (status(), ended)))
    leader.submit(AcknowledgeUpdates(F1, (Acknowledgement("t2", 2, 1),)))
    return leader


def test_agent_view_adds_up() -> None:
    leader = leader_with_tasks()
    leader.advance(SECOND_NS)
    (agent,) = view.view_agents(leader.state)
    assert agent.state == "connected"
    assert agent.allocated == parse_resources("cpus:1;mem:1GiB")
    assert agent.offered == parse_resources("cpus:3;mem:7GiB")
    assert agent.tasks == 1


def test_framework_view_counts_live_tasks_and_offers() -> None:
    leader = leader_with_tasks()
    leader.advance(SECOND_NS)
    (framework,) = view.view_frameworks(leader.state, is_all=False)
    assert (framework.name, framework.state) == ("shop", "connected")
    assert (framework.tasks, framework.offers) == (1, len(view.view_offers(leader.state)))


def test_tasks_are_found_by_state_name_and_framework() -> None:
    state = leader_with_tasks().state

    def found(framework_id: str = "", task: str = "") -> list[str]:
        tasks = view.view_tasks(state, is_all=False, framework_id=framework_id, task=task)
        return [each.status.task_id for each in tasks]

    assert found() == ["t1"]
    assert found(task="t2") == ["t2"]
    assert found(task="fw-1/t2") == ["t2"]
    assert found(framework_id="fw-9") == []
    assert found(task="fw-9/t1") == []
    assert len(view.view_tasks(state, is_all=True)) == 2


def test_task_view_names_its_agent() -> None:
    (task,) = view.view_tasks(leader_with_tasks().state, is_all=False)
    assert task.agent_address == "a1.example:7001"
    assert task.framework_name == "shop"


def test_roles_show_weight_and_dominant_share() -> None:
    leader = leader_with_tasks()
    leader.submit(SetWeight("spare", 3000))
    spare, web = view.view_roles(leader.state)
    assert (spare.role, spare.weight_milli, spare.frameworks) == ("spare", 3000, 0)
    assert (web.dominant_resource, web.dominant_share_millionths) == ("cpus", 250_000)


def test_totals_count_what_is_and_what_was() -> None:
    leader = leader_with_tasks()
    totals = view.totals(leader.state)
    assert totals.capacity == parse_resources("cpus:4;mem:8GiB").scalars
    assert totals.allocated == parse_resources("cpus:1;mem:1GiB").scalars
    assert totals.tasks == {"RUNNING": 1}
    assert totals.tasks_ended == {"FINISHED": 1}
    assert totals.agents["connected"] == totals.frameworks["connected"] == 1
    leader.submit(LeaveFramework(F1))
    assert view.totals(leader.state).frameworks["left"] == 1


def test_parents_have_what_all_below_them_have() -> None:
    leader = leader_with_tasks()
    leader.submit(SetWeight("eng/search/ads", 3000))
    roles = [(role.role, role.weight_milli) for role in view.view_roles(leader.state)]
    assert roles[:3] == [("eng", 1000), ("eng/search", 1000), ("eng/search/ads", 3000)]


def test_views_do_not_change_with_the_state() -> None:
    leader = leader_with_tasks()
    before = (view.totals(leader.state), view.view_roles(leader.state))
    copies = repr(before)
    leader.submit(KillTasks(F1, (KillTask("t1"),)))
    leader.submit(UpdateStatuses(A1, (status(state=TaskState.KILLED, sequence=2),)))
    assert repr(before) == copies


def test_pages_put_together_are_the_whole_list() -> None:
    leader = Leader()
    for number in range(5):
        leader.submit(RegisterAgent(registration(f"a{number}"), "p", number))
    seen: list[str] = []
    while page := view.view_agents(leader.state, view.Page(seen[-1] if seen else "", 2)):
        seen += [agent.agent_id for agent in page]
    assert seen == ["a0", "a1", "a2", "a3", "a4"]


def test_pages_of_tasks_follow_their_launches() -> None:
    state = leader_with_tasks().state
    first = view.view_tasks(state, is_all=True, page=view.Page("", 1))
    second = view.view_tasks(state, is_all=True, page=view.Page(f"{1:020}", 1))
    assert [each.status.task_id for each in (*first, *second)] == ["t1", "t2"]


def test_page_after_no_number_of_a_launch_is_the_first() -> None:
    state = leader_with_tasks().state
    assert len(view.view_tasks(state, is_all=True, page=view.Page("x", 9))) == 2


def test_totals_count_what_is_reserved_and_volumes_by_state() -> None:
    leader = Leader()
    leader.submit(RegisterAgent(registration("a1", "cpus:4;mem:8GiB;disk:9GiB"), "p", 1))
    held = Reserve(reservation="r", role="db", resources=parse_resources("cpus:1;disk:5GiB"))
    leader.submit(ReserveByOperator("a1", held))
    change = ChangeVolume(0, "a1", "v", "create", "r", 1 << 30)
    leader.submit(ChangeVolumeByOperator(change))
    found = view.totals(leader.state)
    assert found.reserved == {"cpus": 1000, "disk": 5 << 30}
    assert (found.volumes["creating"], found.volumes["ready"]) == (1, 0)
