"""Snapshots: what is durable survives, what is soft does not count."""

import pytest

from master.core import invariants
from master.core.agents import RegisterAgent
from master.core.frameworks import SubscribeFramework
from master.core.settings import SECOND_NS
from master.core.snapshot import digest, dump, load
from protocol.ids import FrameworkId
from rlog.spaces.commands import ChangeSpace
from rlog.spaces.messages import AppendRecords, ClaimJournal
from tests.unit.master.leader import Leader, registration, subscription
from tests.unit.master.test_machine import busy_leader
from tests.unit.master.test_updates import leader as leader_with_task

leader = leader_with_task


def test_loaded_state_is_the_dumped_one() -> None:
    leader = busy_leader()
    loaded = load(dump(leader.state))
    invariants.check(loaded)
    assert digest(loaded) == digest(leader.state)
    assert dump(loaded) == dump(leader.state)


def test_older_snapshot_without_counts_of_tasks_is_counted(leader: Leader) -> None:
    state = leader.state
    counted = dump(state)
    framework = state.frameworks[FrameworkId("fw-1")]
    assert (framework.live, framework.description_bytes > 0) == (1, True)
    framework.live = framework.description_bytes = 0
    loaded = load(dump(state))
    invariants.check(loaded)
    assert dump(loaded) == counted


def test_offers_are_not_in_the_digest() -> None:
    leader = Leader()
    leader.submit(RegisterAgent(registration(), "p", 1))
    leader.submit(SubscribeFramework(subscription(), "p", 2))
    before = digest(leader.state)
    leader.advance(SECOND_NS)
    assert leader.state.soft.offers
    assert digest(leader.state) == before
    assert not load(dump(leader.state)).soft.offers


def test_state_with_a_journal_has_a_digest_of_its_own() -> None:
    leader = Leader()
    leader.submit(ChangeSpace("p", ClaimJournal(space="s", name="j", writer="w")))
    claimed = digest(leader.state)
    epoch = leader.state.spaces.by_name["s"].journals["j"].epoch
    records = tuple(b"%d" % number for number in range(12))
    leader.submit(
        ChangeSpace("p", AppendRecords(space="s", name="j", epoch=epoch, records=records))
    )
    assert digest(leader.state) != claimed
    assert digest(load(dump(leader.state))) == digest(leader.state)


def test_states_that_differ_have_other_digests() -> None:
    one, other = Leader(), Leader()
    other.submit(RegisterAgent(registration(), "p", 1))
    assert digest(one.state) != digest(other.state)


@pytest.mark.parametrize("content", [b"", b"\x00abc"])
def test_snapshot_of_another_format_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="begins with"):
        load(content)
