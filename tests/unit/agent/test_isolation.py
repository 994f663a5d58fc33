"""Isolation: what is missing is said in a sentence."""

import errno
import os

import pytest

from agent.containerizer.isolation import explain_no_groups

ROOT = "/sys/fs/cgroup"


@pytest.mark.parametrize(
    ("number", "path", "text"),
    [
        (errno.EACCES, f"{ROOT}/cpu/quorate", f"this user may not make groups in {ROOT}/cpu"),
        (errno.EACCES, f"{ROOT}/cpu/quorate/0f", f"this user may not make groups in {ROOT}/cpu"),
        (
            errno.EPERM,
            f"{ROOT}/cgroup.subtree_control",
            f"this user may not make groups in {ROOT}",
        ),
        (errno.EROFS, f"{ROOT}/cpu/quorate", f"{ROOT}/cpu is mounted read-only"),
        (
            errno.ENOSPC,
            f"{ROOT}/quorate",
            f"no groups can be made in {ROOT}: no space left on device",
        ),
    ],
)
def test_groups_that_cannot_be_made_are_explained(number: int, path: str, text: str) -> None:
    assert explain_no_groups(OSError(number, os.strerror(number), path)) == text


def test_trouble_without_a_place_is_told_as_it_is() -> None:
    error = OSError(errno.EBUSY, "Device or resource busy")
    assert explain_no_groups(error) == "Device or resource busy"
