"""Damaged data files: whose are set aside, and how their members begin anew."""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from protocol.errors import CorruptLog
from rlog import repair
from rlog.directory import LogDirectory
from rlog.membership import configuration_command, payload_command
from rlog.messages import Entry, RequestVote, Vote
from rlog.raft_member import Role
from rlog.repair import KEPT, KEPT_MAX, UNSEEN, prepare
from rlog.rows import Standing
from rlog.store import Store
from tests.unit.rlog.raft_bench import BenchMember, RaftBench

TRIO = ("a", "b", "c")
CONTENT = b"<what entry 3 holds>"


def write_log(directory: Path, *voters: str, cluster_id: str = "red-1") -> Path:
    """Make the directory of member a, as of a founding by `voters` and three entries."""
    store = Store(str(directory), "a", "red", map_bytes=1 << 20)
    store.found(voters)
    store.set_term(4, "b")
    store.set_standing(Standing(cluster_id))
    for index in range(1, 4):
        store.add(Entry(index, 1, payload_command(b"<what entry %d holds>" % index)))
    store.set_committed(3)
    finish(store)
    return directory


def finish(store: Store) -> None:
    store.prove_room()
    store.close()


def change(directory: Path, *voters: str) -> None:
    """Append a configuration."""
    store = Store(str(directory), "a", "red", map_bytes=1 << 20)
    store.add(Entry(store.last + 1, 4, configuration_command(voters)))
    finish(store)


def damage(directory: Path, what: bytes = CONTENT) -> bytes:
    """Flip a bit wherever the file holds this, now or before; return the file as it is then."""
    path = directory / "data.mdb"
    content = path.read_bytes()
    assert what in content
    content = content.replace(what, bytes((what[0] ^ 4,)) + what[1:])
    path.write_bytes(content)
    return content


def mend(directory: Path, *, is_repairing: bool = True, name: str = "a") -> bool:
    return prepare(str(directory), name, "red", is_repairing=is_repairing)


def refused(directory: Path) -> str:
    """Return why a directory is refused; it is left as it was."""
    before = (directory / "data.mdb").read_bytes()
    with pytest.raises(CorruptLog) as error:
        mend(directory)
    assert (directory / "data.mdb").read_bytes() == before
    assert list(directory.glob(f"{KEPT}*")) == []
    assert f"mv {directory} {directory}.damaged" in str(error.value)
    return str(error.value)


def test_sound_directory_is_left_alone(tmp_path: Path) -> None:
    directory = write_log(tmp_path / "log", *TRIO)
    before = (directory / "data.mdb").read_bytes()
    assert not mend(directory)
    assert not mend(tmp_path / "nothing")
    assert (directory / "data.mdb").read_bytes() == before


def test_damaged_file_is_kept_and_its_member_forgets_all_but_its_cluster(tmp_path: Path) -> None:
    directory = write_log(tmp_path / "log", *TRIO)
    damaged = damage(directory)
    with capture_logs() as lines:
        assert mend(directory)
    (kept,) = directory.glob(f"{KEPT}*")
    assert kept.read_bytes() == damaged
    (line,) = lines
    assert line["event"].startswith("the data file is damaged and was set aside")
    assert line["kept"] == str(kept)
    assert "entry 3 fails its checksum" in line["damage"]
    store = Store(str(directory), "a", "red")
    assert (store.term, store.vote, store.last) == (0, "", 0)
    assert store.standing == Standing("red-1", amnesia_until=UNSEEN)
    assert store.found(("d", "e", "f")) == TRIO
    store.close()
    assert sorted(path.name for path in directory.iterdir()) == sorted(
        ["data.mdb", kept.name, "lock", "lock.mdb"]
    )


def test_member_remembers_who_belonged_last(tmp_path: Path) -> None:
    directory = write_log(tmp_path / "log", "a")
    change(directory, "a", "d")
    change(directory, "a", "d", "e")
    damage(directory)
    assert mend(directory)
    store = Store(str(directory), "a", "red")
    assert store.found(()) == ("a", "d", "e")
    store.close()


@pytest.mark.parametrize("voters", [("a",), ("a", "b")])
def test_file_that_the_others_cannot_replace_is_not_set_aside(
    tmp_path: Path, voters: tuple[str, ...]
) -> None:
    directory = write_log(tmp_path / "log", *TRIO)
    for count in range(2, len(voters) - 1, -1):
        change(directory, *TRIO[:count])
    damage(directory)
    assert f"no majority of the voters is left ({', '.join(voters)})" in refused(directory)


def test_file_that_does_not_prove_its_owner_is_not_set_aside(tmp_path: Path) -> None:
    directory = write_log(tmp_path / "log", *TRIO)
    damage(directory, b"schema 3\na\nred")
    assert "does not tell any more whose it is" in refused(directory)


