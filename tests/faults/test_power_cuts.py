"""A few power cuts; more of them: `python -m tests.faults.power_cuts --cuts 50`."""

import random
import shutil
from pathlib import Path

import pytest

from tests.faults import uml
from tests.faults.power_cuts import torment

CUTS = 3

pytestmark = pytest.mark.skipif(
    not uml.KERNEL.exists() or shutil.which("mkfs.ext4") is None,
    reason=f"needs mkfs.ext4 and {uml.KERNEL} (Debian package user-mode-linux)",
)


def test_power_cuts_lose_and_repeat_nothing_acknowledged(tmp_path: Path) -> None:
    seed = random.Random().randrange(10**6)
    print(f"seed {seed}")
    assert torment(tmp_path, CUTS, seed).held > 0


def test_a_log_without_fsync_does_not_survive_them(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"are lost|ended with status"):
        torment(tmp_path, CUTS, 1, is_forgetful=True)
