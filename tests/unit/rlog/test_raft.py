"""Directed scenarios: each is a way in which a Raft goes wrong, or stock pysyncobj does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.errors import NotLeader, Overloaded, TooLarge
from rlog.messages import (
    Appended,
    RequestVote,
    Vote,
)
from rlog.raft_member import Role
from tests.unit.rlog.raft_bench import BenchMember, RaftBench, append, entries


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


def terms(member: BenchMember) -> list[int]:
    return [e.term for e in member.store.range(member.store.first, member.store.last + 1)]


# Entries


def test_acknowledgement_leaves_only_when_entries_are_on_disk(bench: RaftBench) -> None:
    b = bench["b"]
    b.hear("a", append(1, (0, 0)))
    b.work()
    b.take_sent()
    b.hear("a", append(1, (0, 0), *entries(1, 3, 1)))
    b.raft.turn()
    assert b.take_sent(Appended) == []
    b.work()
    assert [answer.match for answer in b.take_sent(Appended)] == [2]


def test_heartbeat_is_answered_while_the_disk_is_slow(bench: RaftBench) -> None:
    b = bench["b"]
    b.hear("a", append(1, (0, 0)))
    b.work()
    b.take_sent()
    b.hear("a", append(1, (0, 0), *entries(1, 3, 1)), append(1, (2, 1)))
    b.raft.turn()
    assert [(a.is_match, a.match) for a in b.take_sent(Appended)] == [(True, 0)]


def test_shorter_copy_takes_back_nothing(bench: RaftBench) -> None:
    b = bench["b"]
    b.hear("a", append(5, (0, 0), *entries(1, 5, 5)), append(5, (0, 0), *entries(1, 3, 5)))
    assert b.store.last == 4


def test_conflicting_entries_are_replaced(bench: RaftBench) -> None:
    b = bench["b"]
    b.hear("a", append(1, (0, 0), *entries(1, 6, 1)))
    b.work()
    b.hear("c", append(2, (2, 1), *entries(3, 5, 2)))
    b.work()
    assert terms(b) == [1, 1, 2, 2]


def test_commit_index_covers_only_what_was_verified(bench: RaftBench) -> None:
    b = bench["b"]
    b.hear("a", append(1, (0, 0), *entries(1, 6, 1)))
    b.hear("c", append(2, (2, 1), committed=4))
    assert b.raft.committed == 2


def test_acknowledgement_of_an_older_term_commits_nothing(bench: RaftBench) -> None:
    leader = bench.elect("a", among="ac")
    leader.raft.append(b"x")
    old_term = leader.raft.term
    leader.hear("c", RequestVote(term=5, is_forced=True))
    leader.work()
    bench.elect("a", among="ac")
    leader.raft.append(b"y")
    leader.work()
    before = leader.raft.committed
    leader.hear("b", Appended(old_term, 1, is_match=True, match=leader.store.last))
    leader.work()
    assert leader.raft.committed == before


def test_entry_of_an_older_term_is_not_committed_by_counting(five: RaftBench) -> None:
    a = five["a"]
    a.hear("e", append(2, (0, 0), *entries(1, 3, 2)))
    a.work()
    five.elect("a", among="abc")  # a's own entry of the new term reaches nobody
    a.crash()
    a.hear("e", append(2, (0, 0)))
    a.raft.campaign(is_forced=True)
    a.work()
    for name in "bc":
        a.hear(name, Vote(a.raft.term, is_granted=True))
    a.work()
    for name in "bc":
        a.hear(name, Appended(a.raft.term, 1, is_match=True, match=2))
    a.work()
    assert a.raft.committed == 0


def test_long_conflicting_tail_is_caught_up(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, batch_bytes=400)
    bench["b"].hear("c", append(1, (0, 0), *entries(1, 90, 1)))
    bench["b"].work()
    bench["a"].hear("c", append(2, (0, 0), *entries(1, 60, 2)))
    bench["a"].work()
    bench["c"].hear("a", append(2, (0, 0), *entries(1, 60, 2)))
    bench["c"].work()
    for member in bench.members.values():
        member.take_sent()
    bench.elect("a")
    bench.heartbeat()
    assert terms(bench["b"]) == terms(bench["a"])
    bench.close()


def test_big_payload_travels_whole(bench: RaftBench) -> None:
    leader = bench.elect("a")
    payload = bytes(range(256)) * 3000
    leader.raft.append(payload)
    bench.heartbeat()
    bench.heartbeat()
    assert bench["b"].reader.payloads == bench["c"].reader.payloads == [payload]


def test_payload_over_the_limit_is_refused(bench: RaftBench) -> None:
    leader = bench.elect("a")
    with pytest.raises(TooLarge):
        leader.raft.append(bytes(1 << 20))


def test_appends_in_flight_are_bounded(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, window_max=3)
    leader = bench.elect("a")
    for _ in range(3):
        leader.raft.append(b"x")
    with pytest.raises(Overloaded):
        leader.raft.append(b"x")
    bench.settle()
    assert leader.raft.window_free == 3
    bench.close()


def test_own_slow_disk_bounds_appends_too(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, window_max=3)
    leader = bench.elect("a")
    for _ in range(3):
        leader.raft.append(b"x")
    for _ in range(4):
        leader.raft.turn()
        bench.deliver()
        bench["b"].work()
        bench["c"].work()
        bench.deliver()
    leader.raft.turn()
    assert leader.reader.payloads == [b"x"] * 3  # a majority without the leader's disk
    assert leader.raft.window_free == 0
    bench.close()


def test_only_leaders_append(bench: RaftBench) -> None:
    bench.elect("a")
    with pytest.raises(NotLeader, match="the leader is a"):
        bench["b"].raft.append(b"x")


def test_reader_leads_only_after_everything_before_was_given_to_it(bench: RaftBench) -> None:
    leader = bench.elect("a")
    leader.raft.append(b"x")
    bench.settle()  # b and c hold it, and do not know that it is committed
    assert bench["b"].reader.payloads == []
    successor = bench.elect("b", among="bc")
    assert successor.reader.told[-2:] == [("committed", 2), ("lead", 2)]


def test_reader_follows_before_it_is_given_what_others_committed(bench: RaftBench) -> None:
    leader = bench.elect("a")
    leader.raft.append(b"lost")
    bench.elect("b", among="bc").raft.append(b"other")
    bench.settle(among="bc")
    bench.heartbeat()
    bench.heartbeat()
    told = leader.reader.told
    assert told.index(("follow", "b")) < told.index(("committed", 3))
    assert leader.reader.payloads == [b"other"]


# Reads


def test_read_is_proven_by_a_round_begun_after_it(bench: RaftBench) -> None:
    leader = bench.elect("a")
    bench.heartbeat()
    answers: list[bool] = []
    leader.raft.read_barrier(answers.append)
    leader.work()
    assert leader.raft.take_answers() == []
    bench.settle()
    assert [proven for _, proven in leader.raft.take_answers()] == [True]


def test_isolated_leader_answers_no_read_and_stops_leading(bench: RaftBench) -> None:
    leader = bench.elect("a")
    leader.raft.read_barrier(lambda proven: None)
    bench.now_s += 0.11
    leader.work()
    assert leader.raft.take_answers() == []
    bench.now_s += 0.5
    leader.raft.tick()
    leader.work()
    assert leader.raft.role == Role.FOLLOWER
    assert [proven for _, proven in leader.raft.take_answers()] == [False]


def test_new_leader_answers_no_read_before_its_own_entry_is_committed(bench: RaftBench) -> None:
    a = bench["a"]
    a.raft.campaign(is_forced=True)
    a.work()
    a.hear("b", Vote(1, is_granted=True))
    a.raft.read_barrier(lambda proven: None)
    a.work()
    for name in "bc":
        a.hear(name, Appended(1, 99, is_match=True, match=0))
    a.work()
    assert a.raft.take_answers() == []