def test_file_of_a_member_that_knows_no_cluster_is_not_set_aside(tmp_path: Path) -> None:
    directory = write_log(tmp_path / "log", *TRIO, cluster_id="")
    damage(directory)
    assert "does not tell any more whose it is" in refused(directory)


def test_file_of_somebody_else_is_not_set_aside(tmp_path: Path) -> None:
    directory = write_log(tmp_path / "log", *TRIO)
    damage(directory)
    with pytest.raises(CorruptLog, match="it belongs to a of cluster 'red'"):
        mend(directory, name="b")
    with pytest.raises(CorruptLog, match="repair is set to refuse"):
        mend(directory, is_repairing=False)


def test_entry_of_a_newer_version_is_no_damage(tmp_path: Path) -> None:
    directory = write_log(tmp_path / "log", *TRIO)
    store = Store(str(directory), "a", "red")
    store.add(Entry(4, 1, b"\x63what is to come"))
    finish(store)
    assert "entry 4 is of a kind this version does not know" in refused(directory)


def test_file_in_use_is_not_set_aside(tmp_path: Path) -> None:
    directory = write_log(tmp_path / "log", *TRIO)
    damage(directory)
    user = LogDirectory(str(directory))
    assert "in use by another process" in refused(directory)
    user.release()


def test_so_many_damaged_files_and_no_more_are_kept(tmp_path: Path) -> None:
    directory = write_log(tmp_path / "log", *TRIO)
    for _ in range(KEPT_MAX):
        damaged = write_log(tmp_path / f"again-{len(os.listdir(tmp_path))}", *TRIO)
        damage(damaged)
        os.replace(damaged / "data.mdb", directory / "data.mdb")
        assert mend(directory)
    damaged = write_log(tmp_path / "last", *TRIO)
    damage(damaged)
    os.replace(damaged / "data.mdb", directory / "data.mdb")
    with pytest.raises(CorruptLog, match=f"{KEPT_MAX} damaged files are kept"):
        mend(directory)


# Among the others


def repaired(bench: RaftBench, name: str) -> BenchMember:
    """Let a member find its file damaged, and begin with another."""
    member = bench[name]
    member.store.close()
    repair._set_aside(member.config.directory, repair.Proof(name, "", "bench", bench.names))
    member.sent.clear()
    member.open()
    return member


def lead(bench: RaftBench) -> BenchMember:
    leader = bench.elect("a")
    leader.raft.append(b"kept")
    beat(bench)
    return leader


def beat(bench: RaftBench, count: int = 3) -> None:
    for _ in range(count):
        bench.heartbeat()


@pytest.fixture
def bench(tmp_path: Path) -> RaftBench:
    return RaftBench(tmp_path)


def test_repaired_member_is_filled_and_counts_again(bench: RaftBench) -> None:
    lead(bench)
    member = repaired(bench, "c")
    assert (member.raft.is_amnesiac, member.raft.cluster_id) == (True, "")
    bench["a"].raft.connected("c")
    beat(bench)
    assert member.reader.payloads == [b"kept"]
    assert (member.raft.is_amnesiac, member.raft.cluster_id) == (False, "bench")
    bench.close()


def test_two_repaired_of_three_elect_nobody(bench: RaftBench) -> None:
    lead(bench)
    for name in "bc":
        repaired(bench, name)
    bench["a"].crash()
    for _ in range(5):
        for name in "abc":
            bench.now_s += 2
            bench[name].raft.tick()
            bench.settle()
    assert [bench[name].raft.role for name in "abc"] == [Role.FOLLOWER] * 3
    assert bench["a"].store.last > 1
    bench.close()


@pytest.mark.parametrize("is_wiped", [False, True])
def test_three_repaired_found_no_second_cluster(bench: RaftBench, is_wiped: bool) -> None:
    """Not even when the third one's disk was lost, so that it remembers no first cluster."""
    lead(bench)
    for name in "bc":
        repaired(bench, name)
    if is_wiped:
        bench["a"].wipe()
    else:
        repaired(bench, "a")
    for _ in range(3):
        for name in "abc":
            bench.now_s += 2
            bench[name].raft.campaign()
            bench.settle()
            bench[name].raft.campaign(is_forced=True)
            bench.settle()
    assert Role.LEADER not in [bench[name].raft.role for name in "abc"]
    assert [bench[name].store.last for name in "abc"] == [0, 0, 0]
    bench.close()


def test_repaired_member_helps_nobody_to_found(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path)
    member = repaired(bench, "c")
    for is_pre_vote in (True, False):
        member.hear("b", RequestVote(3, is_pre_vote))
        member.work()
        assert [vote.is_granted for vote in member.take_sent(Vote)] == [False]
    bench.close()
