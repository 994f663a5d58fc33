"""Whom a member hears that is new or being filled, over real links in virtual time."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlog.raft_changes import ChangeRefused
from tests.unit.rlog.sites import NAMES, Cluster, Site, append

BALLAST = b"x" * (200 << 10)  # two of them are more than the leader sends at once


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    for name in NAMES:
        cluster.add(name)
    yield cluster
    cluster.close()


def stop(cluster: Cluster, name: str) -> None:
    site = cluster.sites.pop(name)
    cluster.run(site.stop(), site)


def grow(cluster: Cluster, name: str) -> None:
    """Let a master join by all that there are, and vote."""
    names = tuple(cluster.sites)
    leader = cluster.wait_for_leader()
    cluster.add(name, (), names)
    cluster.run(leader.roster.change("add", name), leader)
    cluster.wait(3.0)
    cluster.run(leader.roster.change("promote", name), leader)
    cluster.wait(0.5)


def transfer(cluster: Cluster, name: str) -> Site:
    leader = cluster.wait_for_leader()
    cluster.run(leader.roster.transfer(name), leader)
    return cluster.sites[name]


def test_newcomer_hears_a_leader_of_whom_a_follower_that_it_knows_tells(three: Cluster) -> None:
    leader = three.wait_for_leader()
    follower = next(name for name in NAMES if name != leader.name)
    newcomer = three.add("m4:7000", (), (follower,))
    three.run(leader.roster.change("add", "m4:7000"), leader)
    three.wait(6.0)
    assert newcomer.log.leader == leader.name
    three.run(leader.roster.change("promote", "m4:7000"), leader)
    three.wait(0.5)
    assert newcomer.log.cluster_id == leader.log.cluster_id != ""


def test_newcomer_that_is_told_of_nobody_says_so_to_who_promotes_it(three: Cluster) -> None:
    leader = three.wait_for_leader()
    newcomer = three.add("m4:7000", (), ("m9:7000",))
    three.run(leader.roster.change("add", "m4:7000"), leader)
    three.wait(6.0)
    assert newcomer.log.leader == ""
    told = f"m4:7000 knows only m9:7000, none of whom has said yet that {leader.name} belongs"
    with pytest.raises(ChangeRefused, match=told):
        three.run(leader.roster.change("promote", "m4:7000"), leader)


def test_newcomer_believes_nobody_but_whom_it_was_given(three: Cluster) -> None:
    """Those who call it tell who belongs as well."""
    leader = three.wait_for_leader()
    other = next(name for name in NAMES if name != leader.name)
    newcomer = three.add("m4:7000", (), ("m9:7000",))
    three.add("m9:7000", (), (other,))  # belongs to nobody either, and knows nobody
    three.run(leader.roster.change("add", "m4:7000"), leader)
    three.wait(6.0)
    assert newcomer.log.leader == ""


def test_newcomer_is_filled_by_a_leader_that_is_not_among_the_members_of_old(
    three: Cluster,
) -> None:
    for name in ("m4:7000", "m5:7000"):
        grow(three, name)
        leader = three.wait_for_leader()
        for _ in range(3):
            three.run(append(leader, BALLAST), leader)
        three.wait(0.5)
    leader = transfer(three, "m5:7000")
    newcomer = three.add("m6:7000", (), ("m5:7000",))
    three.run(leader.roster.change("add", "m6:7000"), leader)
    three.wait(6.0)
    assert newcomer.log.configuration == leader.log.configuration
    assert newcomer.reader.payloads == [BALLAST] * 6


def test_lost_directory_is_filled_by_a_leader_that_came_after_the_founders(three: Cluster) -> None:
    grow(three, "m4:7000")
    leader = transfer(three, "m4:7000")
    three.wait(0.5)
    stop(three, NAMES[0])
    shutil.rmtree(three.directory / NAMES[0])
    returned = three.add(NAMES[0])
    three.wait(6.0)
    assert returned.log.leader == leader.name
    assert returned.log.cluster_id == leader.log.cluster_id != ""
