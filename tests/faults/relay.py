"""A bad network: frames between hosts go through here, to be lost, repeated, kept and reordered."""

import contextlib
import fcntl
import heapq
import os
import random
import select
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

TUN = "/dev/net/tun"
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
FRAME_BYTES_MAX = 1 << 16
KEPT_MAX = 50_000  # frames; more are lost, as in any queue
GROUP = 1  # of the first byte of an address: it is everybody's


@dataclass(frozen=True, slots=True)
class Faults:
    """What happens to each frame, on its own."""

    loss: float = 0.0
    repeats: float = 0.0  # how often it arrives once more
    delay_s_max: float = 0.0  # anything up to this, so that later ones overtake it


def open_tap(name: str) -> int:
    """Make a network device whose frames this process reads and writes; skips where none can be."""
    try:
        tap = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
    except OSError as error:
        pytest.skip(f"needs {TUN}: {error}")
    return tap


class Relay(threading.Thread):
    """Carries frames between devices, each to whom it is for."""

    def __init__(self, taps: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self.faults = Faults()
        self.lost = self.repeated = 0
        self._taps = tuple(taps)
        self._rng = random.Random()
        self._owners: dict[bytes, int] = {}  # device by address
        self._kept: list[tuple[float, int, int, bytes]] = []  # when it is due, its number, to whom
        self._number = 0
        self._wake, self._waker = os.pipe()

    def run(self) -> None:
        while True:
            wait_s = max(0.0, self._kept[0][0] - time.monotonic()) if self._kept else None
            ready, _, _ = select.select((*self._taps, self._wake), (), (), wait_s)
            if self._wake in ready:
                return
            for tap in ready:
                self._read(tap)
            while self._kept and self._kept[0][0] <= time.monotonic():
                _, _, tap, frame = heapq.heappop(self._kept)
                with contextlib.suppress(OSError):  # its host is gone, or its queue is full
                    os.write(tap, frame)

    def stop(self) -> None:
        """Carry nothing more."""
        os.write(self._waker, b".")
        self.join()
        for handle in (*self._taps, self._wake, self._waker):
            os.close(handle)

    def _read(self, tap: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while frame := os.read(tap, FRAME_BYTES_MAX):
                self._owners[frame[6:12]] = tap
                self._route(tap, frame)

    def _route(self, tap: int, frame: bytes) -> None:
        owner = self._owners.get(frame[:6])
        is_for_all = frame[0] & GROUP or owner is None
        for target in self._taps:
            if target != tap and (is_for_all or target == owner):
                self._keep(target, frame)

    def _keep(self, target: int, frame: bytes) -> None:
        faults, rng = self.faults, self._rng
        if rng.random() < faults.loss or len(self._kept) >= KEPT_MAX:
            self.lost += 1
            return
        is_repeated = rng.random() < faults.repeats
        self.repeated += is_repeated
        for _ in range(1 + is_repeated):
            self._number += 1
            due_s = time.monotonic() + rng.random() * faults.delay_s_max
            heapq.heappush(self._kept, (due_s, self._number, target, frame))
