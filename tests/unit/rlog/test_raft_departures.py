"""Members that are removed: told so, silent from then on, and welcome again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rlog.departures import PATIENCE
from rlog.messages import RequestVote, Vote
from rlog.raft_member import Role
from tests.unit.rlog.raft_bench import BenchMember, RaftBench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[RaftBench]:
    made = RaftBench(tmp_path)
    yield made
    made.close()


def beat(bench: RaftBench, count: int = 2, *, among: str | None = None) -> None:
    for _ in range(count):
        bench.heartbeat(among=among)


def lead(bench: RaftBench) -> BenchMember:
    """Return a leader whom all follow."""
    leader = bench.elect("a")
    beat(bench)
    return leader


def lose_patience(bench: RaftBench, name: str) -> list[RequestVote]:
    """Let a member hear nothing for long; return what it asks."""
    bench.now_s += 2.0
    member = bench[name]
    member.raft.tick()
    member.work()
    return [message for _, message in member.sent if isinstance(message, RequestVote)]


def remove_unheard(bench: RaftBench, leader: BenchMember) -> BenchMember:
    """Return c, which was removed while nothing reached it."""
    leader.raft.remove("c")
    for _ in range(6 * PATIENCE):
        beat(bench, 1, among="ab")
    assert leader.raft.peers == ("b",)
    return bench["c"]


def test_removed_member_learns_it_from_the_leader(bench: RaftBench) -> None:
    leader = lead(bench)
    index = leader.raft.remove("c")
    beat(bench)
    removed = bench["c"].raft
    assert (removed.configuration.voters, removed.committed) == (("a", "b"), index)
    assert leader.raft.peers == ("b",)
    assert lose_patience(bench, "c") == []
    assert (removed.is_removed, removed.leader) == (True, "")


def test_removed_member_is_not_told_before_that_is_committed(bench: RaftBench) -> None:
    """Until then it may be the one whose vote elects another leader."""
    leader = lead(bench)
    index = leader.raft.remove("c")
    beat(bench, among="ac")
    assert leader.raft.committed < index
    assert bench["c"].store.last < index
    assert lose_patience(bench, "c") != []
    bench["c"].sent.clear()
    bench.elect("c", among="bc")
    assert bench["c"].raft.configuration.voters == ("a", "b", "c")


def test_removal_is_committed_without_the_removed(bench: RaftBench) -> None:
    leader = lead(bench)
    index = leader.raft.remove("c")
    beat(bench, among="ab")
    assert leader.raft.committed == index
    assert leader.raft.peers == ("b", "c")


def test_member_that_was_away_is_told_when_it_asks_for_votes(bench: RaftBench) -> None:
    removed = remove_unheard(bench, lead(bench))
    term = bench["a"].raft.term
    assert len(lose_patience(bench, "c")) == 2
    assert not removed.raft.is_removed
    bench.settle()
    assert removed.raft.is_removed
    assert lose_patience(bench, "c") == []
    assert (bench["a"].raft.term, bench["a"].raft.role) == (term, Role.LEADER)


def test_member_that_was_away_is_told_by_any_other(bench: RaftBench) -> None:
    removed = remove_unheard(bench, lead(bench))
    lose_patience(bench, "c")
    bench.settle(among="bc")
    assert removed.raft.is_removed


def test_restarted_member_asks_once_and_is_told_again(bench: RaftBench) -> None:
    removed = remove_unheard(bench, lead(bench))
    for _ in range(2):
        assert len(lose_patience(bench, "c")) == 2
        bench.settle()
        assert removed.raft.is_removed
        removed.crash()
        assert not removed.raft.is_removed


def test_removed_member_is_added_again_with_its_old_log(bench: RaftBench) -> None:
    leader = lead(bench)
    removed = remove_unheard(bench, leader)
    lose_patience(bench, "c")
    bench.settle()
    leader.raft.add_learner("c")
    beat(bench, 3)
    assert not removed.raft.is_removed
    leader.raft.promote("c")
    beat(bench)
    assert removed.raft.configuration.voters == ("a", "b", "c")
    assert not removed.raft.is_removed
    bench.elect("c", among="bc")


def test_member_is_added_again_while_it_is_being_told(bench: RaftBench) -> None:
    leader = lead(bench)
    leader.raft.remove("c")
    beat(bench, among="ab")
    leader.raft.add_learner("c")
    beat(bench, 2 * PATIENCE)
    assert leader.raft.peers == ("b", "c")
    assert bench["c"].raft.configuration.learners == ("c",)
    assert not bench["c"].raft.is_removed


def test_who_knows_more_is_not_told_that_it_was_removed(bench: RaftBench) -> None:
    """It was added again, and the one that it asks has not heard of that."""
    leader = lead(bench)
    remove_unheard(bench, leader)
    leader.raft.add_learner("c")
    beat(bench, 3, among="ac")  # b hears nothing of it, so it is not committed either
    bench.now_s += 2.0
    asks = RequestVote(9, True, False, bench["c"].store.last, leader.raft.term, "bench")
    bench["b"].take_sent()
    bench["b"].hear("c", asks)
    bench["b"].work()
    assert [vote.removed_at for vote in bench["b"].take_sent(Vote)] == [0]


def test_late_word_of_a_removal_does_not_silence_a_member(bench: RaftBench) -> None:
    lead(bench)
    member = bench["c"]
    late = Vote(member.raft.term, True, removed_at=1, removed_term=1)
    bench.now_s += 2.0
    member.hear("b", late)
    assert not member.raft.is_removed  # its log goes on beyond that
    far = Vote(member.raft.term, True, removed_at=99, removed_term=member.raft.term)
    bench["a"].raft.append(b"x")
    beat(bench)
    member.hear("b", far)
    assert not member.raft.is_removed  # it hears a leader, which would send it nothing if it were


def test_leader_that_steps_down_sees_nobody_off(bench: RaftBench) -> None:
    leader = lead(bench)
    leader.raft.remove("c")
    leader.raft.step_down()
    assert leader.raft.peers == ("b",)


def test_member_that_would_need_a_snapshot_to_know_is_let_go(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, snapshot_entries=10, keep_entries=2)
    leader = lead(bench)
    for _ in range(30):
        leader.raft.append(b"x")
        bench.settle(among="ab")
    bench["c"].crash()
    leader.raft.connected("c")
    leader.raft.remove("c")
    beat(bench, 4)
    assert leader.raft.peers == ("b",)
    assert bench["c"].store.snapshot.index == 0
    bench.close()
