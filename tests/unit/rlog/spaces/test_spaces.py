"""Spaces: what is stored under which conditions, who holds what, what watchers are told."""

import random
from dataclasses import replace
from typing import Any

import pytest

from protocol.decision import Refused
from rlog.spaces import changes, journals, leases
from rlog.spaces.invariants import check
from rlog.spaces.messages import (
    AcquireLease,
    Change,
    Changes,
    Condition,
    DescribeSpace,
    Fence,
    Fetch,
    Fetched,
    JournalClaimed,
    JournalTruncated,
    LeaseAcquired,
    LeaseEnded,
    ListNames,
    Names,
    ReadChanges,
    RecordsAppended,
    ReleaseLease,
    RemoveSpace,
    RenewLease,
    SpaceChanged,
    SpaceDescribed,
    SpaceOpened,
    SpaceRemoved,
    Transact,
)
from rlog.spaces.records import (
    HISTORY_MAX,
    SECOND_NS,
    TOKENS_FORGOTTEN,
    TOKENS_MAX,
    SpaceLimits,
    SpaceReason,
    Spaces,
    skip_revisions,
)
from rlog.spaces.views import BYTES_MAX, NAMES_MAX, view

APPLY: dict[type, Any] = {
    SpaceOpened: changes.apply_opened,
    SpaceChanged: changes.apply_changed,
    SpaceRemoved: leases.apply_removed,
    LeaseAcquired: leases.apply_acquired,
    LeaseEnded: leases.apply_ended,
    JournalClaimed: journals.apply_claimed,
    RecordsAppended: journals.apply_appended,
    JournalTruncated: journals.apply_truncated,
}


class House:
    """Spaces that are decided upon and folded at once, and checked after each event."""

    def __init__(self, limits: SpaceLimits | None = None) -> None:
        self.spaces, self.limits = Spaces(), limits or SpaceLimits()

    def fold(self, *events: Any) -> None:
        for event in events:
            APPLY[type(event)](self.spaces, event)
            check(self.spaces)

    def transact(self, call: Transact, principal: str = "p") -> int | SpaceReason:
        found = changes.decide_transact(self.spaces, call, principal, self.limits)
        if isinstance(found, Refused):
            return _reason(found)
        self.fold(*found[0])
        return found[1]

    def store(self, key: str, value: bytes = b"v", **how: Any) -> int | SpaceReason:
        change = Change(key, value, lease=how.pop("lease", ""))
        return self.transact(Transact(1, "s", changes=(change,), **how))

    def acquire(self, holder: str, name: str = "lead", ttl_ns: int = SECOND_NS) -> Any:
        call = AcquireLease(1, "s", name, holder, ttl_ns)
        found = leases.decide_acquire(self.spaces, call, "p", self.limits)
        if isinstance(found, Refused):
            return _reason(found)
        self.fold(*found[0])
        return found[1]

    def fetch(self, *keys: str) -> dict[str, tuple[bytes, int]]:
        found = view(self.spaces, Fetch(1, "s", keys), "p")
        assert isinstance(found, Fetched)
        return {item.key: (item.value, item.version) for item in found.items}

    def changes(self, after: int, prefix: str = "") -> Changes | SpaceReason:
        found = view(self.spaces, ReadChanges(1, "s", prefix, after), "p")
        if isinstance(found, Refused):
            return _reason(found)
        assert isinstance(found, Changes)
        return found


def _reason(refused: Refused) -> SpaceReason:
    assert isinstance(refused.reason, SpaceReason)
    assert refused.text
    return refused.reason


@pytest.fixture
def house() -> House:
    return House()


def test_stored_value_has_the_revision_that_wrote_it(house: House) -> None:
    assert [house.store("a", b"1"), house.store("b", b"2"), house.store("a", b"3")] == [1, 2, 3]
    assert house.fetch("a", "b", "c") == {"a": (b"3", 3), "b": (b"2", 2)}


@pytest.mark.parametrize(("version", "outcome"), [(0, 1), (1, SpaceReason.CONFLICT)])
def test_condition_on_a_key_that_is_not_there(
    house: House, version: int, outcome: int | SpaceReason
) -> None:
    assert house.store("a", conditions=(Condition("a", version),)) == outcome


def test_all_changes_happen_or_none(house: House) -> None:
    house.store("a", b"1")
    both = (Change("a", b"2"), Change("b", b"2"))
    stale = Transact(1, "s", conditions=(Condition("a", 9),), changes=both)
    assert house.transact(stale) is SpaceReason.CONFLICT
    assert house.fetch("a", "b") == {"a": (b"1", 1)}
    assert house.transact(replace(stale, conditions=(Condition("a", 1),))) == 2
    assert house.fetch("a", "b") == {"a": (b"2", 2), "b": (b"2", 2)}


def test_transaction_told_again_is_answered_as_before(house: House) -> None:
    once = Transact(1, "s", "token", (Condition("a", 0),), changes=(Change("a", b"1"),))
    assert house.transact(once) == 1
    house.store("b")
    assert house.transact(once) == 1
    assert house.fetch("a") == {"a": (b"1", 1)}


