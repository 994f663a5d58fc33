"""Founding, and disks that were lost: who may decide anything without remembering its promises."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlog.messages import Appended, AppendEntries, InstallSnapshot, RequestVote, Vote
from rlog.raft_member import Role
from rlog.rows import (
    Snapshot,
    Standing,
    pack_snapshot,
    pack_standing,
    unpack_snapshot,
    unpack_standing,
)
from tests.unit.rlog.raft_bench import BenchMember, RaftBench, append, entries


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RaftBench]:
    """Three empty directories."""
    made = RaftBench(tmp_path, is_founded=False)
    yield made
    made.close()


@pytest.fixture
def bench(fresh: RaftBench) -> RaftBench:
    """A cluster that was founded, led by a."""
    fresh.elect("a")
    beat(fresh)
    return fresh


def beat(bench: RaftBench, count: int = 2, among: str | None = None) -> None:
    for _ in range(count):
        bench.heartbeat(among=among)


def reconnect(bench: RaftBench, name: str) -> None:
    for other in bench.members.values():
        if other.config.name != name:
            other.raft.connected(name)


def wipe(bench: RaftBench, name: str) -> BenchMember:
    bench[name].wipe()
    reconnect(bench, name)
    return bench[name]


# Founding


def test_everybody_founds_a_cluster(fresh: RaftBench) -> None:
    leader = fresh.elect("a")
    beat(fresh)
    ids = {member.raft.cluster_id for member in fresh.members.values()}
    assert ids == {leader.config.proposed_id}
    assert not any(member.raft.is_amnesiac for member in fresh.members.values())


def test_majority_of_empty_disks_founds_nothing(fresh: RaftBench) -> None:
    fresh["a"].raft.campaign(is_forced=True)
    fresh.settle(among="ab")
    assert fresh["a"].raft.role == Role.CANDIDATE
    fresh.elect("b")


def test_single_voter_founds_its_cluster_alone(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, 1, is_founded=False)
    bench["a"].raft.campaign()
    bench["a"].work()
    assert bench["a"].raft.cluster_id == bench["a"].config.proposed_id
    bench.close()


def test_founders_need_no_second_thought(fresh: RaftBench) -> None:
    leader = fresh.elect("a")
    leader.raft.append(b"x")
    fresh.settle(among="ab")
    assert leader.raft.committed == 2


def test_founding_that_reached_nobody_is_taken_up_again(fresh: RaftBench) -> None:
    for name in "abc":
        fresh[name].raft.campaign(is_forced=name == "a")
    fresh.settle()
    a = fresh["a"]
    a.crash()
    fresh.now_s += 5
    reconnect(fresh, "a")
    b = fresh.elect("a")
    assert b.raft.role == Role.LEADER
    beat(fresh)
    assert len({member.raft.cluster_id for member in fresh.members.values()}) == 1


def test_id_that_is_not_committed_is_not_learned(fresh: RaftBench) -> None:
    leader = fresh["a"]
    leader.raft.campaign(is_forced=True)
    leader.work()
    for name in "bc":
        leader.hear(name, Vote(1, is_granted=True, is_amnesiac=True))
    leader.work()
    assert leader.raft.role == Role.LEADER
    assert leader.raft.cluster_id == ""
    leader.hear("b", append(2, (0, 0), *entries(1, 2, 2), committed=1))
    leader.work()
    assert (leader.raft.committed, leader.raft.cluster_id) == (1, "")


def test_id_outlives_a_restart(bench: RaftBench) -> None:
    b = bench["b"]
    b.crash()
    assert b.raft.cluster_id == bench["a"].config.proposed_id


def test_log_from_before_ids_is_given_one(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, is_founded=False)
    for member in bench.members.values():
        member.hear("a" if member.config.name != "a" else "b", append(1, (0, 0), *entries(1, 4, 1)))
        member.work()
        member.store.set_standing(Standing())  # as a version without standings left it
        member.work()
        member.take_sent()
    leader = bench.elect("a", among="ab")
    assert leader.raft.cluster_id == leader.config.proposed_id
    bench.close()


def test_second_leader_of_a_founded_cluster_draws_no_other_id(bench: RaftBench) -> None:
    successor = bench.elect("b", among="bc")
    assert successor.raft.cluster_id == bench["a"].config.proposed_id


@pytest.mark.parametrize(
    "message",
    [
        RequestVote(9, last_index=99, last_term=8, cluster_id="other"),
        AppendEntries(9, 1, 0, 0, 0, entries(1, 2, 9), 1, "other"),
        InstallSnapshot(9, 1, 5, 8, 0, ("a", "b", "c"), is_last=True, cluster_id="other"),
    ],
)
def test_member_of_another_cluster_is_not_heard(
    bench: RaftBench, message: RequestVote | AppendEntries | InstallSnapshot
) -> None:
    b = bench["b"]
    term = b.raft.term
    bench.now_s += 5
    b.take_sent()
    b.hear("c", message)
    b.work()
    assert (b.raft.term, b.take_sent()) == (term, [])


# A disk that was lost


def test_vote_of_an_empty_disk_does_not_elect(bench: RaftBench) -> None:
    """What c held with a alone would be lost if c helped b."""
    index = bench["a"].raft.append(b"held by a and c")
    bench.settle(among="ac")
    assert bench["a"].raft.committed == index
    wipe(bench, "c")
    bench.now_s += 5
    b = bench["b"]
    b.raft.campaign(is_forced=True)
    bench.settle(among="bc")
    assert b.raft.role == Role.CANDIDATE


def test_empty_disks_do_not_found_the_cluster_again(bench: RaftBench) -> None:
    wipe(bench, "b")
    wipe(bench, "c")
    bench.now_s += 5
    bench["b"].raft.campaign(is_forced=True)
    bench.settle(among="bc")
    bench["b"].raft.campaign(is_forced=True)
    bench.settle()
    assert bench["b"].raft.role != Role.LEADER


def test_lost_disk_is_filled_and_counts_again(bench: RaftBench) -> None:
    leader = bench["a"]
    leader.raft.append(b"x")
    bench.settle()
    c = wipe(bench, "c")
    beat(bench, 6)
    assert c.reader.payloads == [b"x"]
    assert not c.raft.is_amnesiac
    assert c.raft.cluster_id == leader.raft.cluster_id
    index = leader.raft.append(b"y")
    bench.settle(among="ac")
    assert leader.raft.committed == index


def test_lost_disk_is_noted_before_anything_is_acknowledged(bench: RaftBench) -> None:
    c = wipe(bench, "c")
    leader = bench["a"]
    message = append(leader.raft.term, (0, 0), *entries(1, 2, leader.raft.term))
    c.hear("a", message)
    c.raft.turn()
    assert c.take_sent(Appended) == []
    c.work()
    assert [answer.until for answer in c.take_sent(Appended)] == [message.last + 1]
    c.crash()
    assert c.raft.is_amnesiac


def test_acknowledgement_of_a_lost_disk_commits_nothing(bench: RaftBench) -> None:
    """The leader may be one of the past whose successor c helped to elect."""
    leader = bench["a"]
    wipe(bench, "c")
    index = leader.raft.append(b"x")
    for _ in range(4):
        beat(bench, 1, among="ac")
    assert bench["c"].store.last >= index
    assert leader.raft.committed < index


def test_read_is_not_proven_by_a_lost_disk(bench: RaftBench) -> None:
    leader = bench["a"]
    wipe(bench, "c")
    leader.raft.read_barrier(lambda is_proven: None)
    beat(bench, 3, among="ac")
    assert leader.raft.take_answers() == []


def test_read_is_not_proven_by_a_lost_disk_that_is_sent_a_snapshot(tmp_path: Path) -> None:
    """Who has all chunks but did not write them yet has forgotten as much as before."""
    bench = RaftBench(tmp_path, is_founded=False, snapshot_entries=10, keep_entries=2)
    leader = bench.elect("a")
    for _ in range(30):
        leader.raft.append(b"x")
        bench.settle()
    c = wipe(bench, "c")
    leader.raft.read_barrier(lambda is_proven: None)
    beat(bench, 6, among="ac")
    assert c.reader.told[0][0] == "restore"
    assert leader.raft.take_answers() == []
    leader.raft.tick()
    assert leader.raft.role == Role.FOLLOWER
    bench.close()


def test_leader_with_a_lost_disk_alone_stops_leading(bench: RaftBench) -> None:
    leader = bench["a"]
    wipe(bench, "c")
    for _ in range(6):
        beat(bench, 1, among="ac")
    leader.raft.tick()
    assert leader.raft.role == Role.FOLLOWER


def test_lost_disk_waits_for_an_entry_that_its_leader_appends_afterwards(bench: RaftBench) -> None:
    """All that was committed before proves nothing of a leader of the past."""
    leader = bench["a"]
    last = leader.store.last
    c = wipe(bench, "c")
    for _ in range(4):
        beat(bench, 1, among="ac")
    assert leader.store.last == last + 1
    assert c.raft.committed == last
    assert c.raft.is_amnesiac
    beat(bench, 4)
    assert not c.raft.is_amnesiac


def test_another_leader_begins_the_waiting_anew(bench: RaftBench) -> None:
    c = wipe(bench, "c")
    c.hear("a", append(1, (0, 0), *entries(1, 4, 1)))
    c.hear("b", AppendEntries(2, 1, 4, 3, 1, entries(4, 9, 2), 500))
    c.work()
    assert c.store.standing == Standing("", 2, 501)


def test_entry_of_another_leader_does_not_end_the_waiting(bench: RaftBench) -> None:
    c = wipe(bench, "c")
    c.hear("a", AppendEntries(1, 1, 0, 0, 0, entries(1, 4, 1), 3))
    c.hear("b", RequestVote(5, is_forced=True, last_index=9, last_term=4))
    c.hear("b", AppendEntries(5, 1, 4, 3, 1, entries(4, 5, 2), 40))
    c.work()
    assert c.raft.committed == 4
    assert c.raft.is_amnesiac


def test_lost_disk_is_filled_by_the_same_leader_that_counted_on_it(bench: RaftBench) -> None:
    leader = bench["a"]
    for _ in range(20):
        leader.raft.append(b"x")
        bench.settle()
    c = wipe(bench, "c")
    beat(bench, 6)
    assert c.store.last == leader.store.last


def test_lost_disk_is_filled_by_a_snapshot(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, is_founded=False, snapshot_entries=10, keep_entries=2)
    leader = bench.elect("a")
    for _ in range(30):
        leader.raft.append(b"x")
        bench.settle()
    c = wipe(bench, "c")
    beat(bench, 8)
    assert c.reader.told[0][0] == "restore"
    assert not c.raft.is_amnesiac
    assert c.raft.cluster_id == leader.raft.cluster_id
    bench.close()


def test_lost_disk_with_the_votes_of_a_majority_leads(bench: RaftBench) -> None:
    """Whoever holds all that a majority holds has nothing left to remember."""
    c = wipe(bench, "c")
    beat(bench, 4, among="ac")
    assert c.raft.is_amnesiac
    bench["a"].raft.step_down()
    bench.now_s += 5
    c.raft.campaign(is_forced=True)
    bench.settle()
    assert c.raft.role == Role.LEADER
    assert not c.raft.is_amnesiac


def test_standing_is_read_as_it_was_written() -> None:
    standing = Standing("0123456789abcdef", 7, 1 << 40)
    assert unpack_standing(pack_standing(standing)) == standing


def test_snapshot_from_before_learners_and_ids_is_read() -> None:
    old = Snapshot(7, 3, 2, ("a:1", "b:1"), 4, 9)
    sealed = pack_snapshot(old)
    content = sealed[4:].removesuffix(b";;")
    assert content != sealed[4:]
    assert unpack_snapshot(struct.pack("<I", zlib.crc32(content)) + content) == old
    new = Snapshot(7, 3, 2, ("a:1",), 4, 9, ("c:1", "d:1"), "0123")
    assert unpack_snapshot(pack_snapshot(new)) == new
