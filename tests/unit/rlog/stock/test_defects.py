"""Each defect of the unmodified library, shown; and the tests that hold ours to the contrary.

Were the library to mend one, its test here would fail: what replaces it can then be looked at anew.
"""

import importlib
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pysyncobj
import pysyncobj.pickle
import pysyncobj.syncobj
import pytest
from pysyncobj.journal import FileJournal, Journal, MemoryJournal
from pysyncobj.node import Node

from tests.unit.rlog.stock.member import ELECTION_S, Clock, StockMember, entry

OURS = {
    "test_nothing_is_fsynced": (
        "test_raft:test_acknowledgement_leaves_only_when_entries_are_on_disk",
        "test_raft_elections:test_vote_leaves_only_when_it_is_on_disk",
    ),
    "test_bytes_from_the_wire_are_run": (
        "test_replica:test_message_that_no_member_would_send_is_refused",
    ),
    "test_repeated_entries_take_back_acknowledged_ones": (
        "test_raft:test_shorter_copy_takes_back_nothing",
    ),
    "test_acknowledgement_of_an_older_term_commits": (
        "test_raft:test_acknowledgement_of_an_older_term_commits_nothing",
    ),
    "test_one_voter_elects_by_answering_twice": (
        "test_raft_elections:test_votes_are_collected_not_counted",
    ),
    "test_first_chunk_of_a_snapshot_commits_what_nobody_verified": (
        "test_raft_snapshots:test_first_chunk_of_a_snapshot_commits_nothing",
    ),
    "test_snapshot_that_cannot_be_loaded_is_acknowledged": (
        "test_raft_snapshots:test_damaged_snapshot_is_not_acknowledged",
    ),
    "test_two_changes_of_members_are_in_flight": (
        "test_raft_members:test_only_one_change_of_members_at_a_time",
    ),
    "test_restart_forgets_the_newest_members": (
        "test_raft_members:test_restart_remembers_members_that_are_not_committed",
    ),
    "test_callback_that_raises_applies_its_command_again": (
        "test_replica:test_callback_of_a_read_that_raises_harms_nobody",
        "test_loop_faults:test_loop_survives_a_failing_perform_and_a_failing_callback",
    ),
    "test_command_that_raises_stops_the_replica_for_ever": (
        "test_replica:test_reader_that_raises_stops_the_log",
        "test_loop_faults:test_loop_keeps_a_failing_apply_out_of_the_log",
    ),
    "test_isolated_leader_leads_on": (
        "test_raft:test_isolated_leader_answers_no_read_and_stops_leading",
        "test_raft_elections:test_pre_vote_disturbs_no_leader",
    ),
    "test_answer_to_an_earlier_process_acknowledges_another_command": (
        "test_loop_leadership:test_loop_drops_its_head_with_the_leadership",
    ),
    "test_kill_during_compaction_loses_the_journal": (
        "test_store:test_compaction_drops_entries_bit_by_bit",
    ),
    "test_long_conflicting_tail_is_never_caught_up": (
        "test_raft:test_long_conflicting_tail_is_caught_up",
    ),
    "test_big_entry_is_cut_short": ("test_raft:test_big_payload_travels_whole",),
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time and journals of members are the test's."""
    clock, create = Clock(), pysyncobj.syncobj.createJournal
    monkeypatch.setattr(pysyncobj.syncobj, "monotonicTime", clock)
    monkeypatch.setattr(
        pysyncobj.syncobj,
        "createJournal",
        lambda journal: journal if isinstance(journal, Journal) else create(journal),
    )
    return clock


@pytest.mark.parametrize("shown", OURS)
def test_ours_is_held_to_the_contrary(shown: str) -> None:
    assert shown in globals()
    for place in OURS[shown]:
        module, name = place.split(":")
        assert callable(getattr(importlib.import_module(f"tests.unit.rlog.{module}"), name))


def test_nothing_is_fsynced() -> None:
    directory = Path(pysyncobj.__file__).parent
    sources = [path.read_text() for path in directory.glob("*.py")]
    assert len(sources) > 10
    assert not any("fsync" in source or "msync" in source for source in sources)


def test_bytes_from_the_wire_are_run() -> None:
    class Harmless:
        def __reduce__(self) -> tuple[Any, tuple[()]]:
            return os.getpid, ()

    assert pysyncobj.pickle.loads(pickle.dumps(Harmless())) == os.getpid()


def test_repeated_entries_take_back_acknowledged_ones(clock: Clock) -> None:
    member = StockMember(clock)
    member.append("b", 5, 2, entry(2, 5), entry(3, 5), entry(4, 5))
    assert member.wire.take("b")[-1]["next_node_idx"] == 5
    member.append("b", 5, 2, entry(2, 5))
    assert member.entries()[-1] == (2, 5)


def test_acknowledgement_of_an_older_term_commits(clock: Clock) -> None:
    member = StockMember(clock).elect()
    term = member.raftCurrentTerm
    member.hear("c", "request_vote", term=term + 1, last_log_index=99, last_log_term=term)
    member.append("c", term + 1, 1, entry(2, term + 1))
    member.tick(ELECTION_S)
    member.hear("c", "response_vote", term=member.raftCurrentTerm)
    assert member._isLeader()
    before = member.raftCommitIndex
    member.hear("b", "next_node_idx", next_node_idx=10, reset=False, success=True)  # of long ago
    member.tick()
    assert member.raftCommitIndex > before


def test_one_voter_elects_by_answering_twice(clock: Clock) -> None:
    member = StockMember(clock, "abcde")
    member.connect_all()
    member.tick(ELECTION_S)
    for _ in range(2):
        member.hear("b", "response_vote", term=member.raftCurrentTerm)
    assert member._isLeader()


def test_first_chunk_of_a_snapshot_commits_what_nobody_verified(clock: Clock) -> None:
    member = StockMember(clock)
    member.append("b", 5, 2, entry(2, 1), entry(3, 1), entry(4, 1))
    chunk = (b"the first of many", True, False)
    member.hear("c", "append_entries", term=6, commit_index=4, serialized=chunk)
    assert member.raftCommitIndex == 4


def test_snapshot_that_cannot_be_loaded_is_acknowledged(clock: Clock) -> None:
    member = StockMember(clock)
    member.append("b", 5, 1, entry(2, 1), entry(3, 1))
    member.wire.sent.clear()

    def fail() -> None:
        raise ValueError("damaged")

    serializer = member.own("serializer")
    serializer.setTransmissionData = lambda data: True
    serializer.deserialize = fail
    member.hear("c", "append_entries", term=6, commit_index=1, serialized=(b"", True, True))
    answer = member.wire.take("c")[-1]
    assert (answer["success"], answer["next_node_idx"]) == (True, 4)


def test_two_changes_of_members_are_in_flight(clock: Clock) -> None:
    member = StockMember(clock, dynamicMembershipChange=True).elect()
    member.accept("b", 3)
    committed = member.raftCommitIndex
    for name in "de":
        member.addNodeToCluster(Node(name))
    member.tick()
    assert len(member.otherNodes) + 1 == 5
    assert member.raftCommitIndex == committed


def test_restart_forgets_the_newest_members(clock: Clock) -> None:
    journal = MemoryJournal()
    member = StockMember(clock, journal=journal, dynamicMembershipChange=True).elect()
    member.accept("b", 3)
    member.addNodeToCluster(Node("d"))
    member.tick()
    assert len(member.otherNodes) == 3
    again = StockMember(clock, journal=journal, dynamicMembershipChange=True)
    assert len(again.otherNodes) == 2


def test_callback_that_raises_applies_its_command_again(clock: Clock) -> None:
    member = StockMember(clock).elect()

    def fail(result: object, error: object) -> None:
        raise RuntimeError("in the callback")

    member.put("once", callback=fail)
    member.tick()
    member.hear("b", "next_node_idx", next_node_idx=4, reset=False, success=True)
    with pytest.raises(RuntimeError, match="in the callback"):
        member.tick()
    member.tick()
    assert member.applied == ["once", "once"]


def test_command_that_raises_stops_the_replica_for_ever(clock: Clock) -> None:
    member = StockMember(clock).elect()
    member.fail()
    member.put("after")
    member.tick()
    member.hear("b", "next_node_idx", next_node_idx=5, reset=False, success=True)
    for _ in range(5):
        with pytest.raises(ValueError, match="a command that fails"):
            member.tick()
    assert member.applied == []
    assert member.raftLastApplied < member.raftCommitIndex


def test_isolated_leader_leads_on(clock: Clock) -> None:
    member = StockMember(clock).elect()
    member.put(1)
    member.tick()
    member.accept("b", 4)
    member.tick(29.0)
    assert member._isLeader()


def test_answer_to_an_earlier_process_acknowledges_another_command(clock: Clock) -> None:
    def follower() -> StockMember:
        member = StockMember(clock)
        member.append("b", 1, 1)
        return member

    earlier = follower()
    earlier.put("old", callback=lambda result, error: None)
    earlier.tick()
    sent = earlier.wire.take("b")
    command = next(m["command"] for m in sent if m["type"] == "apply_command")
    later, told = follower(), []
    later.put("new", callback=lambda result, error: told.append(error))
    later.tick()
    later.hear("b", "apply_command_response", request_id=1, log_idx=2, log_term=1)
    later.append("b", 1, 2, (command, 2, 1))
    later.tick()
    assert (told, later.applied) == ([0], ["old"])


@pytest.fixture
def dying_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileJournal]:
    """A journal of 100 entries whose process dies after ten more writes."""
    journal = FileJournal(str(tmp_path / "journal"))
    for index in range(1, 101):
        journal.add(b"\x01x", index, 1)
    add, left = FileJournal.add, [10]

    def die(self: FileJournal, *entry: object) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        add(self, *entry)

    with monkeypatch.context() as patch:
        patch.setattr(FileJournal, "add", die)
        yield journal
    journal._destroy()


