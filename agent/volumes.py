"""Volumes on disk: directories that outlive tasks, made and deleted so that twice does no harm.

`<work_dir>/volumes/<id>.<number>/` belongs to the user of the task that has it mounted; one that is
shared may be written by all who have. What is being deleted has another name from the first moment.
"""

import os
import shutil

from agent.paths import Paths
from protocol.errors import Fault
from protocol.messages.values import Volume

PRIVATE, OWN, SHARED = 0o700, 0o755, 0o1777
BLOCK_BYTES = 512  # what st_blocks counts


class TooMuchInside(Fault):
    """More is in a volume than its new size."""


def make_volume(paths: Paths, volume: Volume) -> None:
    """Make a volume's directory if it is not there, durably; one with content must fit its size.

    Raises: OSError, TooMuchInside.
    """
    os.makedirs(paths.volumes, PRIVATE, exist_ok=True)
    path = paths.volume(volume.id, volume.number)
    try:
        os.mkdir(path, OWN)
    except FileExistsError:
        used_bytes = measure(str(path))
        if used_bytes > volume.size_bytes:
            text = f"{used_bytes} bytes are in it, more than {volume.size_bytes}"
            raise TooMuchInside(text) from None
    if volume.is_shared:
        os.chmod(path, SHARED)
    _sync(str(paths.volumes))


def wipe_volume(paths: Paths, name: str, number: int) -> None:
    """Delete a volume and all that is in it; nothing to do when it is not there.

    Raises: OSError when something of it is left.
    """
    path = paths.volume(name, number)
    dying = paths.volumes / f".wiped.{number}"
    try:
        os.rename(path, dying)
    except FileNotFoundError:
        if not dying.exists():
            return
    shutil.rmtree(dying)
    _sync(str(paths.volumes))


def measure(path: str) -> int:
    """How many bytes of disk a tree takes; what vanishes meanwhile takes none."""
    total = 0
    waiting = [path]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    found = entry.stat(follow_symlinks=False)
                    total += found.st_blocks * BLOCK_BYTES
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except FileNotFoundError:
            continue
    return total


def _sync(directory: str) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
