"""Who belongs: learners, one change at a time, and what is refused because it would do harm."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.errors import NotLeader, Overloaded
from rlog.membership import Configuration, Membership, configuration_command, noop_command
from rlog.messages import Appended, Entry, RequestVote, Vote
from rlog.raft_changes import LAG_MAX, ChangeRefused
from rlog.raft_member import Role
from tests.unit.rlog.raft_bench import BenchMember, RaftBench, append, entries


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[RaftBench]:
    made = RaftBench(tmp_path)
    yield made
    made.close()


def add_learner(bench: RaftBench, leader: BenchMember, name: str) -> BenchMember:
    """Return a newcomer that was added and has caught up."""
    newcomer = bench.join(name)
    leader.raft.add_learner(name)
    beat(bench, 4)
    return newcomer


def beat(bench: RaftBench, count: int = 2) -> None:
    for _ in range(count):
        bench.heartbeat()


def pass_time(bench: RaftBench, without: str) -> None:
    """Let an election timeout pass in which one member is not heard."""
    rest = "".join(name for name in bench.names if name != without)
    for _ in range(6):
        bench.heartbeat(among=rest)


# Learners


def test_newcomer_is_filled_and_counts_for_nothing(bench: RaftBench) -> None:
    leader = bench.elect("a")
    leader.raft.append(b"before")
    newcomer = add_learner(bench, leader, "d")
    assert newcomer.reader.payloads == [b"before"]
    assert leader.raft.configuration.voters == ("a", "b", "c")
    assert newcomer.raft.configuration.learners == ("d",)
    index = leader.raft.append(b"alone with d")
    bench.settle(among="ad")
    assert leader.raft.committed < index


def test_newcomer_stands_for_no_election(bench: RaftBench) -> None:
    newcomer = bench.join("d")
    bench.now_s += 5
    newcomer.raft.tick()
    newcomer.work()
    assert newcomer.sent == []


def test_learner_stands_for_no_election(bench: RaftBench) -> None:
    newcomer = add_learner(bench, bench.elect("a"), "d")
    newcomer.take_sent()
    bench.now_s += 5
    newcomer.raft.tick()
    newcomer.work()
    assert newcomer.take_sent(RequestVote) == []


def test_vote_of_a_learner_does_not_count(bench: RaftBench) -> None:
    leader = bench.elect("a")
    add_learner(bench, leader, "d")
    leader.raft.campaign(is_forced=True)
    leader.work()
    leader.hear("d", Vote(leader.raft.term, is_granted=True))
    leader.work()
    assert leader.raft.role == Role.CANDIDATE


def test_promoted_member_votes_before_it_knows(bench: RaftBench) -> None:
    leader = bench.elect("a")
    newcomer = add_learner(bench, leader, "d")
    leader.raft.promote("d")
    leader.work()  # only b hears of it
    bench.deliver(among="ab")
    bench["b"].work()
    bench.now_s += 5
    newcomer.take_sent()
    last = bench["b"].store.last
    newcomer.hear("b", RequestVote(term=9, last_index=last, last_term=1, cluster_id="bench"))
    newcomer.work()
    assert newcomer.raft.configuration.learners == ("d",)
    assert [vote.is_granted for vote in newcomer.take_sent(Vote)] == [True]


def test_learner_far_behind_is_filled_by_a_snapshot_that_names_the_members(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, snapshot_entries=10, keep_entries=2)
    leader = bench.elect("a")
    add_learner(bench, leader, "d")
    for _ in range(30):
        leader.raft.append(b"x")
        bench.settle()
    late = add_learner(bench, leader, "e")
    assert late.reader.told[0][0] == "restore"
    assert late.store.snapshot.learners == ("d",)
    assert late.raft.configuration.learners == ("d", "e")
    assert late.raft.cluster_id == "bench"
    bench.close()


# Promotion


def test_learner_that_has_caught_up_becomes_a_voter(bench: RaftBench) -> None:
    leader = bench.elect("a")
    newcomer = add_learner(bench, leader, "d")
    index = leader.raft.promote("d")
    bench.settle(among="ab")
    assert leader.raft.committed < index  # two of four
    beat(bench)
    assert leader.raft.committed >= index
    assert newcomer.raft.configuration == Configuration(index, ("a", "b", "c", "d"))


def test_learner_that_lags_is_no_voter_yet(bench: RaftBench) -> None:
    leader = bench.elect("a")
    add_learner(bench, leader, "d")
    for _ in range(LAG_MAX + 10):
        leader.raft.append(b"x")
        bench.settle(among="abc")
    with pytest.raises(ChangeRefused, match=f"d is {LAG_MAX + 10} entries behind"):
        leader.raft.promote("d")


def test_learner_that_is_silent_is_no_voter(bench: RaftBench) -> None:
    leader = bench.elect("a")
    add_learner(bench, leader, "d")
    leader.raft.disconnected("d")
    pass_time(bench, without="d")
    with pytest.raises(ChangeRefused, match="d does not answer"):
        leader.raft.promote("d")


def test_stranger_is_not_promoted(bench: RaftBench) -> None:
    leader = bench.elect("a")
    bench.settle()
    with pytest.raises(ChangeRefused, match="add it first"):
        leader.raft.promote("d")


def test_learner_is_promoted_beside_a_voter_that_is_silent(bench: RaftBench) -> None:
    """Who answers now is a majority then too: the newcomer answers."""
    leader = bench.elect("a")
    add_learner(bench, leader, "d")
    pass_time(bench, without="c")
    index = leader.raft.promote("d")
    bench.settle(among="abd")
    assert leader.raft.committed == index


# Removal


def test_removed_learner_is_sent_nothing_more(bench: RaftBench) -> None:
    leader = bench.elect("a")
    add_learner(bench, leader, "d")
    leader.raft.remove("d")
    beat(bench)
    assert leader.raft.peers == ("b", "c")


def test_last_voter_is_not_removed(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, 1)
    bench["a"].raft.campaign()
    bench["a"].work()
    with pytest.raises(ChangeRefused, match="last voter"):
        bench["a"].raft.remove("a")
    bench.close()


def test_removal_that_would_lose_the_majority_is_refused(bench: RaftBench) -> None:
    leader = bench.elect("a")
    pass_time(bench, without="c")
    with pytest.raises(ChangeRefused, match="of whom c do not answer"):
        leader.raft.remove("b")
    leader.raft.remove("c")


def test_removed_leader_hands_over_once_that_is_committed(bench: RaftBench) -> None:
    leader = bench.elect("a")
    beat(bench)
    leader.raft.remove("a")
    bench.settle()
    leader.raft.tick()
    bench.settle()
    assert leader.raft.role == Role.FOLLOWER
    assert [bench[name].raft.role for name in "bc"].count(Role.LEADER) == 1
    assert bench["b"].raft.configuration.voters == ("b", "c")


def test_leader_whose_removal_only_it_holds_leads_until_that_is_committed(tmp_path: Path) -> None:
    """The others' logs are shorter, so it votes for none of them; and one has lost its disk."""
    bench = RaftBench(tmp_path, 4)
    bench.elect("a")
    beat(bench)
    bench["a"].raft.remove("a")
    bench["a"].flush()
    for name in "abc":
        bench[name].crash()
    bench["d"].wipe()
    with pytest.raises(AssertionError):
        bench.elect("b")
    leader = bench.elect("a")
    assert not leader.raft.is_voter
    beat(bench)
    leader.raft.tick()
    bench.settle()
    assert leader.raft.is_removed
    assert [bench[name].raft.role for name in "bc"].count(Role.LEADER) == 1
    assert bench["d"].raft.configuration.voters == ("b", "c", "d")
    bench.close()


