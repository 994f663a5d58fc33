"""What the collector looks through, and what it is kept from."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from rlog import garbage
from rlog.garbage import BIG_BYTES, Freezer, uncollected


class Ring:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _thaw() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_state_made_within_is_never_looked_through() -> None:
    looks: list[int] = []

    def count(phase: str, about: dict[str, int]) -> None:
        if phase == "start":
            looks.append(about["generation"])

    gc.callbacks.append(count)
    try:
        with uncollected(BIG_BYTES):
            state = [Ring() for _ in range(10_000)]
    finally:
        gc.callbacks.remove(count)
    assert (looks, gc.isenabled()) == ([], True)
    assert gc.get_freeze_count() >= len(state)


def test_small_state_is_left_to_the_collector() -> None:
    with uncollected(BIG_BYTES - 1):
        assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_collector_stays_off_for_who_had_it_off() -> None:
    gc.disable()
    try:
        with uncollected(BIG_BYTES):
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_garbage_made_after_a_freeze_is_collected() -> None:
    Freezer().freeze()
    ring = weakref.ref(Ring())
    gc.collect()
    assert ring() is None


def test_garbage_that_was_set_aside_is_collected_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "THAW_EVERY", 3)
    freezer, made = Freezer(), Ring()
    freezer.freeze()
    ring = weakref.ref(made)
    del made
    freezer.freeze()
    gc.collect()
    assert ring() is not None
    freezer.freeze()
    assert ring() is None
    assert gc.get_freeze_count() > 0
