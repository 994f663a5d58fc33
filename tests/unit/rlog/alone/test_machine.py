"""The machine of a log by itself: what it logs, what it forgets, and whose logs it refuses."""

from dataclasses import dataclass, field
from typing import get_args

import pytest

from master.codec import encode_batch
from master.core import snapshot as masters_snapshot
from master.core.events import Batch
from master.core.events import LeadershipTaken as MasterLed
from master.core.state import State as MastersState
from master.registrar import Registrar
from protocol.decision import Refused
from protocol.errors import CorruptLog
from rlog.alone.core import state as lone
from rlog.alone.core.events import LogEvent, LogRestored
from rlog.alone.core.machine import Command, TakeOver, Tick
from rlog.alone.core.state import State, digest, dump, is_ours, load
from rlog.alone.registrar import LoneRegistrar
from rlog.spaces import invariants
from rlog.spaces.commands import Change as ChangeCall
from rlog.spaces.commands import ChangeSpace, SpaceReply, SpaceTouched
from rlog.spaces.messages import (
    AcquireLease,
    AppendRecords,
    Change,
    ClaimJournal,
    Leased,
    ReleaseLease,
    RemoveSpace,
    RenewLease,
    Transact,
    TruncateJournal,
)
from rlog.spaces.records import SpaceLimits

SECOND_NS = 1_000_000_000
FLOOR = 1_000_000


@dataclass
class Leader:
    """A leader whose log the test reads: what is submitted is committed at once."""

    machine: LoneRegistrar = field(default_factory=LoneRegistrar)
    state: State = field(default_factory=State)
    now_ns: int = 100 * SECOND_NS
    log: list[bytes] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)

    def submit(self, command: Command) -> SpaceReply | None:
        self.state.now_ns = self.now_ns
        outcome = self.machine.decide(self.state, command, self.now_ns)
        assert not isinstance(outcome, Refused), outcome
        for event in outcome.events:
            self.machine.apply(self.state, event)
        for soft in outcome.soft:
            self.machine.apply_soft(self.state, soft)
        if outcome.events:
            self.log.append(self.machine.encode(self.now_ns, outcome.events))
        effects: tuple[SpaceTouched, ...] = outcome.effects
        self.touched += [each.space for each in effects]
        invariants.check(self.state.spaces)
        return outcome.reply

    def change(self, call: ChangeCall) -> SpaceReply | None:
        return self.submit(ChangeSpace("p", call))

    def advance(self, duration_ns: int) -> None:
        """Let time pass, and do what it makes due."""
        self.now_ns += duration_ns
        while (due_ns := self.machine.due(self.state)) is not None and due_ns <= self.now_ns:
            self.submit(Tick())

    def replay(self) -> State:
        state = self.machine.empty()
        for payload in self.log:
            state.now_ns, events = self.machine.decode(payload)
            for event in events:
                self.machine.apply(state, event)
        return state

    def leases(self) -> list[str]:
        return list(self.state.spaces.by_name["s"].leases)


@pytest.fixture
def leader() -> Leader:
    leader = Leader()
    leader.submit(TakeOver(1, "m1:7100", "origin"))
    leader.change(AcquireLease(1, "s", "lead", "me", SECOND_NS))
    return leader


def busy_leader() -> Leader:
    """Return a leader through whose log every kind of event has gone but a restoration."""
    leader = Leader()
    leader.submit(TakeOver(1, "m1:7100", "origin"))
    leader.change(AcquireLease(1, "s", "lead", "me", SECOND_NS))
    leader.change(Transact(2, "s", "t", changes=(Change("k", b"v", lease="lead"),)))
    leader.change(ClaimJournal(3, "s", "", "j", "me"))
    leader.change(AppendRecords(4, "s", "", "j", 3, records=(b"a", b"b")))
    leader.change(TruncateJournal(5, "s", "j", 3, 2))
    leader.advance(SECOND_NS)
    leader.change(Transact(6, "gone", changes=(Change("k", b"v"),)))
    leader.change(RemoveSpace(7, "gone"))
    return leader


