"""The loop: a failure of our own code hurts the command that met it and nobody else."""

import pytest

from protocol.decision import Refused
from protocol.errors import Broken, Diverged, Fault, NotLeader
from rlog.log import Committed
from tests.unit.rlog.counter import (
    Add,
    Fail,
    Lend,
    Reason,
)
from tests.unit.rlog.house import House, types_of
from tests.unit.rlog.memory_log import MemoryLog


def test_loop_fails_what_waits_in_the_queue_when_it_loses(house: House) -> None:
    house.io.call(house.log.gain)
    house.submit(Add(1))
    house.lose()
    assert types_of(house.taken()) == [NotLeader]


def test_loop_isolates_a_failing_decide(house: House) -> None:
    house.lead()
    house.submit(Lend(9), Add(1), Fail("decide"), Add(2))
    house.commit()
    assert types_of(house.taken()) == [int, int, Fault, int]
    assert house.total == 3 and house.loop.state.soft == [9]
    assert house.probe.faults == ["decide"]


def test_loop_keeps_a_failing_apply_out_of_the_log(house: House) -> None:
    house.lead()
    house.submit(Add(1), Fail("apply"), Add(2))
    house.commit()
    house.commit()
    house.commit()
    taken = house.taken()
    assert types_of(taken) == [int, Fault, int]
    assert ("effect", 666) not in taken
    assert house.total == 3 and house.loop.state == house.folded()


def test_loop_takes_over_anew_after_a_failing_apply(house: House) -> None:
    house.lead()
    house.submit(Lend(4))
    house.taken()
    house.submit(Fail("apply"))
    assert [entry[0] for entry in house.taken()] == ["follow", "done"]
    assert not house.loop.is_serving and house.loop.state.soft == []
    house.commit()
    assert house.taken() == [("lead", 1)] and house.loop.is_serving


def test_loop_finds_the_command_that_cannot_be_encoded(house: House) -> None:
    house.lead()
    house.submit(Add(1), Fail("encode"), Add(2))
    for _ in range(5):
        house.commit()
    assert types_of(house.taken()) == [int, Fault, int]
    assert house.total == 3 and house.loop.state == house.folded()


def test_loop_undoes_a_batch_that_the_log_refuses_for_lost_leadership(house: House) -> None:
    house.lead()
    house.log.is_leader, house.log.window = False, 4
    house.log.append_error = None
    house.log.leader = "m2:7000"
    house.loop._log = _Deposed(house.log)  # type: ignore[assignment]
    house.submit(Add(1))
    assert types_of(house.taken()) == [NotLeader]
    assert house.total == 0 and house.loop.state == house.folded()


class _Deposed:
    """Says that there is room, and then that it leads no more."""

    window_free = 1

    def __init__(self, log: MemoryLog) -> None:
        self.append, self.replay, self.leader = log.append, log.replay, log.leader


def test_loop_survives_a_failing_perform_and_a_failing_callback(house: House) -> None:
    house.lead()

    def fail(reply: object) -> None:
        raise RuntimeError("callback fails")

    house.io.call(house.loop.submit, Add(13), fail)
    house.submit(Add(1))
    house.commit()
    assert house.taken() == [("done", 14), ("effect", 1)]
    assert house.probe.faults == ["answer", "perform"]


def test_loop_breaks_when_a_committed_event_cannot_be_folded(house: House) -> None:
    house.log.add_foreign(house.machine.encode(1, [("explode", 1)]))
    with pytest.raises(Broken):
        house.commit()
    assert house.taken() == [("broken", Diverged)]
    assert house.loop.snapshot() is None


def test_loop_breaks_when_the_log_commits_something_else(house: House) -> None:
    house.lead()
    house.submit(Add(1))
    other = Committed(house.log.head, 9, b"other")
    with pytest.raises(Diverged):
        house.io.call(house.loop.committed, [other])
    assert types_of(house.taken()) == [Diverged]


def test_loop_breaks_when_leadership_cannot_be_taken_over(house: House) -> None:
    house.machine.take_over_refusal = Refused(Reason.NEGATIVE, "never")
    house.io.call(house.log.gain)
    assert house.taken() == [("broken", Diverged)]
    house.submit(Add(1))
    assert types_of(house.taken()) == [NotLeader]


def test_loop_breaks_with_the_disk(house: House) -> None:
    house.lead()
    house.log.append_error = Broken("no space left")
    house.submit(Add(1))
    assert house.taken() == [("done", house.log.append_error), ("broken", Broken)]


def test_loop_fails_a_query_without_leadership(house: House) -> None:
    house.io.call(house.loop.query, lambda state: state.total, house.done)
    assert types_of(house.taken()) == [NotLeader]
    house.lead()
    house.io.call(house.loop.query, lambda state: state.total, house.done)
    house.lose()
    assert types_of(house.taken()) == [NotLeader]


def test_loop_answers_a_failing_view_with_a_fault(house: House) -> None:
    house.lead()
    house.io.call(house.loop.query, lambda state: 1 // state.total, house.done)
    house.io.call(house.log.prove)
    assert types_of(house.taken()) == [Fault]
