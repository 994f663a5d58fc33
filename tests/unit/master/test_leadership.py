"""Leadership: what a leader finds again, and that offers' ids never come twice."""

from master.core.agents import AgentUnlinked, RegisterAgent
from master.core.effects import SendKill, SendLaunch, SendOffers, SendUpdates
from master.core.frameworks import SubscribeFramework
from master.core.offers import AcceptOffers
from master.core.settings import SECOND_NS, Settings
from master.core.tasks import KillTasks
from master.core.updates import UpdateStatuses
from protocol.ids import AgentId, FrameworkId
from protocol.messages.framework import KillTask
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


def test_reconcile_finds_every_lost_effect() -> None:
    leader = Leader()
    leader.submit(RegisterAgent(registration(), "p", 1))
    leader.submit(SubscribeFramework(subscription(), "p", 2))
    leader.advance(SECOND_NS)
    accept = acceptance(offers_of(leader)[0], description("t1"), description("t2"), refuse_ns=1)
    leader.submit(AcceptOffers(F1, accept))
    leader.submit(UpdateStatuses(A1, (status(),)))
    leader.submit(KillTasks(F1, (KillTask("t1"),)))
    leader.advance(SECOND_NS)
    updates, launches, kills, offers = leader.machine.reconcile(leader.state)
    assert isinstance(updates, SendUpdates)
    assert [each.task_id for each in updates.statuses] == ["t1"]
    assert isinstance(launches, SendLaunch)
    assert [each.description.task_id for each in launches.launches] == ["t2"]
    assert isinstance(kills, SendKill)
    assert [each.task_id for each in kills.kills] == ["t1"]
    assert isinstance(offers, SendOffers)


def test_reconcile_says_nothing_to_who_is_away() -> None:
    leader = Leader()
    leader.submit(RegisterAgent(registration(), "p", 1))
    leader.submit(SubscribeFramework(subscription(), "p", 2))
    leader.advance(SECOND_NS)
    leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], description())))
    leader.submit(AgentUnlinked(A1, 1))
    assert leader.machine.reconcile(leader.state) == ()


def test_offer_ids_do_not_come_again_when_a_term_is_taken_over_twice() -> None:
    leader = Leader()
    seen: list[str] = []
    for link in (1, 3):
        leader.submit(RegisterAgent(registration(), "p", link))
        call = subscription(token="t")
        leader.submit(SubscribeFramework(call, "p", link + 1))
        leader.advance(SECOND_NS)
        seen += offers_of(leader)
        leader.term -= 1
        leader.take_over()
    assert len(dict.fromkeys(seen)) == len(seen) == 2


def test_leader_without_anybody_waits_for_nothing() -> None:
    leader = Leader()
    assert leader.machine.due(leader.state) is None


def test_many_agents_are_offered_by_several_passes() -> None:
    leader = Leader.with_settings(Settings(pass_agents_max=2))
    leader.submit(SubscribeFramework(subscription(), "p", 1))
    for number in range(5):
        leader.submit(RegisterAgent(registration(f"a{number}"), "p", number))
    outcomes = leader.advance(SECOND_NS)
    assert len(outcomes) == 3
    assert len(leader.state.soft.offers) == 5
