"""Journals: who may append, at which positions, and what is read of it ever after."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.decision import Refused
from rlog.spaces import journals
from rlog.spaces.leases import decide_remove
from rlog.spaces.messages import (
    AppendRecords,
    Claimed,
    ClaimJournal,
    Fence,
    ReadRecords,
    Records,
    RemoveSpace,
    TruncateJournal,
)
from rlog.spaces.records import RECORD_BYTES, SpaceLimits, SpaceReason, Spaces, skip_revisions
from rlog.spaces.views import view
from tests.unit.rlog.spaces.test_spaces import APPLY, House, _reason


class Desk(House):
    """Spaces whose journal `j` is written and read; every event is remembered."""

    def __init__(self, limits: SpaceLimits | None = None) -> None:
        super().__init__(limits)
        self.events: list[Any] = []

    def fold(self, *events: Any) -> None:
        self.events += events
        super().fold(*events)

    def claim(self, writer: str = "w", token: str = "", principal: str = "p") -> Any:
        call = ClaimJournal(1, "s", token, "j", writer)
        return self._settle(journals.decide_claim(self.spaces, call, principal, self.limits))

    def append(self, epoch: int, *records: bytes, principal: str = "p", **how: Any) -> Any:
        call = AppendRecords(1, "s", name="j", epoch=epoch, records=records, **how)
        return self._settle(journals.decide_append(self.spaces, call, principal, self.limits))

    def truncate(self, epoch: int, first: int) -> SpaceReason | None:
        call = TruncateJournal(1, "s", "j", epoch, first)
        events = journals.decide_truncate(self.spaces, call, "p")
        if isinstance(events, Refused):
            return _reason(events)
        self.fold(*events)
        return None

    def read(self, position: int = 0, principal: str = "p") -> Any:
        found = view(self.spaces, ReadRecords(1, "s", "j", position), principal)
        return _reason(found) if isinstance(found, Refused) else found

    def read_all(self) -> dict[int, bytes]:
        """Return all records by position, read page after page."""
        found: dict[int, bytes] = {}
        position = 0
        while True:
            page = self.read(position)
            assert isinstance(page, Records)
            found.update(enumerate(page.records, page.position))
            position = page.position + len(page.records)
            if position >= page.next:
                return found

    def _settle(self, found: Any) -> Any:
        if isinstance(found, Refused):
            return _reason(found)
        self.fold(*found[0])
        return found[1].epoch if isinstance(found[1], Claimed) else found[1]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_records_have_positions_from_one_in_order(desk: Desk) -> None:
    epoch = desk.claim()
    assert [desk.append(epoch, b"a", b"b"), desk.append(epoch, b"c")] == [2, 3]
    assert desk.read() == Records(1, 1, (b"a", b"b", b"c"), 1, 4, epoch)
    assert desk.read(3) == Records(1, 3, (b"c",), 1, 4, epoch)
    assert desk.read(4) == Records(1, 4, (), 1, 4, epoch)


def test_earlier_writer_is_fenced_once_another_has_claimed(desk: Desk) -> None:
    old, new = desk.claim("x"), desk.claim("y")
    assert new > old
    assert desk.append(old, b"late") is SpaceReason.FENCED
    assert desk.truncate(old, 1) is SpaceReason.FENCED
    assert desk.append(new, b"a") == 1


def test_journal_that_nobody_claimed_takes_nothing(desk: Desk) -> None:
    assert desk.append(0, b"a") is SpaceReason.FENCED
    desk.store("k")
    assert desk.append(0, b"a") is SpaceReason.FENCED


def test_append_told_again_is_answered_as_before(desk: Desk) -> None:
    epoch = desk.claim()
    assert desk.append(epoch, b"a", token="t") == 1
    assert desk.append(epoch, b"b") == 2
    assert desk.append(epoch, b"a", token="t") == 1
    assert desk.read_all() == {1: b"a", 2: b"b"}


def test_claim_told_again_does_not_fence_itself(desk: Desk) -> None:
    epoch = desk.claim(token="t")
    assert desk.claim(token="t") == epoch
    assert desk.append(epoch, b"a") == 1


def test_append_at_another_position_than_the_next_is_refused(desk: Desk) -> None:
    epoch = desk.claim()
    assert desk.append(epoch, b"a", position=1) == 1
    assert desk.append(epoch, b"a", position=1) is SpaceReason.WRONG_POSITION
    assert desk.append(epoch, b"a", position=3) is SpaceReason.WRONG_POSITION


def test_append_needs_the_leases_it_names(desk: Desk) -> None:
    epoch, token = desk.claim(), desk.acquire("me")
    assert desk.append(epoch, b"a", fences=(Fence("lead", token),)) == 1
    assert desk.append(epoch, b"b", fences=(Fence("lead", token + 1),)) is SpaceReason.FENCED


def test_truncated_records_are_gone_and_their_positions_not_reused(desk: Desk) -> None:
    epoch = desk.claim()
    desk.append(epoch, b"a", b"b", b"c")
    assert desk.truncate(epoch, 3) is None
    assert desk.read(2) is SpaceReason.COMPACTED
    assert desk.read_all() == {3: b"c"}
    assert desk.truncate(epoch, 4) is None
    assert desk.append(epoch, b"d") == 4
    assert desk.truncate(epoch, 6) is SpaceReason.WRONG_POSITION
    assert desk.truncate(epoch, 2) is None  # gone already
    assert desk.read_all() == {4: b"d"}


def test_truncation_makes_room(desk: Desk) -> None:
    desk = Desk(SpaceLimits(bytes_max=2 * RECORD_BYTES))
    epoch = desk.claim()
    assert desk.append(epoch, b"", b"") == 2
    assert desk.append(epoch, b"") is SpaceReason.OVER_QUOTA
    desk.truncate(epoch, 2)
    assert desk.append(epoch, b"") == 3


def test_records_count_with_keys(desk: Desk) -> None:
    desk = Desk(SpaceLimits(bytes_max=RECORD_BYTES + 1))
    desk.append(desk.claim(), b"")
    assert desk.store("key", b"value") is SpaceReason.OVER_QUOTA


@pytest.mark.parametrize(
    ("limits", "records", "reason"),
    [
        (SpaceLimits(records_max=1), (b"", b""), SpaceReason.TOO_MANY),
        (SpaceLimits(value_bytes_max=1), (b"ab",), SpaceReason.OVER_QUOTA),
        (SpaceLimits(transaction_bytes_max=RECORD_BYTES), (b"a",), SpaceReason.OVER_QUOTA),
    ],
)
def test_append_over_a_bound_is_refused(
    limits: SpaceLimits, records: tuple[bytes, ...], reason: SpaceReason
) -> None:
    desk = Desk(limits)
    assert desk.append(desk.claim(), *records) is reason


def test_space_takes_so_many_journals() -> None:
    desk = Desk(SpaceLimits(journals_max=0))
    assert desk.claim() is SpaceReason.TOO_MANY
    assert not desk.spaces.by_name


def test_journal_is_its_owners_alone(desk: Desk) -> None:
    epoch = desk.claim()
    assert desk.claim(principal="q") is SpaceReason.OTHER_OWNER
    assert desk.append(epoch, b"a", principal="q") is SpaceReason.OTHER_OWNER
    assert desk.read(principal="q") is SpaceReason.OTHER_OWNER


def test_long_journal_is_read_page_after_page(desk: Desk) -> None:
    epoch = desk.claim()
    for number in range(12):
        desk.append(epoch, bytes([number]) * (100 << 10))
    assert len(desk.read().records) < 12
    assert desk.read_all() == {n + 1: bytes([n]) * (100 << 10) for n in range(12)}


def test_epoch_of_a_removed_space_writes_nothing_in_the_next(desk: Desk) -> None:
    old = desk.claim()
    removed = decide_remove(desk.spaces, RemoveSpace(1, "s"), "p")
    assert not isinstance(removed, Refused)
    desk.fold(*removed)
    assert desk.claim() > old
    assert desk.append(old, b"late") is SpaceReason.FENCED


def test_positions_that_a_lost_log_may_have_given_are_left_out(desk: Desk) -> None:
    epoch = desk.claim()
    desk.append(epoch, b"a")
    skip_revisions(desk.spaces, 10)
    skip_revisions(desk.spaces, 10)
    desk.fold()
    assert desk.append(epoch, b"b") == 22
    assert desk.read_all() == {1: b"a", 22: b"b"}
    desk.truncate(epoch, 5)
    assert desk.read_all() == {22: b"b"}
    assert desk.read(5) is SpaceReason.COMPACTED


few = st.integers(0, 6)
records = st.lists(st.binary(max_size=3), max_size=3)
STEPS = st.one_of(
    st.tuples(st.just("claim"), st.sampled_from(("", "t1", "t2"))),
    st.tuples(st.just("append"), few, records, st.sampled_from(("", "a1", "a2")), few),
    st.tuples(st.just("truncate"), few, few),
    st.tuples(st.just("skip"), st.integers(0, 3)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=20))
def test_journal_is_what_a_plain_list_of_positions_says(steps: list[Any]) -> None:
    desk, plain = Desk(), {}  # type: tuple[Desk, dict[int, bytes]]
    newest, ever = 0, 0
    epochs = [99]
    tokens: dict[str, int] = {}
    for step in steps:
        match step:
            case "claim", token:
                epoch = desk.claim(token=token)
                assert epoch > newest or epoch in epochs
                newest = max(newest, epoch)
                epochs.append(epoch)
            case "append", back, content, token, position:
                epoch = epochs[-1 - back % len(epochs)]
                told = desk.append(epoch, *content, token=token, position=position)
                if token in tokens:
                    assert told == tokens[token]
                elif not isinstance(told, SpaceReason):
                    assert epoch == newest
                    places = range(told - len(content) + 1, told + 1)
                    assert all(place > ever for place in places)
                    plain.update(zip(places, content, strict=True))
                    ever = max(ever, told)
                    if token and content:
                        tokens[token] = told
            case "truncate", back, first:
                epoch = epochs[-1 - back % len(epochs)]
                if desk.truncate(epoch, first) is None:
                    assert epoch == newest
                    plain = {place: each for place, each in plain.items() if place >= first}
            case "skip", count:
                skip_revisions(desk.spaces, count)
                desk.events.append(count)
        assert desk.read_all() == plain
    assert replay(desk.events) == desk.spaces
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(desk.spaces), type=Spaces) == desk.spaces


def replay(events: list[Any]) -> Spaces:
    """Return what another replica makes of the same events."""
    spaces = Spaces()
    for event in events:
        if isinstance(event, int):
            skip_revisions(spaces, event)
        else:
            APPLY[type(event)](spaces, event)
    return spaces
