"""Operators read what tasks wrote, and nothing beside it."""

import os
from pathlib import Path

import pytest

from agent.files import LENGTH_MAX, Unreadable, read_chunk
from agent.paths import Paths
from protocol.messages.operator import ReadFile


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(str(tmp_path))
    sandbox = paths.sandbox("f1", "t1", 3)
    (sandbox / "logs").mkdir(parents=True)
    (sandbox / "stdout").write_bytes(b"0123456789")
    (sandbox / "logs" / "a").write_bytes(b"a")
    return paths


def ask(file: str = "stdout", offset: int = 0, length: int = 100, task: str = "t1") -> ReadFile:
    return ReadFile(7, "f1", task, file, offset, length)


def test_read_gives_the_piece_and_the_size(paths: Paths) -> None:
    chunk = read_chunk(paths, ask(offset=2, length=3), 3)
    assert (chunk.call, chunk.content, chunk.size_bytes) == (7, b"234", 10)


def test_read_is_final_when_the_task_has_ended_and_nothing_is_left(paths: Paths) -> None:
    assert read_chunk(paths, ask(), 0).is_final
    assert not read_chunk(paths, ask(), 3).is_final
    assert not read_chunk(paths, ask(length=9), 0).is_final


def test_read_beyond_the_end_gives_nothing(paths: Paths) -> None:
    chunk = read_chunk(paths, ask(offset=2**63), 0)
    assert (chunk.content, chunk.is_final) == (b"", True)


def test_read_is_bounded(paths: Paths) -> None:
    (paths.sandbox("f1", "t1", 3) / "big").write_bytes(bytes(LENGTH_MAX + 1))
    assert len(read_chunk(paths, ask("big", length=2**31), 0).content) == LENGTH_MAX


def test_read_reaches_files_below(paths: Paths) -> None:
    assert read_chunk(paths, ask("logs/a"), 0).content == b"a"


@pytest.mark.parametrize(
    ("request_", "live", "reason"),
    [
        (ask(task="t2"), 0, "UNKNOWN_TASK"),
        (ask(task="../t1"), 0, "UNKNOWN_TASK"),
        (ask("missing"), 3, "UNKNOWN_FILE"),
        (ask("../t1.3/stdout"), 3, "BAD_FILE"),
        (ask("/etc/passwd"), 3, "BAD_FILE"),
        (ask("logs"), 3, "BAD_FILE"),
        (ask("pipe"), 3, "BAD_FILE"),
        (ask("link"), 3, "BAD_FILE"),
        (ask("up/secret"), 3, "BAD_FILE"),
    ],
)
def test_read_of_what_is_not_a_file_inside_is_refused(
    paths: Paths, request_: ReadFile, live: int, reason: str
) -> None:
    sandbox = paths.sandbox("f1", "t1", 3)
    os.mkfifo(sandbox / "pipe")
    (sandbox / "link").symlink_to("/etc/passwd")
    (sandbox / "up").symlink_to("..")
    with pytest.raises(Unreadable) as caught:
        read_chunk(paths, request_, live)
    assert caught.value.reason == reason


def test_output_that_is_not_there_yet_is_empty(paths: Paths) -> None:
    assert not read_chunk(paths, ask("stderr"), 3).is_final
    assert read_chunk(paths, ask("stderr"), 0).is_final


def test_output_of_an_earlier_launch_is_not_that_of_the_live_one(paths: Paths) -> None:
    chunk = read_chunk(paths, ask(), 4)
    assert (chunk.content, chunk.is_final) == (b"", False)