# One at a time


def test_only_one_change_of_members_at_a_time(bench: RaftBench) -> None:
    leader = bench.elect("a")
    bench.join("d")
    leader.raft.add_learner("d")
    with pytest.raises(Overloaded):
        leader.raft.remove("c")
    beat(bench)
    leader.raft.remove("c")


def test_new_leader_changes_no_members_before_its_own_entry_is_committed(bench: RaftBench) -> None:
    a = bench["a"]
    a.raft.campaign(is_forced=True)
    a.work()
    a.hear("b", Vote(1, is_granted=True))
    with pytest.raises(Overloaded):
        a.raft.remove("c")


def test_only_leaders_change_members(bench: RaftBench) -> None:
    bench.elect("a")
    with pytest.raises(NotLeader, match="the leader is a"):
        bench["b"].raft.remove("c")


def test_change_that_is_made_already_is_final(bench: RaftBench) -> None:
    leader = bench.elect("a")
    beat(bench)
    index = leader.raft.remove("c")
    bench.settle(among="ab")
    assert leader.raft.remove("c") == index <= leader.raft.committed


def test_restart_remembers_members_that_are_not_committed(bench: RaftBench) -> None:
    b = bench["b"]
    change = Entry(2, 1, configuration_command("abc", "d"))
    b.hear("a", append(1, (0, 0), Entry(1, 1, noop_command()), change))
    b.work()
    b.crash()
    assert b.raft.configuration == Configuration(2, ("a", "b", "c"), ("d",))


def test_taking_back_a_change_of_members_undoes_it(bench: RaftBench) -> None:
    b = bench["b"]
    change = Entry(2, 1, configuration_command("abcd"))
    b.hear("a", append(1, (0, 0), Entry(1, 1, noop_command()), change))
    b.hear("c", append(2, (1, 1), *entries(2, 3, 2)))
    assert b.raft.configuration.voters == ("a", "b", "c")


def test_configuration_without_learners_is_written_as_it_always_was() -> None:
    command = configuration_command("cab")
    assert command == b"\x02a,b,c"
    membership = Membership(Configuration(0, ("a",)))
    membership.append(1, command)
    assert membership.newest == Configuration(1, ("a", "b", "c"))


# Leadership


def test_leadership_goes_to_the_voter_that_is_named(bench: RaftBench) -> None:
    leader = bench.elect("a")
    beat(bench)
    leader.raft.check_successor("c")
    assert leader.raft.hand_over("c")
    bench.settle()
    assert bench["c"].raft.role == Role.LEADER


def test_successor_must_be_a_voter_that_answers(bench: RaftBench) -> None:
    leader = bench.elect("a")
    add_learner(bench, leader, "d")
    pass_time(bench, without="c")
    with pytest.raises(ChangeRefused, match="c does not answer"):
        leader.raft.check_successor("c")
    with pytest.raises(ChangeRefused, match="d is no voter"):
        leader.raft.check_successor("d")


def test_leader_knows_how_far_each_member_is(bench: RaftBench) -> None:
    leader = bench.elect("a")
    add_learner(bench, leader, "d")
    leader.raft.append(b"x")
    bench.settle(among="abd")
    lags = {view.name: (view.is_voter, view.lag) for view in leader.raft.view_members()}
    assert lags == {"a": (True, 0), "b": (True, 0), "c": (True, 1), "d": (False, 0)}


def test_answer_of_somebody_who_left_counts_for_nothing(bench: RaftBench) -> None:
    leader = bench.elect("a")
    beat(bench)
    leader.raft.remove("c")
    bench.settle(among="ab")
    index = leader.raft.append(b"x")
    leader.work()
    leader.hear("c", Appended(leader.raft.term, 99, is_match=True, match=index))
    leader.work()
    assert leader.raft.committed < index
