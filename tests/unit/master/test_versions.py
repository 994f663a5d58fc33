"""The log of every version so far is read, and what is new since a release says so."""

from typing import get_args

import pytest

from master.core import invariants, versions
from master.core.events import Event
from master.core.snapshot import digest, load
from tests.unit.master.recording import DIRECTORY, RELEASED, fold, made_of, recorded, schema

VERSIONS = sorted(int(path.stem) for path in DIRECTORY.glob("*.json"))


def test_every_version_is_recorded() -> None:
    """`python -m tests.unit.master.recording` does it."""
    assert list(range(1, versions.VERSION + 1)) == VERSIONS
    assert RELEASED <= versions.VERSION


@pytest.mark.parametrize("version", VERSIONS)
def test_schema_only_grows(version: int) -> None:
    """Members keep their place on the wire, and new ones come after them."""
    now = schema()
    for noun, members in recorded(version)["schema"].items():
        assert now[noun][: len(members)] == members, noun


@pytest.mark.parametrize("version", VERSIONS)
def test_log_of_a_version_is_read(version: int) -> None:
    log = [bytes.fromhex(entry) for entry in recorded(version)["log"]]
    for count in range(len(log) + 1):
        invariants.check(fold(log[:count]))


@pytest.mark.parametrize("version", VERSIONS)
def test_snapshot_of_a_version_is_the_log_it_stands_for(version: int) -> None:
    written = recorded(version)
    log = [bytes.fromhex(entry) for entry in written["log"]]
    loaded = load(bytes.fromhex(written["snapshot"]["content"]))
    invariants.check(loaded)
    assert digest(loaded) == digest(fold(log[: written["snapshot"]["entries"]]))


def unsaid(released: dict[str, list[str]]) -> list[str]:
    """Return the events that have grown since a release, and do not say which version they need."""
    return [
        event.__name__
        for event in get_args(Event)
        if event not in versions.SINCE
        and any(released.get(noun) != now for noun, now in made_of(event.__name__).items())
    ]


def test_event_that_has_grown_since_the_release_says_which_version_it_needs() -> None:
    """Or a master of before would drop what it lacks, and hold another state than the rest."""
    assert not RELEASED or unsaid(recorded(RELEASED)["schema"]) == []


def test_growth_is_noticed_at_any_depth() -> None:
    released = schema()
    assert unsaid(released) == []
    del released["master/events.capnp:WeightSet"]
    released["protocol/values.capnp:Quantity"].pop()
    assert {"WeightSet", "QuotaSet"} <= set(unsaid(released))
