"""Volumes on disk."""

import os
from pathlib import Path

import pytest

from agent.containerizer.binds import attach
from agent.paths import Paths
from agent.volumes import TooMuchInside, make_volume, measure, wipe_volume
from protocol.messages.values import Volume

DATA = Volume("data", 3, size_bytes=1 << 20)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(str(tmp_path))


def test_making_twice_keeps_what_is_inside(paths: Paths) -> None:
    make_volume(paths, DATA)
    (paths.volume("data", 3) / "file").write_text("kept")
    make_volume(paths, DATA)
    assert (paths.volume("data", 3) / "file").read_text() == "kept"
    assert os.stat(paths.volumes).st_mode & 0o777 == 0o700


def test_volume_is_not_made_smaller_than_what_is_inside(paths: Paths) -> None:
    make_volume(paths, DATA)
    inner = paths.volume("data", 3) / "sub"
    inner.mkdir()
    (inner / "file").write_bytes(b"x" * 100_000)
    used_bytes = measure(str(paths.volume("data", 3)))
    assert used_bytes >= 100_000
    make_volume(paths, Volume("data", 3, size_bytes=used_bytes))
    with pytest.raises(TooMuchInside):
        make_volume(paths, Volume("data", 3, size_bytes=used_bytes - 1))


def test_wiping_leaves_nothing_and_may_be_repeated(paths: Paths) -> None:
    make_volume(paths, DATA)
    (paths.volume("data", 3) / "file").write_text("secret")
    outside = paths.work_dir / "outside"
    outside.write_text("not ours")
    (paths.volume("data", 3) / "link").symlink_to(outside)
    wipe_volume(paths, "data", 3)
    wipe_volume(paths, "data", 3)
    assert os.listdir(paths.volumes) == []
    assert outside.read_text() == "not ours"


def test_wiping_goes_on_where_it_was_cut_short(paths: Paths) -> None:
    make_volume(paths, DATA)
    os.rename(paths.volume("data", 3), paths.volumes / ".wiped.3")
    wipe_volume(paths, "data", 3)
    assert os.listdir(paths.volumes) == []


def test_shared_volume_may_be_written_by_all(paths: Paths) -> None:
    make_volume(paths, Volume("logs", 4, size_bytes=1, is_shared=True))
    assert os.stat(paths.volume("logs", 4)).st_mode & 0o7777 == 0o1777


def test_volume_appears_in_the_sandbox_without_mounts(tmp_path: Path) -> None:
    sandbox, volume = tmp_path / "sandbox", tmp_path / "volume"
    sandbox.mkdir()
    volume.mkdir()
    attach(str(sandbox), [(str(volume), "var/lib/data", False)], False, None)
    (sandbox / "var" / "lib" / "data" / "file").write_text("here")
    assert (volume / "file").read_text() == "here"


@pytest.mark.parametrize("path", ["data/x", "data"])
def test_links_in_the_sandbox_lead_no_volume_astray(tmp_path: Path, path: str) -> None:
    sandbox, volume, elsewhere = tmp_path / "sandbox", tmp_path / "volume", tmp_path / "elsewhere"
    for directory in (sandbox, volume, elsewhere):
        directory.mkdir()
    (sandbox / "data").symlink_to(elsewhere)
    with pytest.raises(OSError):
        attach(str(sandbox), [(str(volume), path, False)], False, None)
    assert os.listdir(elsewhere) == []


def test_read_only_without_mounts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermissionError):
        attach(str(tmp_path), [(str(tmp_path), "data", True)], False, None)
