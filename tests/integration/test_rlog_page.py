"""The page about the log by itself: what it shows is short, has right types, and works."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mypy import api

from master.ctl.children import free_ports

PAGE = Path(__file__).parents[2] / "docs" / "rlog.md"
PORTS = ("7101", "7102", "7103")
LINES_MAX = {"sh": 20, "python": 32}
SCRIPT_S_MAX = 200.0  # only ever spent by a test that fails


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def play(script: str, directory: Path) -> str:
    """Return what a script of the page prints, run as its reader would, on ports that are free."""
    directory.mkdir(exist_ok=True)
    for port, free in zip(PORTS, free_ports(len(PORTS)), strict=True):
        script = script.replace(port, str(free))
    (directory / "leader.py").write_text(blocks("python")[0])
    for name, words in (("quorate", "-m master.ctl"), ("python3", "")):
        path = directory / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        path.chmod(0o755)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("QUORATE_")},
        "HOME": str(directory),
        "PATH": f"{directory}:{os.environ['PATH']}",
        "PYTHONPATH": str(PAGE.parents[1]),
    }
    output = directory / "printed"
    with output.open("wb") as printed, (directory / "said").open("wb") as said:
        shell = subprocess.Popen(
            ["bash", "-m", "-eu", "-o", "pipefail", "-c", script],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=said,
            start_new_session=True,
        )
    try:
        status = shell.wait(SCRIPT_S_MAX)
        assert status == 0, output.read_text() + (directory / "said").read_text()[-4000:]
    finally:
        end_session(shell.pid)
        shell.wait()
    return output.read_text()


def end_session(session: int) -> None:
    """Kill what a script has left running: each of its jobs has a process group of its own."""
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                if os.getsid(int(entry)) == session:
                    os.kill(int(entry), signal.SIGKILL)
            except ProcessLookupError:
                continue


@pytest.mark.parametrize("language", ["sh", "python"])
def test_both_uses_are_short(language: str) -> None:
    found = blocks(language)
    assert found
    assert [
        len(each.splitlines()) for each in found if each.count("\n") > LINES_MAX[language]
    ] == []


def test_program_has_right_types(tmp_path: Path) -> None:
    path = tmp_path / "leader.py"
    path.write_text(blocks("python")[0])
    found, trouble, status = api.run(["--strict", "--follow-imports=silent", str(path)])
    assert (status, trouble) == (0, ""), found


def test_one_process_does_what_the_page_says(tmp_path: Path) -> None:
    printed = play(blocks("sh")[0], tmp_path / "one").splitlines()
    assert printed[:2] == ["1", "2"]
    assert printed[3].split()[:3] == ["greeting", "2", "12"]
    assert printed[4:6] == ["1", "it began"]
    assert "entry" in printed[6]


def test_three_processes_do_what_the_page_says(tmp_path: Path) -> None:
    printed = play(blocks("sh")[1], tmp_path / "three")
    assert "second did job-2" in printed