def test_every_event_is_logged_and_folded_again() -> None:
    leader = busy_leader()
    leader.log.append(leader.machine.encode(leader.now_ns, (LogRestored(FLOOR),)))
    leader.machine.apply(leader.state, LogRestored(FLOOR))
    logged = {type(event) for payload in leader.log for event in leader.machine.decode(payload)[1]}
    assert logged == set(get_args(LogEvent))
    assert digest(leader.replay()) == digest(leader.state)


def test_loaded_state_is_the_dumped_one() -> None:
    state = busy_leader().state
    loaded = load(dump(state))
    invariants.check(loaded.spaces)
    assert (digest(loaded), dump(loaded)) == (digest(state), dump(state))


def test_lease_that_is_not_renewed_ends_and_its_keys_with_it(leader: Leader) -> None:
    leader.change(Transact(2, "s", changes=(Change("k", b"v", lease="lead"),)))
    leader.touched.clear()
    leader.advance(SECOND_NS - 1)
    assert (leader.leases(), leader.touched) == (["lead"], [])
    leader.advance(1)
    assert (leader.leases(), leader.touched) == ([], ["s"])
    assert leader.state.spaces.by_name["s"].items == {}


def test_renewed_lease_goes_on_without_an_entry_in_the_log(leader: Leader) -> None:
    entries = len(leader.log)
    for _ in range(5):
        leader.advance(SECOND_NS // 2)
        assert leader.change(RenewLease(2, "s", "lead", 1)) == Leased(2, 1)
    assert (leader.leases(), len(leader.log)) == (["lead"], entries)


def test_released_lease_rings_nobody_later(leader: Leader) -> None:
    leader.change(ReleaseLease(2, "s", "lead", 1))
    entries = len(leader.log)
    leader.advance(2 * SECOND_NS)
    assert len(leader.log) == entries
    assert leader.machine.due(leader.state) is None


def test_new_leader_gives_every_lease_its_whole_time(leader: Leader) -> None:
    leader.now_ns += SECOND_NS - 1
    leader.machine.drop_soft(leader.state)
    leader.submit(TakeOver(2, "m2:7100", "another"))
    leader.advance(SECOND_NS - 1)
    assert leader.leases() == ["lead"]
    leader.advance(1)
    assert leader.leases() == []


def test_origin_is_that_of_the_first_leadership(leader: Leader) -> None:
    leader.submit(TakeOver(2, "m2:7100", "of-a-recovery"))
    assert (leader.state.origin, leader.state.term) == ("origin", 2)


def test_restored_log_gives_no_revision_again(leader: Leader) -> None:
    leader.machine.apply(leader.state, LogRestored(FLOOR))
    assert leader.state.spaces.by_name["s"].revision > FLOOR


def test_limits_are_those_that_were_set() -> None:
    leader = Leader(LoneRegistrar(SpaceLimits(keys_max=1)))
    leader.change(Transact(1, "s", changes=(Change("a", b""),)))
    more = ChangeSpace("p", Transact(2, "s", changes=(Change("b", b""),)))
    refused = leader.machine.decide(leader.state, more, leader.now_ns)
    assert isinstance(refused, Refused)
    assert refused.text == "space s would have 2 keys, at most 1"


def test_masters_log_is_none_of_ours() -> None:
    payload = encode_batch(Batch(1, (MasterLed(1, "m1:7000"),)))
    content = masters_snapshot.dump(MastersState())
    assert not is_ours(payload)
    assert not is_ours(content)
    with pytest.raises(CorruptLog, match="not of a log that runs by itself"):
        LoneRegistrar().decode(payload)
    with pytest.raises(CorruptLog, match="it begins with"):
        LoneRegistrar().load(content)


def test_our_log_is_none_of_the_masters(leader: Leader) -> None:
    assert all(map(is_ours, (*leader.log, lone.dump(leader.state))))
    with pytest.raises(CorruptLog):
        Registrar().decode(leader.log[0])
    with pytest.raises(CorruptLog):
        Registrar().load(lone.dump(leader.state))


def test_damaged_entry_is_refused(leader: Leader) -> None:
    with pytest.raises(CorruptLog, match="cannot be read"):
        leader.machine.decode(leader.log[0][:20])
