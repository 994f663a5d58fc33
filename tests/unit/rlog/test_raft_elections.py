"""Who leads and who votes: each scenario is a way in which an election goes wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rlog.messages import (
    RequestVote,
    TimeoutNow,
    Vote,
)
from rlog.raft_member import Role
from tests.unit.rlog.raft_bench import RaftBench, append, entries


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[RaftBench]:
    made = RaftBench(tmp_path)
    yield made
    made.close()


@pytest.fixture
def five(tmp_path: Path) -> Iterator[RaftBench]:
    made = RaftBench(tmp_path, 5)
    yield made
    made.close()


# Elections


def test_single_voter_leads_at_once(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, 1)
    alone = bench["a"]
    alone.raft.campaign()
    alone.work()
    assert alone.reader.told[-1] == ("lead", 1)
    assert alone.raft.append(b"x") == 2
    alone.work()
    assert alone.reader.payloads == [b"x"]
    bench.close()


def test_vote_leaves_only_when_it_is_on_disk(bench: RaftBench) -> None:
    b = bench["b"]
    b.hear("a", RequestVote(term=5))
    b.raft.turn()
    assert b.take_sent(Vote) == []
    b.work()
    assert [vote.is_granted for vote in b.take_sent(Vote)] == [True]


def test_vote_is_remembered_after_a_crash(bench: RaftBench) -> None:
    b = bench["b"]
    b.hear("a", RequestVote(term=5))
    b.work()
    b.crash()
    b.hear("c", RequestVote(term=5))
    b.work()
    assert [vote.is_granted for vote in b.take_sent(Vote)] == [False]


def test_own_vote_counts_only_when_it_is_on_disk(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, 1)
    bench["a"].raft.campaign()
    bench["a"].raft.turn()
    assert bench["a"].raft.role == Role.CANDIDATE
    bench.close()


def test_votes_are_collected_not_counted(five: RaftBench) -> None:
    a = five["a"]
    a.raft.campaign(is_forced=True)
    a.work()
    vote = Vote(a.raft.term, is_granted=True)
    a.hear("b", vote, vote, vote)
    assert a.raft.role.name == "CANDIDATE"
    a.hear("c", vote)
    assert a.raft.role.name == "LEADER"


def test_vote_of_an_older_term_does_not_count(five: RaftBench) -> None:
    a = five["a"]
    a.raft.campaign(is_forced=True)
    old = Vote(a.raft.term, is_granted=True)
    a.raft.campaign(is_forced=True)
    a.work()
    a.hear("b", old)
    a.hear("c", old)
    assert a.raft.role == Role.CANDIDATE


def test_shorter_log_gets_no_vote(bench: RaftBench) -> None:
    b = bench["b"]
    b.hear("a", append(2, (0, 0), *entries(1, 4, 2)))
    bench.now_s += 5
    b.hear("c", RequestVote(term=3, last_index=9, last_term=1))
    b.hear("c", RequestVote(term=4, last_index=2, last_term=2))
    b.work()
    assert not any(vote.is_granted for vote in b.take_sent(Vote))


def test_pre_vote_disturbs_no_leader(bench: RaftBench) -> None:
    leader = bench.elect("a")
    bench["c"].raft.campaign()  # as one does that was cut off for a moment
    bench.settle()
    assert (leader.raft.role, leader.raft.term) == (Role.LEADER, 1)


def test_member_that_hears_a_leader_votes_for_nobody_else(bench: RaftBench) -> None:
    bench.elect("a")
    b = bench["b"]
    b.take_sent()
    b.hear("c", RequestVote(term=9, last_index=99, last_term=8))
    b.work()
    assert b.take_sent(Vote) == []
    assert b.raft.term == 1


def test_leader_hands_over_at_an_orderly_stop(bench: RaftBench) -> None:
    leader = bench.elect("a")
    bench.heartbeat()
    assert leader.raft.hand_over()
    bench.settle()
    assert bench["b"].raft.role == Role.LEADER
    assert leader.reader.told[-1] == ("follow", "b")


def test_request_to_take_over_counts_only_from_the_leader(bench: RaftBench) -> None:
    bench.elect("a")
    bench["b"].hear("c", TimeoutNow(1))
    assert bench["b"].raft.role == Role.FOLLOWER


# A leader that is gone: its links end at once, unlike those of one that is only silent.


def test_leader_whose_links_were_lost_is_followed_by_another_before_the_timeout(
    bench: RaftBench,
) -> None:
    bench.elect("a")
    for name in "bc":
        bench[name].raft.disconnected("a")
    bench.now_s += 0.31  # three heartbeats; the timeout is half a second
    bench["b"].raft.tick()
    bench.settle(among="bc")
    assert bench["b"].raft.role == Role.LEADER


def test_silent_leader_with_its_links_is_waited_for(bench: RaftBench) -> None:
    bench.elect("a")
    bench.now_s += 0.31
    bench["b"].raft.tick()
    bench["b"].work()
    assert bench["b"].take_sent(RequestVote) == []


def test_leader_that_speaks_after_its_link_was_lost_is_followed_on(bench: RaftBench) -> None:
    bench.elect("a")
    b = bench["b"]
    b.raft.disconnected("a")
    bench.heartbeat()
    bench.now_s += 0.31
    b.raft.tick()
    b.work()
    assert b.take_sent(RequestVote) == []


def test_lost_link_of_one_member_unseats_no_leader_that_others_hear(bench: RaftBench) -> None:
    leader = bench.elect("a")
    bench["b"].raft.disconnected("a")
    bench["b"].raft.campaign()
    bench.settle(among="bc")
    assert (leader.raft.role, bench["b"].raft.role) == (Role.LEADER, Role.FOLLOWER)
    assert bench["c"].raft.term == 1
