"""The demo as a newcomer meets it: with three masters, with one and no rights, interrupted."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.containerizer.isolation import name_tree
from tests.shell import NOBODY, Command, environment_in, processes_in, running_quorate

ROOT = Path(__file__).parents[2]
PACKAGES = Path(pytest.__file__).parents[1]
COLUMNS = 80
GROUPS = Path("/sys/fs/cgroup")
PROBE = "import capnp, lmdb, uvloop, master.ctl.demo"


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory that other users may reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="quorate-test-") as directory:
        Path(directory).chmod(0o755)
        inner = Path(directory) / "home"
        inner.mkdir()
        if os.geteuid() == 0:
            os.chown(inner, NOBODY, NOBODY)
        yield inner


def check_nothing_is_left(home: Path, demo: Command) -> None:
    """No process, no cgroup and no file of the demo."""
    assert processes_in(home, demo.process.pid) == []
    assert list(home.glob("quorate-demo-*")) == []
    for directory in re.findall(r"files in (\S+)", demo.said.replace("\n", " ")):
        for mount in ("", *os.listdir(GROUPS)):
            for name in (name_tree(f"{directory}/a1"), name_tree(f"{directory}/a2")):
                assert not (GROUPS / mount / "quorate" / name).exists()


def check_story(demo: Command, end: str) -> None:
    """Told to its end, and readable in 80 columns."""
    lines = demo.said.splitlines()
    assert [line for line in lines if len(line) > COLUMNS] == []
    assert lines[-4].startswith("Summary ─")
    assert re.fullmatch(end, lines[-3])
    assert lines[-2] == "All 3 tasks ran on with the same pids; every exit status is known."
    assert re.match(r"The demo took \d+ s\.", lines[-1])


def test_demo_shows_that_a_leader_may_die(home: Path) -> None:
    with running_quorate(home, "demo") as demo:
        assert demo.wait() == 0, demo.said
        check_story(
            demo, r"The cluster had a new leader [\d.]+ s after its leading master was killed\."
        )
        assert "hello from the new leader" in demo.said
        check_nothing_is_left(home, demo)


def test_demo_that_is_interrupted_leaves_nothing(home: Path) -> None:
    with running_quorate(home, "demo") as demo:
        demo.wait_for_text("counting as pid")
        assert demo.interrupt() == 130
        assert demo.said.splitlines()[-1] == "interrupted: ending everything"
        check_nothing_is_left(home, demo)


def test_demo_whose_reader_leaves_cleans_up(home: Path) -> None:
    readable, writable = os.pipe()
    with running_quorate(home, "demo", "--masters", "1", stdout=writable) as demo:
        os.close(writable)
        with open(readable) as reader:
            assert any("counting as pid" in line for line in reader)
        assert demo.wait() == 1
        check_nothing_is_left(home, demo)
        assert demo.said == ""


def test_demo_with_one_master_and_no_rights_says_what_is_reduced(home: Path) -> None:
    python, user, missing = sys.executable, None, ""
    if os.geteuid() == 0:
        python, missing = find_python_for_all(home)
        user = None if missing else NOBODY
    with running_quorate(home, "demo", "--masters", "1", python=python, user=user) as demo:
        assert demo.wait() == 0, demo.said
        check_story(demo, r"The cluster was back [\d.]+ s after its leading master was killed\.")
        check_nothing_is_left(home, demo)
        if missing:
            pytest.skip(f"only tried as root: {missing}")
        assert "Reduced: tasks see all processes and mounts: " in demo.said
        assert "As root (or with delegated cgroups) agents enforce more.\n" in demo.said


def find_python_for_all(home: Path) -> tuple[str, str]:
    """Return an interpreter that every user may run and that finds our packages, or why not."""
    if may_run(sys.executable, home):
        return sys.executable, ""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    system = shutil.which(version, path="/usr/bin:/usr/local/bin")
    if system is None:
        return sys.executable, f"others may not run {sys.executable}, and have no {version}"
    place = home.parent / "python"
    made = subprocess.run(
        [system, "-m", "venv", "--without-pip", place], capture_output=True, check=False
    )
    if made.returncode:
        return sys.executable, f"others may not run {sys.executable}; {system} has no venv"
    packages = place / "lib" / version / "site-packages"
    (packages / "found.pth").write_text(f"{PACKAGES}\n{ROOT}\n")
    found = str(place / "bin" / "python")
    if not may_run(found, home):
        return sys.executable, f"others may not read {PACKAGES} or {ROOT}, or {system} differs"
    return found, ""


def may_run(python: str, home: Path) -> bool:
    try:
        ran = subprocess.run(
            [python, "-P", "-c", PROBE],
            env=environment_in(home),
            cwd="/",
            user=NOBODY,
            group=NOBODY,
            extra_groups=(),
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return ran.returncode == 0
