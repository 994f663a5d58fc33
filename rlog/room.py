"""Waiting for room on a disk that is full."""

import asyncio
import shutil
from collections.abc import Callable

LOOK_S = 1.0  # between looks at a full disk: one system call
LOOK_S_MAX = 30.0  # when the room does not last
LASTING_S = 60.0
ROOM_BYTES_MIN = 4 << 20  # less would be gone at once: what one transaction may copy


class RoomWatch:
    """Looks from time to time; calls once when there is room, later each time it was called."""

    def __init__(self, path: str, then: Callable[[], None]) -> None:
        self._path = path
        self._then = then
        self._timer: asyncio.TimerHandle | None = None
        self._look_s = LOOK_S
        self._found_s = float("-inf")

    def begin(self) -> None:
        """Look again after a while."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._found_s > LASTING_S:
            self._look_s = LOOK_S
        self._timer = loop.call_later(self._look_s, self._look)

    def cancel(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        try:
            free_bytes = shutil.disk_usage(self._path).free
        except OSError:
            free_bytes = 0
        if free_bytes < ROOM_BYTES_MIN:
            self.begin()
            return
        self._look_s = min(2 * self._look_s, LOOK_S_MAX)
        self._found_s = asyncio.get_running_loop().time()
        self._then()
