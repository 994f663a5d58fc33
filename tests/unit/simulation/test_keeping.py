"""The judge of what keepers were told: honest histories pass, impossible ones do not."""

import pytest

from rlog.spaces.messages import Change, Revision
from tests.simulation.checkers import BrokenPromiseError
from tests.simulation.keeping.ledger import Appended, Fenced, Found, Ledger, Transaction


def transact(ledger: Ledger, conditions: Found, changes: Found, *, is_done: bool) -> None:
    called = ledger.call("transact", Transaction(conditions, changes, None))
    ledger.close(called, Transaction(conditions, changes, is_done))


def fetch(ledger: Ledger, *found: tuple[str, bytes | None]) -> None:
    ledger.close(ledger.call("fetch", ()), found)


def honest() -> Ledger:
    """Return what two transactions, of which one was in vain, and one that was lost may leave."""
    ledger = Ledger()
    transact(ledger, (("k0", None),), (("k0", b"a"), ("k1", b"b")), is_done=True)
    transact(ledger, (("k0", None),), (("k0", b"c"),), is_done=False)
    ledger.call("transact", Transaction((("k1", b"b"),), (("k1", None),), None))
    fetch(ledger, ("k0", b"a"), ("k1", b"b"))
    fetch(ledger, ("k1", None))
    return ledger


def test_honest_history_passes() -> None:
    ledger = honest()
    ledger.watched = [revision(3, b"3:a"), revision(5, b"3:b"), revision(9, b"7:c")]
    ledger.fenced = [Fenced(3, b"3:b", 5)]
    for position, record in enumerate((b"2:x", b"2:y", b"6:z"), 1):
        ledger.read(position, record)
    ledger.appended = [Appended(2, (b"2:x", b"2:y"), 2, 1, 2), Appended(6, (b"6:z",), 3, 3, 4)]
    ledger.judge(1, 4)


def revision(number: int, value: bytes) -> Revision:
    return Revision(number, (Change("led", value),))


def test_keys_that_come_back_are_noticed() -> None:
    ledger = honest()
    fetch(ledger, ("k1", b"b"))
    with pytest.raises(BrokenPromiseError, match="one at a time"):
        ledger.judge(1, 1)


def test_half_a_transaction_is_noticed() -> None:
    ledger = Ledger()
    transact(ledger, (), (("k0", b"a"), ("k1", b"b")), is_done=True)
    fetch(ledger, ("k0", b"a"), ("k1", None))
    with pytest.raises(BrokenPromiseError, match="one at a time"):
        ledger.judge(1, 1)


def test_refusal_without_a_conflict_is_noticed() -> None:
    ledger = Ledger()
    transact(ledger, (("k0", None),), (("k0", b"a"),), is_done=False)
    with pytest.raises(BrokenPromiseError, match="one at a time"):
        ledger.judge(1, 1)


@pytest.mark.parametrize(
    ("watched", "text"),
    [
        ((revision(1, b"7:a"), revision(2, b"3:b")), "under the leases"),
        ((revision(1, b"7:a"), revision(2, b"7:a")), "made twice"),
        ((revision(2, b"7:a"), revision(1, b"7:b")), "was told of"),
        ((revision(1, b"7:a"),), "revision 2 is None"),
    ],
)
def test_broken_fence_is_noticed(watched: tuple[Revision, ...], text: str) -> None:
    ledger = Ledger(watched=list(watched))
    if len(watched) == 1:
        ledger.fenced = [Fenced(7, b"7:b", 2)]
    with pytest.raises(BrokenPromiseError, match=text):
        ledger.judge(1, 1)


@pytest.mark.parametrize(
    ("records", "appended", "text"),
    [
        ((b"2:x", b"2:x"), (), "appended twice"),
        ((b"6:x", b"2:y"), (), "under the epochs"),
        ((b"2:x", b"2:y"), (Appended(2, (b"2:z",), 2, 1, 2),), "position 2 is"),
        ((b"2:x",), (Appended(2, (b"2:y",), 2, 1, 2),), "position 2 is None"),
        (
            (b"2:x", b"2:y"),
            (Appended(2, (b"2:x",), 1, 3, 4), Appended(2, (b"2:y",), 2, 1, 2)),
            "asked later",
        ),
    ],
)
def test_broken_journal_is_noticed(
    records: tuple[bytes, ...], appended: tuple[Appended, ...], text: str
) -> None:
    ledger = Ledger(appended=list(appended))
    for position, record in enumerate(records, 1):
        ledger.read(position, record)
    with pytest.raises(BrokenPromiseError, match=text):
        ledger.judge(1, len(records) + 1)


def test_position_that_is_used_again_is_noticed() -> None:
    ledger = Ledger()
    ledger.read(1, b"2:x")
    with pytest.raises(BrokenPromiseError, match="position 1 held"):
        ledger.read(1, b"2:y")
