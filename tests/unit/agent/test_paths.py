"""Paths stay inside."""

import os
from pathlib import Path

import pytest

from agent.paths import Paths, open_inside, split_inside


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "..", "a/../../b", "a/..", ".", "/", "a\0b", "a/" * 65 + "b"]
)
def test_name_that_leads_out_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        split_inside(name)


def test_name_is_split_without_what_means_nothing() -> None:
    assert split_inside("./a//b/") == ("a", "b")


def test_file_behind_a_link_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "secret")
    (inside / "directory").symlink_to(tmp_path)
    root = os.open(inside, os.O_RDONLY)
    for parts in (("link",), ("directory", "secret")):
        with pytest.raises(OSError):
            open_inside(root, parts, os.O_RDONLY)
    os.close(root)


def test_newest_sandbox_is_that_of_the_highest_launch(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    for task, launch in (("t1", 9), ("t1", 10), ("t1.10", 11), ("t2", 12)):
        paths.sandbox("f1", task, launch).mkdir(parents=True)
    newest = paths.newest_sandbox("f1", "t1")
    assert newest is not None
    assert newest.launch == 10


def test_newest_sandbox_of_an_impossible_id_is_none(tmp_path: Path) -> None:
    (tmp_path / "sandboxes").mkdir()
    (tmp_path / "t.1").mkdir()
    assert Paths(str(tmp_path)).newest_sandbox("..", "t") is None


def test_all_sandboxes_ignores_what_it_did_not_make(tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    paths.sandbox("f1", "t1", 1).mkdir(parents=True)
    (tmp_path / "sandboxes" / "f1" / "other").mkdir()
    (tmp_path / "sandboxes" / "file").touch()
    assert [sandbox.launch for sandbox in paths.all_sandboxes()] == [1]