def test_kill_during_compaction_loses_the_journal(
    dying_journal: FileJournal, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        dying_journal.deleteEntriesTo(50)
    found = FileJournal(str(tmp_path / "journal"))
    assert len(found) == 10
    found._destroy()


def test_long_conflicting_tail_is_never_caught_up(clock: Clock) -> None:
    leader = StockMember(clock, appendEntriesBatchSizeBytes=400).elect()
    follower = StockMember(clock, "bac")
    follower.append("c", 1, 1, *(entry(index, 1) for index in range(2, 6)))
    log = leader.own("raftLog")
    log.deleteEntriesFrom(1)
    for index in range(2, 60):
        log.add(b"\x01" + bytes(99), index, 2)
    leader.set_own("raftCurrentTerm", 2)
    leader.own("raftNextIndex")[Node("b")] = 60
    for _ in range(12):
        follower.wire.sent.clear()
        leader.tick(0.2)
        for message in leader.wire.take("b"):
            follower.hear("a", **_split(message))
        for message in follower.wire.take("a"):
            leader.hear("b", **_split(message))
    assert follower.entries()[-1][1] == 1


def test_big_entry_is_cut_short(clock: Clock) -> None:
    member = StockMember(clock, appendEntriesBatchSizeBytes=1000).elect()
    member.wire.sent.clear()
    member.own("raftLog").add(b"\x01" + bytes(1994), 3, 1)
    member.tick(0.2)
    marks = [each["transmission"] for each in member.wire.take("b") if "transmission" in each]
    assert marks.count("finish") > 1


def _split(message: dict[str, Any]) -> dict[str, Any]:
    """Name the kind of a message as `hear` does."""
    return {"kind": message["type"], **{k: v for k, v in message.items() if k != "type"}}
