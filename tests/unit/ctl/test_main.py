"""The command line: what it offers, and how it says no."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from master.ctl.become import _own_words

COMMANDS = (
    "ps", "agents", "frameworks", "offers", "masters", "roles", "weight", "quota", "explain",
    "kill", "teardown", "logs", "master", "agent", "run", "dev", "demo",
)  # fmt: skip
HEAVY = ("uvloop", "capnp", "asyncio", "lmdb", "msgspec", "structlog")


def quorate(*arguments: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("QUORATE_")}
    environment = {**kept, "COLUMNS": "80", "HOME": str(home or "/nowhere")}
    return subprocess.run(
        [sys.executable, "-m", "master.ctl", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=90,
        check=False,
    )


def test_help_names_every_command() -> None:
    listed = {line.strip("│ ").split(" ")[0] for line in quorate("--help").stdout.splitlines()}
    assert set(COMMANDS) <= listed


def test_help_imports_nothing_heavy() -> None:
    code = f"""
import sys
sys.argv = ["quorate", "--help"]
from master.ctl.main import main
try:
    main()
except SystemExit:
    sys.exit(sorted(set({HEAVY!r}) & set(sys.modules)) or 0)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_misuse_ends_with_status_2() -> None:
    ran = quorate("weight", "web", "heavy")
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr


def test_missing_secret_is_one_line_with_status_2(tmp_path: Path) -> None:
    ran = quorate("ps", home=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("quorate: no secret for 127.0.0.1:7000: give --credentials")
    assert ran.stderr.count("\n") == 1


def test_address_that_is_none_is_named_with_status_2(tmp_path: Path) -> None:
    ran = quorate("ps", "--insecure", "--masters", "here", home=tmp_path)
    assert (ran.returncode, ran.stderr) == (
        2, "quorate: --masters: 'here' is not an address; expected host:port\n"
    )  # fmt: skip


def test_masters_that_do_not_answer_are_named(tmp_path: Path) -> None:
    ran = quorate("ps", "--insecure", "--masters", "127.0.0.1:9", home=tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.startswith("quorate: no master answered at 127.0.0.1:9")


def test_silent_masters_are_listed_as_unreachable(tmp_path: Path) -> None:
    ran = quorate("masters", "--insecure", "--masters", "127.0.0.1:9", home=tmp_path)
    assert "127.0.0.1:9  unreachable" in ran.stdout
    assert ran.stderr.startswith("quorate: no master leads")
    assert ran.returncode == 1


@pytest.mark.parametrize(
    ("words", "own"),
    [
        (["echo", "--masters", "x"], []),
        (["--", "echo", "--masters=x"], []),
        (["-n", "2", "--cpus=1", "--", "--masters", "x"], ["-n", "2", "--cpus=1"]),
        (["--masters", "m:1", "--", "true"], ["--masters", "m:1"]),
        (["--masters=m:1", "true"], ["--masters=m:1"]),
    ],
)
def test_options_of_the_users_command_are_not_ours(words: list[str], own: list[str]) -> None:
    assert _own_words(words) == own
