"""The loop: what leaves when, and how much waits."""

from protocol.decision import Refused
from protocol.errors import NotLeader, Overloaded
from rlog.commands import LoopLimits
from tests.unit.rlog.counter import (
    Add,
    Count,
    Fail,
    Lend,
    Look,
)
from tests.unit.rlog.house import House, types_of


def test_loop_answers_not_leader_while_following(house: House) -> None:
    house.log.leader = "m3:7000"
    house.submit(Add(1))
    [(_, fault)] = house.taken()
    assert isinstance(fault, NotLeader) and fault.leader == "m3:7000"


def test_loop_lets_nothing_leave_before_commit(house: House) -> None:
    house.lead()
    house.submit(Add(1), Lend(2), Look(), Add(-1))
    assert house.total == 1 and house.taken() == []
    house.commit()
    taken = house.taken()
    assert taken[:5] == [("done", 1), ("effect", 1), ("done", 1), ("effect", 2), ("done", 1)]
    assert isinstance(taken[5][1], Refused)


def test_loop_answers_at_once_what_rests_on_committed_state(house: House) -> None:
    house.lead()
    house.submit(Look())
    assert house.taken() == [("done", 0)]


def test_loop_holds_a_refusal_until_what_it_rests_on_is_committed(house: House) -> None:
    house.lead()
    house.submit(Add(1))
    house.submit(Add(-1))
    assert house.taken() == []
    house.commit()
    assert types_of(house.taken()) == [int, Refused]


def test_loop_logs_one_entry_per_turn(house: House) -> None:
    house.lead()
    house.submit(*(Add(1) for _ in range(20)))
    assert house.probe.batches[-1] == (20, 20)
    assert house.log.head == house.log.committed + 1


def test_loop_shows_a_command_what_the_one_before_it_did(house: House) -> None:
    house.lead()
    house.submit(Add(1), Add(2))
    house.commit()
    assert house.taken() == [("done", 1), ("effect", 1), ("done", 3), ("effect", 2)]


def test_loop_bounds_a_batch_by_commands_and_bytes() -> None:
    house = House(LoopLimits(batch_commands_max=3, batch_bytes_max=25))
    house.lead()
    house.submit(*(Add(1) for _ in range(4)), size_bytes=1)
    assert house.probe.batches[-2:] == [(3, 3), (1, 1)]
    house.commit()
    house.submit(*(Add(1) for _ in range(3)), size_bytes=10)
    assert house.probe.batches[-2:] == [(2, 2), (1, 1)]
    house.io.close()


def test_loop_turns_away_more_than_its_queue_holds() -> None:
    house = House(LoopLimits(queue_commands_max=2, queue_bytes_max=100))
    house.lead()
    house.submit(Add(1), Add(1), Add(1))
    assert types_of(house.taken()) == [Overloaded]
    house.submit(Add(1), size_bytes=101)
    assert types_of(house.taken()) == [Overloaded]
    house.io.close()


def test_loop_keeps_batches_in_flight_up_to_the_window(house: House) -> None:
    house.lead()
    for _ in range(6):
        house.submit(Add(1))
    assert house.log.head - house.log.committed == 4 and house.total == 4
    house.commit(1)
    assert house.total == 6, "the rest went as one batch"
    house.commit()
    assert len(types_of(house.taken())) == 6


def test_loop_folds_what_others_log(house: House) -> None:
    house.log.add_foreign(house.machine.encode(7, [("add", 3)]))
    house.commit()
    assert house.total == 3 and house.loop.state.now_ns == 7


def test_loop_keeps_its_flights_when_it_folds_again(house: House) -> None:
    house.lead()
    house.submit(Add(1))
    house.submit(Fail("apply"))
    assert house.total == 1
    house.commit()
    assert ("effect", 1) in house.taken() and house.loop.state == house.folded()


def test_loop_answers_a_query_after_proof_of_leadership(house: House) -> None:
    house.lead()
    house.submit(Add(1))
    house.io.call(house.loop.query, lambda state: ("saw", state.total), house.done)
    house.commit()
    assert ("done", ("saw", 1)) not in house.taken()
    house.io.call(house.log.prove)
    assert house.taken() == [("done", ("saw", 1))]


def test_loop_answers_a_query_only_with_committed_state(house: House) -> None:
    house.lead()
    house.submit(Add(1))
    house.io.call(house.loop.query, lambda state: ("saw", state.total), house.done)
    house.io.call(house.log.prove)
    assert house.taken() == []
    house.submit(Add(1))
    house.commit(1)
    assert house.taken() == [("done", 1), ("effect", 1), ("done", ("saw", 1))]


def test_loop_is_snapshotted_without_a_pause_in_its_flights(house: House) -> None:
    house.lead()
    house.submit(Add(1))
    capture = house.io.call(house.loop.snapshot)
    assert capture.index == house.log.head > house.log.committed
    assert house.machine.load(capture.dump()).total == 1
    house.submit(Add(2))
    assert house.total == 3, "nothing waits for it"


def test_snapshot_of_a_head_that_was_lost_is_not_kept(house: House) -> None:
    house.lead()
    house.submit(Add(1))
    assert house.io.call(house.log.take_snapshot)
    house.lose()
    house.log.add_foreign(house.machine.encode(1, [("add", 5)]))
    house.commit()
    assert house.log.snapshot == (None, 0)
    assert house.loop.state == house.folded()


def test_snapshot_of_a_head_counts_once_that_is_committed(house: House) -> None:
    house.lead()
    house.submit(Add(1))
    assert house.io.call(house.log.take_snapshot)
    assert house.log.snapshot == (None, 0)
    house.submit(Add(2))
    house.commit(1)
    assert house.machine.load(house.log.snapshot[0] or b"").total == 1
    house.lose()
    assert house.loop.state == house.folded()


def test_loop_restores_from_a_snapshot(house: House) -> None:
    content = house.machine.dump(Count(now_ns=5, total=42))
    house.io.call(house.loop.restore, content, 7)
    assert house.total == 42


def test_loop_stops_and_answers_what_waits(house: House) -> None:
    house.lead()
    house.submit(Add(1))
    house.io.run_until_complete(house.loop.stop())
    assert types_of(house.taken()) == [NotLeader]