def test_tokens_are_forgotten_oldest_first(house: House) -> None:
    house.store("a")
    for number in range(TOKENS_MAX + 1):
        changes.apply_changed(house.spaces, SpaceChanged("s", f"t{number}"))
    house.fold()
    tokens = house.spaces.by_name["s"].tokens
    kept = TOKENS_MAX + 1 - TOKENS_FORGOTTEN
    oldest, forgotten = f"t{TOKENS_FORGOTTEN}", f"t{TOKENS_FORGOTTEN - 1}"
    assert (len(tokens), next(iter(tokens)), forgotten in tokens) == (kept, oldest, False)


def test_key_changed_twice_at_once_is_refused(house: House) -> None:
    twice = Transact(1, "s", changes=(Change("a", b"1"), Change("a", is_expunged=True)))
    assert house.transact(twice) is SpaceReason.CONFLICT


def test_expunged_key_is_gone_and_its_versions_are_not_reused(house: House) -> None:
    house.store("a")
    assert house.transact(Transact(1, "s", changes=(Change("a", is_expunged=True),))) == 2
    assert house.fetch("a") == {}
    assert house.store("a", conditions=(Condition("a", 0),)) == 3


def test_space_is_its_owners_alone(house: House) -> None:
    house.store("a")
    change = Transact(1, "s", changes=(Change("a", b"mine"),))
    assert house.transact(change, "q") is SpaceReason.OTHER_OWNER
    for request in (Fetch(1, "s", ("a",)), ListNames(1, "s"), ReadChanges(1, "s")):
        found = view(house.spaces, request, "q")
        assert isinstance(found, Refused)
        assert found.reason is SpaceReason.OTHER_OWNER


def test_space_that_was_removed_begins_above_what_it_was(house: House) -> None:
    house.store("a")
    token = house.acquire("me")
    removed = leases.decide_remove(house.spaces, RemoveSpace(1, "s"), "p")
    assert not isinstance(removed, Refused)
    house.fold(*removed)
    assert house.fetch("a") == {}
    assert house.acquire("me") > token
    found = leases.decide_remove(house.spaces, RemoveSpace(1, "t"), "p")
    assert isinstance(found, Refused)
    assert found.reason is SpaceReason.UNKNOWN_SPACE


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"keys_max": 2}, SpaceReason.OVER_QUOTA),
        ({"bytes_max": 9}, SpaceReason.OVER_QUOTA),
        ({"value_bytes_max": 2}, SpaceReason.OVER_QUOTA),
        ({"transaction_bytes_max": 3}, SpaceReason.OVER_QUOTA),
        ({"changes_max": 0}, SpaceReason.TOO_MANY),
        ({"spaces_max": 0}, SpaceReason.TOO_MANY),
        ({"name_chars_max": 0}, SpaceReason.BAD_NAME),
    ],
)
def test_everything_is_bounded(limits: dict[str, int], reason: SpaceReason) -> None:
    house = House(replace(SpaceLimits(), **limits))
    outcomes = [house.store(key, b"abc") for key in ("a", "b", "c")]
    assert outcomes[-1] is reason


def test_full_space_still_takes_what_makes_it_smaller() -> None:
    house = House(replace(SpaceLimits(), keys_max=3))
    for key in "abc":
        house.store(key)
    house.limits = replace(house.limits, keys_max=1)
    assert house.store("a", b"x") == 4
    assert house.store("d") is SpaceReason.OVER_QUOTA
    assert house.transact(Transact(1, "s", changes=(Change("a", is_expunged=True),))) == 5


def test_lease_has_one_holder_and_its_tokens_grow(house: House) -> None:
    token = house.acquire("me")
    assert house.acquire("you") is SpaceReason.HELD
    assert house.acquire("me") == token
    house.fold(LeaseEnded("s", "lead"))
    assert house.acquire("you") > token


def test_change_behind_a_fence_needs_the_lease(house: House) -> None:
    old = house.acquire("me")
    fenced: dict[str, Any] = {"fences": (Fence("lead", old),)}
    assert isinstance(house.store("a", **fenced), int)
    house.fold(LeaseEnded("s", "lead"))
    assert house.store("a", b"late", **fenced) is SpaceReason.FENCED
    house.acquire("you")
    assert house.store("a", b"later", **fenced) is SpaceReason.FENCED
    assert house.fetch("a")["a"][0] == b"v"


def test_keys_of_a_lease_end_with_it(house: House) -> None:
    house.acquire("me")
    house.store("mine", lease="lead")
    house.store("kept")
    house.fold(LeaseEnded("s", "lead"))
    assert list(house.fetch("mine", "kept")) == ["kept"]
    assert house.store("late", lease="lead") is SpaceReason.FENCED


