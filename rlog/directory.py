"""The directory of one log member: one process at a time, and room on its disk."""

import errno
import fcntl
import os
import shutil

from protocol.errors import Broken, DiskFull, StorageLost

FULL = (errno.ENOSPC, errno.EDQUOT)
DATA = "data.mdb"
FULL_BYTES_MAX = 64 << 10  # so little left, and a write that came out short met the end of the disk


class LogDirectory:
    """A directory that this process alone uses until `release`."""

    def __init__(self, path: str) -> None:
        """Raises: Broken when another process holds it; StorageLost when it cannot be made."""
        self.path = path
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
            self._lock = os.open(os.path.join(path, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StorageLost(f"{path}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._lock, 32).decode(errors="replace") or "unknown"
            os.close(self._lock)
            raise Broken(f"{path} is in use by another process (pid {holder})") from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def make_names_durable(self) -> None:
        """Write down which files exist, here and in the parent; fsync of a file does not."""
        for path in (self.path, os.path.dirname(os.path.abspath(self.path))):
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def take_over(self, prepared: str) -> None:
        """Let the data file of a directory within this one take the place of ours, durably."""
        os.replace(os.path.join(prepared, DATA), os.path.join(self.path, DATA))
        self.make_names_durable()
        shutil.rmtree(prepared)

    @property
    def free_bytes(self) -> int:
        """How much more the disk takes. Raises: OSError."""
        return shutil.disk_usage(self.path).free

    def lose(self, error: Exception, code: int | None) -> StorageLost:
        """Return what a failed write means, as the line that an operator reads.

        A disk that is full shows as ENOSPC, or as a write that came out short, which LMDB calls an
        input/output error.
        """
        try:
            is_short = code == errno.EIO and self.free_bytes < FULL_BYTES_MAX
        except OSError:
            is_short = False
        kind = DiskFull if code in FULL or is_short else StorageLost
        return kind(self.describe_loss(error))

    def describe_loss(self, reason: object) -> str:
        """Return the line that an operator reads when the disk fails."""
        try:
            free = f"{self.free_bytes} bytes free"
        except OSError as error:
            free = f"free space unknown: {error.strerror}"
        return f"{self.path}: {reason} ({free})"

    def release(self) -> None:
        """Let another process have it."""
        os.close(self._lock)


def how_to_repair(path: str) -> str:
    """Return what an operator does about a damaged directory."""
    return (
        f"to have it filled anew by the other members: mv {path} {path}.damaged, and start again; "
        "a lone one needs its backup"
    )
