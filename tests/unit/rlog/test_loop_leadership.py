"""The loop: what a change of leadership drops and what time asks of a leader."""

from protocol.errors import NotLeader
from tests.unit.rlog.counter import (
    Add,
    Lend,
    Look,
    SetDue,
)
from tests.unit.rlog.house import NS, House, types_of


def test_loop_serves_only_once_its_taking_over_is_committed(house: House) -> None:
    house.io.call(house.log.gain)
    house.submit(Add(5))
    assert not house.loop.is_serving and house.total == 0 and house.taken() == []
    house.commit()
    assert house.loop.is_serving and house.loop.epoch == 1
    assert house.taken() == [("lead", 1)] and house.total == 5
    house.commit()
    assert house.taken() == [("done", 5), ("effect", 5)]


def test_loop_stamps_never_run_backwards(house: House) -> None:
    house.log.add_foreign(house.machine.encode(2_000 * NS, [("add", 3)]))
    house.commit()
    house.lead()
    house.submit(Add(1))
    assert house.loop.state.now_ns >= 2_000 * NS


def test_loop_keeps_a_stamp_only_if_it_is_logged(house: House) -> None:
    house.lead()
    stamp_ns = house.loop.state.now_ns
    house.wall_ns += NS
    house.submit(Look(), Lend(1))
    assert house.loop.state.now_ns == stamp_ns


def test_loop_drops_its_head_with_the_leadership(house: House) -> None:
    house.lead()
    house.submit(Add(1))
    house.commit()
    house.submit(Add(10))
    house.submit(Lend(5))
    house.taken()
    house.lose("m2:7000")
    taken = house.taken()
    assert types_of(taken) == [NotLeader, NotLeader] and taken[-1] == ("follow", "m2:7000")
    assert taken[0][1].leader == "m2:7000"
    assert house.total == 1 and house.loop.state == house.folded()


def test_loop_folds_lost_entries_that_survived_elsewhere(house: House) -> None:
    house.lead()
    house.submit(Add(1))
    house.submit(Add(2))
    house.lose(surviving=1)
    house.commit()
    assert house.total == 1 and house.loop.state == house.folded()
    assert ("effect", 1) not in house.taken()


def test_loop_drops_soft_state_at_loss(house: House) -> None:
    house.lead()
    house.submit(Lend(5))
    assert house.loop.state.soft == [5]
    house.lose()
    assert house.loop.state.soft == []


def test_loop_takes_over_again_after_a_loss(house: House) -> None:
    house.lead()
    house.lose()
    house.lead()
    assert house.loop.epoch == house.log.term and house.loop.is_serving
    assert len(house.loop.state.terms) == 2


def test_loop_ticks_when_the_deadline_is_due(house: House) -> None:
    house.lead()
    house.submit(SetDue(house.wall_ns + 2 * NS))
    house.commit()
    house.io.advance(1.9)
    assert house.loop.state.ticked_ns == []
    house.wall_ns += 21 * NS // 10
    house.io.advance(0.2)
    assert house.loop.state.ticked_ns == [house.wall_ns]


def test_loop_ticks_though_the_wall_clock_was_set_back(house: House) -> None:
    house.lead()
    house.submit(SetDue(house.wall_ns + 20 * NS))
    house.commit()
    house.wall_ns -= 3_600 * NS
    house.io.advance(26)
    assert len(house.loop.state.ticked_ns) == 1


def test_loop_does_not_tick_early_though_the_wall_clock_leaps(house: House) -> None:
    house.lead()
    house.submit(SetDue(house.wall_ns + 3_600 * NS))
    house.commit()
    house.wall_ns += 4_000 * NS
    house.io.advance(30)
    assert house.loop.state.ticked_ns == []


def test_loop_does_not_tick_after_leadership_is_lost(house: House) -> None:
    house.lead()
    house.submit(SetDue(house.wall_ns + NS))
    house.commit()
    house.lose()
    house.wall_ns += 5 * NS
    house.io.advance(6)
    assert house.loop.state.ticked_ns == []
