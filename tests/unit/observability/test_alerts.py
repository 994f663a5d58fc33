"""The alert rules: accepted by promtool, and each fires when it should."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RULES = ROOT / "observability/alerts/quorate.yml"
CASES = Path(__file__).parent / "rules_test.yml"


def promtool() -> str:
    unpacked = ROOT / ".venv/debian/usr/bin/promtool"
    found = str(unpacked) if unpacked.is_file() else shutil.which("promtool")
    if not found:
        pytest.skip("promtool is absent: it is part of Debian's package prometheus")
    return found


def run(*arguments: str, cwd: Path) -> None:
    done = subprocess.run(
        [promtool(), *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_are_accepted_by_promtool(tmp_path: Path) -> None:
    run("check", "rules", str(RULES), cwd=tmp_path)


def test_rules_fire_as_told(tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path)
    shutil.copy(CASES, tmp_path)
    run("test", "rules", CASES.name, cwd=tmp_path)
