"""What main makes of the machine it finds itself on."""

import os
from pathlib import Path

import pytest

from agent.config import AgentConfig
from agent.main import WorkDirInUse, detect, lock_work_dir
from agent.paths import Paths
from protocol.resources import parse_resources


def test_what_was_left_out_is_detected(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    found = detect(AgentConfig(insecure=True, work_dir=str(tmp_path)), paths)
    assert found.hostname
    assert found.boot_id
    assert found.advertise == "127.0.0.1"
    assert parse_resources(found.resources).scalars["cpus"] > 0


def test_what_was_given_stays(tmp_path: Path) -> None:
    given = AgentConfig(insecure=True, hostname="h", boot_id="b", advertise="a", resources="cpus:1")
    assert detect(given, Paths(str(tmp_path))) == given


def test_work_dir_in_use_names_the_process_that_has_it(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path / "deep" / "work"))
    lock = lock_work_dir(paths)
    with pytest.raises(WorkDirInUse, match=str(os.getpid())):
        lock_work_dir(paths)
    os.close(lock)
    os.close(lock_work_dir(paths))
