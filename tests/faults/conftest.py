"""How long faults last: a moment in every run of the tests, as in the field with `--long`."""

from dataclasses import dataclass

import pytest


@dataclass(frozen=True, slots=True)
class Lasting:
    """The lengths and numbers of faults."""

    divided_s: float  # several election timeouts
    whole_s: float  # between two divisions
    divisions: int  # of each shape
    flaps: int
    stopped_s: tuple[float, ...]  # shorter and longer than it takes to elect another
    leaders_killed: int


BRIEF = Lasting(3.0, 0.0, 2, 25, (1.0, 4.0), 5)
LONG = Lasting(200.0, 200.0, 1, 1500, (1.0, 5.0, 30.0), 50)


@pytest.fixture
def lasting(request: pytest.FixtureRequest) -> Lasting:
    return LONG if request.config.getoption("--long") else BRIEF