def test_lease_is_renewed_and_released_under_its_token_alone(house: House) -> None:
    token = house.acquire("me")
    for wrong in (0, token + 1):
        renewed = leases.decide_renew(house.spaces, RenewLease(1, "s", "lead", wrong), "p")
        released = leases.decide_release(house.spaces, ReleaseLease(1, "s", "lead", wrong), "p")
        assert isinstance(renewed, Refused)
        assert isinstance(released, Refused)
        assert (renewed.reason, released.reason) == (SpaceReason.FENCED,) * 2
    assert not isinstance(
        leases.decide_renew(house.spaces, RenewLease(1, "s", "lead", token), "p"), Refused
    )


@pytest.mark.parametrize("ttl_ns", [0, -1, SECOND_NS // 100, 10**18])
def test_lease_lives_for_a_bounded_time(house: House, ttl_ns: int) -> None:
    assert house.acquire("me", ttl_ns=ttl_ns) is SpaceReason.BAD_DURATION


def test_changes_are_told_once_in_order_and_without_a_gap(house: House) -> None:
    for number in range(5):
        house.store(f"k{number % 2}", b"%d" % number)
    found = house.changes(2)
    assert isinstance(found, Changes)
    assert [(r.number, r.changes[0].value) for r in found.revisions] == [
        (3, b"2"),
        (4, b"3"),
        (5, b"4"),
    ]
    assert found.revision == 5


def test_changes_of_other_keys_move_the_cursor_alone(house: House) -> None:
    house.store("a1")
    house.store("b1")
    found = house.changes(0, "a")
    assert isinstance(found, Changes)
    assert [revision.number for revision in found.revisions] == [1]
    assert found.revision == 2


def test_changes_too_long_ago_are_said_to_be_gone(house: House) -> None:
    for number in range(HISTORY_MAX + 2):
        house.store("a", b"%d" % number)
    assert house.changes(1) is SpaceReason.COMPACTED
    found = house.changes(2)
    assert isinstance(found, Changes)
    assert found.revisions[0].number == 3


def test_cursor_from_a_lost_log_is_told_to_read_anew(house: House) -> None:
    house.store("a")
    before = house.acquire("me")
    skip_revisions(house.spaces, 1000)
    check(house.spaces)
    assert house.changes(before + 5) is SpaceReason.COMPACTED
    assert house.store("b") == before + 1001


def test_long_lists_and_big_values_come_in_parts(house: House) -> None:
    for number in range(NAMES_MAX + 1):
        house.store(f"{number:05}")
    found = view(house.spaces, ListNames(1, "s"), "p")
    assert isinstance(found, Names)
    assert (len(found.names), found.is_more) == (NAMES_MAX, True)
    keys = [f"big{number}" for number in range(4)]
    for key in keys:
        house.store(key, bytes(BYTES_MAX // 2 - 100))
    fetched = view(house.spaces, Fetch(1, "s", ("none", *keys)), "p")
    assert isinstance(fetched, Fetched)
    assert (len(fetched.items), fetched.considered) == (2, 3)


def test_space_tells_who_holds_leases_and_writes_journals(house: House) -> None:
    token = house.acquire("me")
    found = view(house.spaces, DescribeSpace(1, "s"), "p")
    assert isinstance(found, SpaceDescribed)
    assert [(lease.name, lease.holder, lease.token) for lease in found.leases] == [
        ("lead", "me", token)
    ]
    assert found.journals == ()


def test_description_of_a_space_with_many_long_names_is_cut(house: House) -> None:
    house.acquire("me")
    [lease] = house.spaces.by_name["s"].leases.values()
    house.spaces.by_name["s"].leases = {f"{number:0512}": lease for number in range(500)}
    found = view(house.spaces, DescribeSpace(1, "s"), "p")
    assert isinstance(found, SpaceDescribed)
    assert 0 < len(found.leases) < 200


@pytest.mark.parametrize("seed", range(20))
def test_space_is_what_a_dictionary_would_be(seed: int) -> None:
    rng, house = random.Random(seed), House()
    model: dict[str, tuple[bytes, int]] = {}
    told: dict[str, bytes] = {}
    cursor = revision = 0
    for _ in range(200):
        key, version = rng.choice("abcde"), rng.choice((None, 0, revision))
        is_expunged, value = rng.random() < 0.3, rng.randbytes(3)
        held = model.get(key, (b"", 0))[1]
        conditions = () if version is None else (Condition(key, version),)
        change = Change(key, b"" if is_expunged else value, is_expunged)
        outcome = house.transact(Transact(1, "s", conditions=conditions, changes=(change,)))
        if version not in (None, held):
            assert outcome is SpaceReason.CONFLICT
            continue
        revision += 1
        assert outcome == revision
        model.pop(key, None)
        if not is_expunged:
            model[key] = (value, revision)
        assert house.fetch(*"abcde") == model
        if rng.random() < 0.2:
            found = house.changes(cursor)
            assert isinstance(found, Changes)
            cursor = found.revision
            for each in (c for r in found.revisions for c in r.changes):
                told.pop(each.key, None)
                if not each.is_expunged:
                    told[each.key] = each.value
            assert told == {key: value for key, (value, _) in model.items()}
