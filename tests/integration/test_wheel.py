"""The built wheel: complete, and alone in owning its top-level names."""

import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"protocol", "rlog", "master", "agent", "schedulers", "observability"}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The files of a wheel built from this tree."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = target.glob("quorate-*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_wheel_holds_the_packages_and_nothing_else(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES


def test_wheel_holds_what_is_not_python(names: list[str]) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, check=True, capture_output=True, text=True
    )
    wanted = set(tracked.stdout.split())
    assert wanted - set(names) == set()
    assert {"protocol/values.capnp", "observability/alerts/quorate.yml"} <= wanted


def test_no_other_distribution_owns_the_names() -> None:
    owners = {
        (distribution.name, top)
        for distribution in importlib.metadata.distributions()
        for path in distribution.files or ()
        if (top := path.parts[0]) in PACKAGES
    }
    assert {name for name, _ in owners} <= {"quorate"}
