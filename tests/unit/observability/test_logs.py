"""Logs: every line in the chosen form, foreign libraries' lines too."""

import json
import subprocess
import sys

import pytest

from observability.logs import configure

SPEAK = """
import logging, structlog
from observability.logs import configure
configure("json")
structlog.get_logger().info("task started", task="t1")
logging.getLogger("foreign").warning("a warning of %s", "theirs")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("it failed")
"""


def test_every_json_line_is_json() -> None:
    said = subprocess.run([sys.executable, "-c", SPEAK], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in said.stderr.splitlines()]
    events = [(line["level"], line["event"]) for line in lines]
    assert events == [
        ("info", "task started"),
        ("warning", "a warning of theirs"),
        ("error", "it failed"),
    ]
    assert "ZeroDivisionError" in lines[2]["exception"]


@pytest.mark.parametrize(("log_format", "level"), [("xml", "info"), ("json", "loud")])
def test_unknown_format_or_level_is_named(log_format: str, level: str) -> None:
    with pytest.raises(ValueError, match=r"'xml'|'loud'"):
        configure(log_format, level)
