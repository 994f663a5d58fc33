"""One directory of a cluster that lost its majority: what it holds, and how it goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.errors import Broken
from rlog.config import LogConfig
from rlog.membership import Configuration
from rlog.raft_member import Role
from rlog.recovery import TERMS_AHEAD, inspect, recover
from rlog.store import Store
from tests.unit.rlog.raft_bench import BenchMember, RaftBench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[RaftBench]:
    """A founded cluster of three, led by a, with one payload."""
    made = RaftBench(tmp_path, is_founded=False)
    leader = made.elect("a")
    leader.raft.append(b"kept")
    made.heartbeat()
    made.heartbeat()
    yield made
    made.close()


def restart(bench: RaftBench, name: str) -> BenchMember:
    member = bench[name]
    member.open()
    return member


def test_directory_tells_what_it_holds(bench: RaftBench) -> None:
    b = bench["b"]
    b.store.close()
    held = inspect(b.config.directory)
    assert (held.name, held.term, held.last, held.last_term, held.committed) == ("b", 1, 2, 1, 1)
    assert held.cluster_id == bench["a"].config.proposed_id
    assert held.configuration == Configuration(0, ("a", "b", "c"))
    restart(bench, "b")


def test_directory_in_use_is_left_alone(bench: RaftBench) -> None:
    with pytest.raises(Broken, match="is in use by another process"):
        recover(bench["b"].config.directory)


def test_directory_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="holds no log"):
        inspect(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_empty_log_is_not_recovered(tmp_path: Path) -> None:
    Store(str(tmp_path / "x"), "x").close()
    with pytest.raises(Broken, match="nothing to recover"):
        recover(str(tmp_path / "x"))


def test_survivor_leads_alone_with_all_it_held(bench: RaftBench) -> None:
    b = bench["b"]
    b.store.close()
    held = recover(b.config.directory)
    assert held.configuration.voters == ("b",)
    assert held.term == 1 + TERMS_AHEAD
    b = restart(bench, "b")
    b.raft.campaign()
    b.work()
    assert b.raft.role == Role.LEADER
    assert b.reader.payloads == [b"kept"]
    assert b.raft.cluster_id == held.cluster_id != bench["a"].config.proposed_id


def test_lost_majority_that_returns_is_another_cluster(bench: RaftBench) -> None:
    b = bench["b"]
    b.store.close()
    recover(b.config.directory)
    b = restart(bench, "b")
    b.raft.campaign()
    b.work()
    index = b.raft.append(b"after")
    b.work()
    bench["a"].raft.append(b"without b")
    for _ in range(10):
        bench.heartbeat()
    assert b.raft.role == Role.LEADER
    assert b.raft.committed >= index
    assert bench["a"].raft.role == Role.LEADER
    assert b"after" not in bench["a"].reader.payloads
    assert b"without b" not in b.reader.payloads


def test_newcomer_takes_the_id_of_the_recovery(bench: RaftBench) -> None:
    """Its log goes through the founding's id first."""
    b = bench["b"]
    b.store.close()
    held = recover(b.config.directory)
    b = restart(bench, "b")
    b.raft.campaign()
    b.work()
    config = LogConfig("d", (), str(bench.directory / "d"), join=("b",), batch_bytes=1)
    newcomer = bench.members["d"] = BenchMember(config, bench)
    bench.names = (*bench.names, "d")
    newcomer.raft.connected("b")
    b.raft.connected("d")
    b.raft.add_learner("d")
    for _ in range(8):
        bench.heartbeat(among="bd")
    assert newcomer.raft.cluster_id == held.cluster_id
    assert newcomer.reader.payloads == [b"kept"]
    b.raft.promote("d")
