"""Replicated logs over simulated links: led, handed over, refused, and broken in an orderly way."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from protocol.errors import Broken, DiskFull, Diverged, Malformed, NotLeader, StorageLost
from rlog.journal import Job
from rlog.membership import payload_command
from rlog.messages import AppendEntries, Entry, InstallSnapshot, RaftMessage
from rlog.store import Store
from rlog.transport import check_message
from tests.unit.rlog.sites import NAMES, Cluster, append, read


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


def test_single_voter_leads_without_waiting(cluster: Cluster) -> None:
    site = cluster.add("m1:7000", ("m1:7000",))
    cluster.wait(0.05)
    assert site.log.is_leader
    assert site.log.role == "leader"


def test_payload_reaches_every_reader(three: Cluster) -> None:
    leader = three.wait_for_leader()
    three.run(append(leader, b"one"), leader)
    three.wait(0.5)
    assert [site.reader.payloads for site in three.sites.values()] == [[b"one"]] * 3


def test_follower_refuses_appends_and_names_the_leader(three: Cluster) -> None:
    leader = three.wait_for_leader()
    three.wait(0.5)
    follower = next(site for site in three.sites.values() if site is not leader)
    with pytest.raises(NotLeader, match=leader.name):
        follower.log.append(b"x")
    assert follower.log.reachable >= {leader.name}


def test_stopping_leader_hands_over_at_once(three: Cluster) -> None:
    leader = three.wait_for_leader()
    three.wait(0.5)
    three.run(leader.stop(), leader)
    del three.sites[leader.name]
    three.wait(0.1)
    assert sum(site.log.is_leader for site in three.sites.values()) == 1
    assert leader.reader.told[-1][0] == "follow"


def test_leader_whose_disk_is_the_slowest_tells_of_room_when_it_has_caught_up(
    three: Cluster,
) -> None:
    leader = three.wait_for_leader()
    leader.reader.log, leader.reader.backlog = leader.log, [b"x"] * 200
    three.loop.disk_mean_s[leader.process.host] = 1.0

    async def append() -> None:
        leader.log.append(b"first")

    three.run(append(), leader)
    three.wait(60.0)
    assert leader.log.is_leader
    assert leader.reader.payloads == [b"first"] + [b"x"] * 200


def test_restart_keeps_what_was_committed(three: Cluster) -> None:
    leader = three.wait_for_leader()
    three.run(append(leader, b"kept"), leader)
    three.wait(0.5)
    for site in tuple(three.sites.values()):
        three.run(site.stop(), site)
    for name in NAMES:
        three.add(name)
    three.wait_for_leader()
    three.wait(0.5)
    assert [site.reader.payloads for site in three.sites.values()] == [[b"kept"]] * 3


def test_read_is_answered_after_proof(three: Cluster) -> None:
    leader = three.wait_for_leader()
    assert three.run(read(leader), leader) is True


def test_reader_that_raises_stops_the_log(cluster: Cluster) -> None:
    site = cluster.add("m1:7000", ("m1:7000",))
    cluster.wait(0.05)

    def fail(entries: object) -> None:
        raise KeyError("a bug")

    site.reader.committed = fail  # type: ignore[method-assign]
    cluster.run(append(site, b"x"), site)
    cluster.wait(0.1)
    kind, error = site.reader.told[-1]
    assert kind == "broken"
    assert isinstance(error, Diverged)


def test_callback_of_a_read_that_raises_harms_nobody(cluster: Cluster) -> None:
    site = cluster.add("m1:7000", ("m1:7000",))
    cluster.wait(0.05)

    def fail(is_proven: bool) -> None:
        raise KeyError("a bug")

    async def ask() -> None:
        site.log.read_barrier(fail)

    cluster.run(ask(), site)
    cluster.wait(0.1)
    assert cluster.run(read(site), site) is True


def test_failed_write_stops_the_log_and_acknowledges_nothing(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = cluster.add("m1:7000", ("m1:7000",))
    cluster.wait(0.05)

    def refuse(self: Store, job: Job) -> None:
        raise StorageLost("/data: no space left (0 bytes free)")

    monkeypatch.setattr(Store, "write", refuse)
    cluster.run(append(site, b"x"), site)
    cluster.wait(0.1)
    assert site.reader.payloads == []
    assert isinstance(site.reader.told[-1][1], StorageLost)
    assert not site.log.is_leader
    assert cluster.run(read(site), site) is False


def test_member_with_a_full_disk_leaves_and_returns(
    three: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader = three.wait_for_leader()
    three.run(append(leader, b"before"), leader)
    three.wait(0.5)
    write, directory = Store.write, str(three.directory / leader.name)

    def refuse(self: Store, job: Job) -> None:
        if self._directory.path == directory:
            raise DiskFull(f"{directory}: no space left (0 bytes free)")
        write(self, job)

    monkeypatch.setattr(Store, "write", refuse)
    three.run(append(leader, b"held by the others"), leader)
    three.wait(0.9)
    assert (leader.log.is_open, leader.log.role) == (False, "")
    assert leader.reader.told[-1] == ("follow", "")
    other = three.wait_for_leader()
    assert other is not leader
    three.run(append(other, b"meanwhile"), other)
    three.wait(20.0)
    assert not leader.log.is_open, "there is no room yet, whatever the disk says is free"
    monkeypatch.setattr(Store, "write", write)
    three.wait(40.0)
    assert leader.log.is_open
    assert leader.reader.payloads == three.wait_for_leader().reader.payloads
    assert leader.reader.payloads == [b"before", b"held by the others", b"meanwhile"]


def test_lone_member_goes_on_leading_when_its_disk_has_room_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = cluster.add("m1:7000", ("m1:7000",))
    cluster.wait(0.05)
    write = Store.write

    def refuse(self: Store, job: Job) -> None:
        raise DiskFull("/data: no space left (0 bytes free)")

    monkeypatch.setattr(Store, "write", refuse)
    cluster.run(append(site, b"lost"), site)
    cluster.wait(0.1)
    assert (site.log.is_leader, site.reader.payloads) == (False, [])
    assert cluster.run(read(site), site) is False
    monkeypatch.setattr(Store, "write", write)
    cluster.wait(5.0)
    cluster.run(append(site, b"kept"), site)
    cluster.wait(0.1)
    assert site.reader.payloads == [b"kept"]


def test_log_that_cannot_be_opened_again_after_a_full_disk_stops_for_good(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = cluster.add("m1:7000", ("m1:7000",))
    cluster.wait(0.05)
    failures = [DiskFull("no space left"), StorageLost("input/output error")]

    def refuse(self: Store, job: Job) -> None:
        raise failures.pop(0)

    monkeypatch.setattr(Store, "write", refuse)
    cluster.run(append(site, b"x"), site)
    cluster.wait(5.0)
    assert str(site.reader.told[-1][1]) == "input/output error"
    assert failures == []


def test_write_under_way_is_not_pulled_from_under_a_broken_log(cluster: Cluster) -> None:
    site = cluster.add("m1:7000", ("m1:7000",))
    cluster.wait(0.05)

    async def append_and_break() -> None:
        site.log.append(b"x")
        site.log._turn()
        site.log._break(Broken("for a test"))

    cluster.run(append_and_break(), site)
    cluster.wait(0.1)
    site.log.abandon()
    reopened = Store(str(cluster.directory / site.name), site.name, "red")
    assert reopened.last == 2
    reopened.close()


def test_replica_outside_the_voters_is_refused_with_one_line(three: Cluster) -> None:
    three.wait_for_leader()
    three.wait(0.5)
    with capture_logs() as lines:
        stranger = three.add("m4:7000", (*NAMES, "m4:7000"))
        three.wait(10.0)
    told = [line for line in lines if line["event"] == "a replica that is no voter was refused"]
    assert len(told) == len(NAMES)
    unheard = [line for line in lines if line["event"] == "no link; trying on"]
    assert len(unheard) == len(NAMES)
    assert stranger.log.leader == ""
    three.wait_for_leader()


@pytest.mark.parametrize(
    "message",
    [
        AppendEntries(2, 1, 0, 4, 1, (Entry(6, 1, payload_command(b"gap")),)),
        AppendEntries(2, 1, 0, 4, 1, (Entry(5, 3, payload_command(b"from the future")),)),
        AppendEntries(2, 1, 0, 4, 2, (Entry(5, 1, payload_command(b"from the past")),)),
        AppendEntries(2, 1, 0, 4, 1, (Entry(5, 1, b""),)),
        AppendEntries(2, 1, 0, 4, 1, (Entry(5, 1, b"\x09unknown"),)),
        InstallSnapshot(2, 1, 0, 0, 0, ("m1:7000",)),
        InstallSnapshot(2, 1, 5, 1, 0, ()),
    ],
)
def test_message_that_no_member_would_send_is_refused(message: RaftMessage) -> None:
    with pytest.raises(Malformed):
        check_message(message)
