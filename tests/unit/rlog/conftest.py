"""What the tests of the loop share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from rlog.store import Store
from tests.unit.rlog.house import House
from tests.unit.rlog.store_bench import open_store


@pytest.fixture
def house() -> Iterator[House]:
    with capture_logs():
        house = House()
        yield house
        house.io.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = [open_store(tmp_path)]
    yield opened[0]
    opened[0].close()
