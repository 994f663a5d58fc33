"""What operators are told before they do it."""

from master.core.agents import RegisterAgent
from master.core.frameworks import SubscribeFramework
from master.core.quotas import SetQuota
from master.core.settings import SECOND_NS
from master.requests import tell_plan
from protocol.decision import Decision
from tests.unit.master.leader import Leader, registration, subscription


def plan(leader: Leader, command: SetQuota) -> str:
    outcome = leader.machine.decide(leader.state, command, leader.now_ns)
    assert isinstance(outcome, Decision)
    return tell_plan(outcome).text


def test_quota_that_promises_what_is_lent_says_how_many_offers_go() -> None:
    leader = Leader()
    leader.submit(RegisterAgent(registration("a1", "cpus:4;mem:8GiB"), "p", 1))
    leader.submit(SubscribeFramework(subscription(), "p", 2))
    leader.advance(SECOND_NS)
    assert len(leader.state.soft.offers) == 1
    promise = SetQuota("ops", {"cpus": 4000}, {})
    assert plan(leader, promise) == "changed; 1 offer taken back"
    assert len(leader.state.soft.offers) == 1  # nothing was done
    leader.submit(promise)
    assert plan(leader, promise) == "nothing to change; no offer taken back"
