"""Who belongs, over real links in virtual time: changes, other clusters, lost directories."""

import shutil
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from protocol.errors import NotLeader, Unavailable
from rlog.notices import REMOVED
from rlog.raft_changes import ChangeRefused
from rlog.store import Store
from tests.unit.rlog.sites import NAMES, Cluster, Site, append


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.close()


@pytest.fixture
def three(cluster: Cluster) -> Cluster:
    for name in NAMES:
        cluster.add(name)
    return cluster


def test_master_of_another_cluster_of_the_same_name_is_refused_on_both_sides(
    three: Cluster,
) -> None:
    three.wait_for_leader()
    three.wait(0.5)
    third = three.sites.pop(NAMES[2])
    three.run(third.stop(), third)
    store = Store(str(three.directory / NAMES[2]), NAMES[2], "red")
    store.set_standing(replace(store.standing, cluster_id="of-another"))
    store.write(store.take())
    store.close()
    with capture_logs() as lines:
        three.add(NAMES[2])
        three.wait(10.0)
    ours = [line for line in lines if line["event"] == "a master of another cluster was refused"]
    assert sorted(line["name"] for line in ours) == [*NAMES[:2], NAMES[2], NAMES[2]]
    theirs = [line for line in lines if line["event"] == "no link; trying on"]
    told = [line["reason"] for line in theirs if "belongs to the cluster with id" in line["reason"]]
    assert len(told) == len(ours)
    assert three.wait_for_leader().name != NAMES[2]


# Members


def change(site: Site, verb: str, name: str) -> Coroutine[Any, Any, None]:
    return site.roster.transfer(name) if verb == "transfer" else site.roster.change(verb, name)


def test_newcomer_is_added_filled_and_promoted(three: Cluster) -> None:
    leader = three.wait_for_leader()
    three.run(append(leader, b"before"), leader)
    newcomer = three.add("m4:7000", (), NAMES)
    three.wait(5.0)
    assert newcomer.log.leader == ""
    three.run(change(leader, "add", "m4:7000"), leader)
    three.wait(2.0)
    assert newcomer.reader.payloads == [b"before"]
    three.run(change(leader, "promote", "m4:7000"), leader)
    three.wait(0.5)
    assert newcomer.log.configuration.voters == (*NAMES, "m4:7000")
    assert newcomer.log.cluster_id == leader.log.cluster_id != ""


def test_newcomer_that_is_not_there_is_not_promoted(three: Cluster) -> None:
    leader = three.wait_for_leader()
    three.run(change(leader, "add", "m4:7000"), leader)
    with pytest.raises(ChangeRefused, match="does not answer"):
        three.run(change(leader, "promote", "m4:7000"), leader)
    three.run(change(leader, "remove", "m4:7000"), leader)
    assert leader.log.configuration.members == NAMES


def test_leadership_is_transferred_while_payloads_are_appended(three: Cluster) -> None:
    leader = three.wait_for_leader()
    three.wait(0.5)
    leader.reader.log, leader.reader.backlog = leader.log, [b"x"] * 5000
    three.run(append(leader, b"first"), leader)
    successor = next(name for name in NAMES if name != leader.name)
    three.run(change(leader, "transfer", successor), leader)
    three.wait(0.5)
    assert three.sites[successor].log.is_leader


def test_leader_that_is_removed_answers_and_hands_over(three: Cluster) -> None:
    leader = three.wait_for_leader()
    three.wait(0.5)
    with capture_logs() as lines:
        three.run(change(leader, "remove", leader.name), leader)
        three.wait(0.5)
    assert [line["event"] for line in lines].count(REMOVED.format("master", "cluster")) == 1
    successor = three.wait_for_leader()
    assert leader.name not in successor.log.configuration.members


def test_removed_master_is_told_once_and_may_be_added_again(three: Cluster) -> None:
    leader = three.wait_for_leader()
    three.wait(0.5)
    removed = next(site for site in three.sites.values() if site is not leader)
    with capture_logs() as lines:
        three.run(change(leader, "remove", removed.name), leader)
        three.wait(10.0)
    assert [line["event"] for line in lines].count(REMOVED.format("master", "cluster")) == 1
    assert removed.log.is_removed
    assert leader.log.reachable == frozenset(leader.log.configuration.voters) - {leader.name}
    three.run(change(leader, "add", removed.name), leader)
    three.wait(2.0)
    three.run(change(leader, "promote", removed.name), leader)
    three.wait(0.5)
    assert not removed.log.is_removed
    assert removed.log.configuration.voters == NAMES


def test_master_that_was_away_when_it_was_removed_is_told_when_it_asks(three: Cluster) -> None:
    leader = three.wait_for_leader()
    three.wait(0.5)
    away = next(name for name in NAMES if name != leader.name)
    site = three.sites.pop(away)
    three.run(site.stop(), site)
    three.run(change(leader, "remove", away), leader)
    three.wait(10.0)
    term = leader.log.term
    with capture_logs() as lines:
        returned = three.add(away)
        three.wait(10.0)
    assert [line["event"] for line in lines].count(REMOVED.format("master", "cluster")) == 1
    assert returned.log.is_removed
    assert (leader.log.is_leader, leader.log.term) == (True, term)


def test_follower_does_not_change_the_members(three: Cluster) -> None:
    leader = three.wait_for_leader()
    three.wait(0.5)
    follower = next(site for site in three.sites.values() if site is not leader)
    with pytest.raises(NotLeader, match=leader.name):
        three.run(change(follower, "remove", leader.name), follower)


def test_change_that_no_majority_takes_is_told(three: Cluster) -> None:
    leader = three.wait_for_leader()
    three.wait(0.5)
    for site in tuple(three.sites.values()):
        if site is not leader:
            three.run(site.stop(), site)
            del three.sites[site.name]
    with pytest.raises(Unavailable):
        three.run(change(leader, "add", "m4:7000"), leader)


def test_follower_is_led_by_a_master_that_it_never_heard_of(three: Cluster) -> None:
    """Its own log ends before that one was added."""
    leader = three.wait_for_leader()
    three.wait(0.5)
    late = next(name for name in NAMES if name != leader.name)
    site = three.sites.pop(late)
    three.run(site.stop(), site)
    three.add("m4:7000", (), NAMES)
    three.run(change(leader, "add", "m4:7000"), leader)
    three.wait(2.0)
    three.run(change(leader, "promote", "m4:7000"), leader)
    three.run(change(leader, "transfer", "m4:7000"), leader)
    returned = three.add(late)
    three.wait(3.0)
    assert returned.log.leader == "m4:7000"
    assert returned.log.configuration.voters == (*NAMES, "m4:7000")


def test_lost_directory_is_filled_again(three: Cluster) -> None:
    leader = three.wait_for_leader()
    three.run(append(leader, b"kept"), leader)
    three.wait(0.5)
    lost = next(name for name in NAMES if name != leader.name)
    site = three.sites.pop(lost)
    three.run(site.stop(), site)
    shutil.rmtree(three.directory / lost)
    with capture_logs() as lines:
        returned = three.add(lost)
        three.wait(3.0)
    events = [line["event"] for line in lines]
    assert sum(event.startswith("the data directory is empty") for event in events) == 1
    assert events.count("this master counts: its log is whole") == 1
    assert returned.reader.payloads == [b"kept"]
