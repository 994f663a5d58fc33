"""How all tests run: alike every time, with no timing asserted and no logging left changed."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile(
    "quorate", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("quorate")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long",
        action="store_true",
        help="let faults last, and be repeated, as long as in the field: 45 minutes more",
    )


@pytest.fixture(autouse=True)
def unchanged_logging() -> Iterator[None]:
    """What a test or the program under test makes of logging ends with it."""
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
