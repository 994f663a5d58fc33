"""Which cluster a command finds when it is told little."""

import os
from pathlib import Path

import pytest

from master.ctl.target import (
    CommandError,
    Target,
    find_target,
    read_dev_file,
    remove_dev_file,
    write_dev_file,
)

DEV = Target(("127.0.0.1:7000", "127.0.0.1:7001"), "/tmp/dev/credentials")
DEAD_PID = 2**22 + 1  # above the highest pid there can be


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def test_target_is_what_was_named() -> None:
    assert find_target("a:1, b:2", "file", False) == Target(("a:1", "b:2"), "file")


def test_target_is_this_machines_master_unless_named() -> None:
    assert find_target("", "", True) == Target(("127.0.0.1:7000",), "", is_insecure=True)


def test_target_is_the_dev_cluster_while_it_runs() -> None:
    write_dev_file(DEV, os.getpid())
    assert find_target("", "", False) == DEV


def test_target_is_not_a_dev_cluster_that_is_gone() -> None:
    write_dev_file(DEV, DEAD_PID)
    assert find_target("", "", True).masters == ("127.0.0.1:7000",)


def test_target_of_a_dev_master_takes_its_credentials() -> None:
    write_dev_file(DEV, os.getpid())
    assert find_target("127.0.0.1:7001", "", False).credentials == DEV.credentials


def test_target_without_a_secret_says_how_to_give_one() -> None:
    with pytest.raises(CommandError, match="give --credentials FILE"):
        find_target("a:1", "", False)


def test_dev_file_that_is_damaged_counts_as_none() -> None:
    write_dev_file(DEV, os.getpid())
    Path("~/.quorate/dev.json").expanduser().write_text('{"pid": "x"')
    assert read_dev_file() is None


def test_dev_file_goes_away() -> None:
    write_dev_file(DEV, os.getpid())
    remove_dev_file()
    remove_dev_file()
    assert read_dev_file() is None
