"""Snapshots between members, and what a restart begins with."""

import math
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.errors import CorruptLog
from rlog import raft
from rlog.dump import WholeDump
from rlog.log import Capture
from rlog.messages import InstallSnapshot, SnapshotReceived
from rlog.raft import HOLD_SNAPSHOTS
from rlog.rows import CHUNK_BYTES, chunk_key
from rlog.snapshot import AHEAD_BYTES, PATIENCE_MIN
from tests.unit.rlog.raft_bench import BenchMember, RaftBench, append, entries


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[RaftBench]:
    made = RaftBench(tmp_path)
    yield made
    made.close()


# Snapshots


def index_sent_to_c(leader: BenchMember) -> int:
    """Return which snapshot c is being sent."""
    sending = leader.raft._progress_of("c").sending
    assert sending is not None
    return sending.snapshot.index


def take_none(member: BenchMember) -> None:
    """Have only those snapshots taken that a test begins."""
    member.reader.snapshot = lambda: None  # type: ignore[method-assign]


def fill_and_compact(bench: RaftBench, leader: BenchMember, size: int) -> None:
    """Leave c behind a snapshot of this size."""
    leader.reader.state = bytes(range(251)) * (size // 251)
    for _ in range(30):
        leader.raft.append(b"x")
        bench.settle(among="ab")
    assert leader.store.base_index > 0


def test_follower_far_behind_gets_a_snapshot_in_chunks(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, snapshot_entries=10, keep_entries=2)
    leader = bench.elect("a", among="ab")
    take_none(bench["c"])
    fill_and_compact(bench, leader, 3 << 20)
    bench.heartbeat()
    bench.heartbeat()
    c = bench["c"]
    assert c.store.load_snapshot() == leader.reader.state
    assert c.store.last == leader.store.last
    assert c.reader.told[0][0] == "restore"
    assert c.reader.told[-1] == ("committed", leader.store.last)
    bench.close()


def test_follower_that_restarts_midway_gets_the_snapshot_again(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, snapshot_entries=10, keep_entries=2)
    leader = bench.elect("a", among="ab")
    fill_and_compact(bench, leader, 3 << 20)
    bench.now_s += 0.11
    for _ in range(3):
        leader.work()
        bench.deliver(among="ac")
        bench["c"].work()
    bench["c"].crash()
    leader.raft.connected("c")
    for _ in range(4):
        bench.heartbeat()
    assert bench["c"].store.last == leader.store.last
    bench.close()


def test_transfer_goes_on_where_a_broken_link_left_it(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, snapshot_entries=10, keep_entries=2)
    leader = bench.elect("a", among="ab")
    take_none(bench["c"])
    fill_and_compact(bench, leader, 3 << 20)
    leader.raft.connected("c")
    bench.now_s += 0.11
    for _ in range(2):
        leader.work()
        bench.deliver(among="ac")
        bench["c"].work()
    bench.deliver(among="ac")
    arriving = bench["c"].raft._arriving
    assert arriving is not None
    received = arriving.offset
    assert 0 < received < len(leader.reader.state)
    leader.raft.disconnected("c")
    bench["c"].raft.disconnected("a")
    leader.sent.clear()
    bench["c"].sent.clear()
    leader.raft.connected("c")
    bench.now_s += 0.11
    leader.work()
    offsets = [m.offset for name, m in leader.sent if isinstance(m, InstallSnapshot)]
    assert offsets and min(offsets) >= received
    for _ in range(4):
        bench.heartbeat()
    assert bench["c"].store.load_snapshot() == leader.reader.state
    assert bench["c"].store.last == leader.store.last
    bench.close()


def test_snapshot_being_sent_stays_though_newer_ones_are_taken(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, snapshot_entries=10, keep_entries=2)
    leader = bench.elect("a", among="ab")
    fill_and_compact(bench, leader, 3 << 20)
    bench.now_s += 0.11
    leader.work()  # the first chunks are on their way
    sent = index_sent_to_c(leader)
    state, leader.reader.state = leader.reader.state, b"newer"
    for _ in range(30):
        leader.raft.append(b"x")
        bench.settle(among="ab")
    assert leader.store.snapshot.index > sent
    for _ in range(4):
        bench.heartbeat()
    assert ("restore", (state, sent)) in bench["c"].reader.told
    assert bench["c"].store.last == leader.store.last
    bench.close()


def test_who_was_removed_amid_a_transfer_and_is_added_again_gets_what_there_is(
    tmp_path: Path,
) -> None:
    bench = RaftBench(tmp_path, snapshot_entries=10, keep_entries=2)
    leader = bench.elect("a", among="ab")
    fill_and_compact(bench, leader, 3 << 20)
    bench.now_s += 0.11
    leader.work()  # the first chunks are on their way
    sent = index_sent_to_c(leader)
    leader.raft.remove("c")
    leader.reader.state = b"newer"
    for _ in range(30):
        bench.settle(among="ab")
        leader.raft.append(b"x")
    bench.heartbeat(among="ab")
    assert leader.store._read_chunk(sent, 0) is None
    leader.raft.add_learner("c")
    for _ in range(4):
        bench.heartbeat()
    assert bench["c"].store.last == leader.store.last
    assert bench["c"].store.load_snapshot() == b"newer"
    bench.close()


def restores_of(member: BenchMember) -> list[int]:
    """Return at which snapshots a member began, but for its empty beginning."""
    return [about[1] for what, about in member.reader.told if what == "restore" and about[1]]


def test_follower_that_is_being_filled_needs_no_second_snapshot(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, snapshot_entries=10, keep_entries=2)
    leader = bench.elect("a", among="ab")
    take_none(bench["c"])
    fill_and_compact(bench, leader, 3 << 20)
    bench.now_s += 0.11
    leader.work()  # the first chunks are on their way
    sent = index_sent_to_c(leader)
    for _ in range(5):
        for _ in range(10):
            leader.raft.append(b"x")
        bench.settle(among="ab")
    assert leader.store.snapshot.index > sent + 20
    for _ in range(6):
        bench.heartbeat()
    assert restores_of(bench["c"]) == [sent]
    assert bench["c"].store.last == leader.store.last
    bench.close()


def test_follower_that_never_gets_on_makes_the_log_no_longer_than_some_snapshots(
    tmp_path: Path,
) -> None:
    bench = RaftBench(tmp_path, snapshot_entries=10, keep_entries=2)
    leader = bench.elect("a", among="ab")
    taken: list[int] = []
    for _ in range(3 * HOLD_SNAPSHOTS):
        for _ in range(10):
            leader.raft.append(b"x")
        bench.settle(among="ab")
        taken.append(leader.store.snapshot.index)
    assert leader.store.base_index == taken[-HOLD_SNAPSHOTS] - 2
    bench.close()


def test_restarted_member_gives_its_reader_what_is_committed_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = RaftBench(tmp_path, 1)
    leader = bench.elect("a")
    for _ in range(20):
        leader.raft.append(bytes(100))
    leader.work()
    leader.raft.append(b"")  # whose write says that the others are committed
    leader.work()
    monkeypatch.setattr(raft, "APPLY_BYTES", 1000)
    leader.crash()
    leader.raft.turn()
    assert (len(leader.reader.payloads), leader.raft.is_behind) == (5, True)
    leader.raft.campaign()
    while not leader.raft.is_leading:
        leader.work()
    told = [what for what, _ in leader.reader.told]
    assert told == ["restore", *["committed"] * 21, "lead"]
    assert not leader.raft.is_behind
    bench.close()


def test_snapshot_of_a_head_waits_until_that_is_committed(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, snapshot_entries=5, keep_entries=2)
    leader = bench.elect("a")
    take_none(leader)
    for _ in range(8):
        leader.raft.append(b"x")
    leader.work()
    leader.raft.append(b"y")
    head = leader.store.last
    leader.raft.taking.begin(Capture(head, lambda: b"head"), leader.raft.applied, 0)
    leader.work()
    assert leader.store.snapshot.index == 0
    bench.settle()
    assert (leader.store.snapshot.index, leader.store.load_snapshot()) == (head, b"head")
    bench.close()


def test_snapshot_of_a_head_that_another_leader_took_back_is_dropped(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path)
    leader = bench.elect("a")
    take_none(leader)
    leader.raft.append(b"x")
    leader.work()
    head, committed = leader.store.last, leader.raft.committed
    assert leader.raft.taking.begin(Capture(head, lambda: b"head"), leader.raft.applied, 0)
    term = leader.raft.term
    leader.hear(
        "b", append(term + 1, (committed, term), *entries(head, head + 3, term + 1), committed=head)
    )
    leader.work()
    assert leader.raft.committed >= head
    assert not leader.raft.taking.is_under_way
    assert leader.store.snapshot.index == 0
    bench.close()


def test_leader_notices_a_damaged_chunk_before_it_is_sent(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, snapshot_entries=10, keep_entries=2)
    leader = bench.elect("a", among="ab")
    fill_and_compact(bench, leader, 3 << 20)
    store, sent = leader.store, index_sent_to_c(leader)
    with store._env.begin(write=True, db=store._tables.snapshots) as txn:
        key = chunk_key(sent, 1)
        row = bytearray(txn.get(key))
        row[1000] ^= 4
        txn.put(key, bytes(row))
    with pytest.raises(CorruptLog, match="chunk 1 of the snapshot of entry"):
        for _ in range(PATIENCE_MIN):
            bench.now_s += 0.11
            leader.work()
    bench.close()


def test_slow_link_is_not_filled_with_the_same_chunks(tmp_path: Path) -> None:
    """A chunk that needs many heartbeats is sent a few times, and ever less often."""
    bench = RaftBench(tmp_path, snapshot_entries=10, keep_entries=2)
    leader = bench.elect("a", among="ab")
    fill_and_compact(bench, leader, 3 << 20)
    sent = 0
    beats = 64
    for _ in range(beats):
        bench.now_s += 0.11
        leader.work()
        to_c = [m for n, m in leader.sent if n == "c" and isinstance(m, InstallSnapshot)]
        assert to_c, "no heartbeat"
        sent += sum(bool(message.chunk) for message in to_c)
        bench.deliver(among="ab")
        bench["b"].work()
        bench.deliver(among="ab")
    ahead = AHEAD_BYTES // CHUNK_BYTES
    assert ahead <= sent <= ahead * math.ceil(math.log2(beats))
    for _ in range(4):
        leader.raft.connected("c")
        bench.heartbeat()
    assert bench["c"].store.last == leader.store.last
    bench.close()


def test_chunk_that_takes_longer_than_an_election_timeout_is_waited_for(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path)
    b, whole = bench["b"], WholeDump(bytes(range(250)) * (2 * CHUNK_BYTES // 250))
    crc, (first, second) = whole.outline.crc, whole.take(2)
    head = InstallSnapshot(2, 1, 4, 2, 0, bench.names, 0, first, crc=crc)
    b.hear("a", head)
    b.work()
    bench.now_s += 2.0
    b.raft.tick()  # it asks for votes, and has no leader for that time
    assert b.raft.leader == ""
    tail = replace(head, offset=CHUNK_BYTES, chunk=second, is_last=True)
    b.hear("a", tail)
    b.work()
    assert (b.store.snapshot.index, b.raft.leader) == (4, "a")
    bench.close()


def test_first_chunk_of_a_snapshot_commits_nothing(bench: RaftBench) -> None:
    b = bench["b"]
    b.hear("a", append(1, (0, 0), *entries(1, 6, 1)))
    b.hear("c", InstallSnapshot(2, 1, 4, 2, 0, bench.names, 0, b"begin", crc=1))
    b.work()
    assert b.raft.committed == 0


def test_damaged_snapshot_is_not_acknowledged(bench: RaftBench) -> None:
    b = bench["b"]
    b.hear("a", InstallSnapshot(2, 1, 4, 2, 0, bench.names, 0, b"all", is_last=True, crc=1))
    b.work()
    assert [type(m) for m in b.take_sent()] == [SnapshotReceived]
    assert (b.raft.committed, b.store.last) == (0, 0)


def test_older_snapshot_changes_nothing(bench: RaftBench) -> None:
    b = bench["b"]
    b.hear("a", append(2, (0, 0), *entries(1, 9, 2), committed=8))
    b.work()
    b.hear("a", InstallSnapshot(2, 1, 4, 2, 0, bench.names, 0, b"old", is_last=True, crc=1))
    b.work()
    assert (b.raft.applied, b.store.last) == (8, 8)
    assert ("restore", (b"old", 4)) not in b.reader.told


def test_snapshot_that_entries_overtake_while_it_is_written_changes_nothing(
    bench: RaftBench,
) -> None:
    b, content = bench["b"], b"all"
    crc = zlib.crc32(content)
    b.hear("a", InstallSnapshot(2, 1, 4, 2, 0, bench.names, 0, content, is_last=True, crc=crc))
    b.hear("a", append(2, (0, 0), *entries(1, 9, 2), committed=8))
    b.work()
    assert (b.raft.applied, b.store.last) == (8, 8)
    assert ("restore", (content, 4)) not in b.reader.told


def test_restart_gives_the_snapshot_and_then_what_is_committed(tmp_path: Path) -> None:
    bench = RaftBench(tmp_path, 1, snapshot_entries=4, keep_entries=1)
    alone = bench["a"]
    alone.raft.campaign()
    alone.work()
    for _ in range(6):
        alone.raft.append(b"x")
        alone.work()
    snapshot = alone.store.snapshot.index
    alone.crash()
    alone.work()
    assert alone.reader.told[0] == ("restore", (b"state", snapshot))
    given = [index for kind, index in alone.reader.told if kind == "committed"]
    assert given == list(range(snapshot + 1, alone.raft.applied + 1))
    assert [e.index for e in alone.raft.replay()[2]] == given
    bench.close()
