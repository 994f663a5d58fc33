"""One timer that fires when the state's next deadline is due."""

import asyncio
from collections.abc import Callable

from rlog.commands import LoopLimits
from rlog.stamps import StampClock


class Ticker:
    """Looks at the deadline again at least every few seconds, whatever the wall clock did."""

    def __init__(self, stamps: StampClock, limits: LoopLimits, fire: Callable[[], None]) -> None:
        self._stamps = stamps
        self._limits = limits
        self._fire = fire
        self._timer: asyncio.TimerHandle | None = None
        self._after_s = 0.0

    def arm(self, due_ns: int | None) -> None:
        """Fire once at `due_ns` or soon after; a timer that is set earlier stays."""
        if due_ns is None:
            self.cancel()
            return
        loop = asyncio.get_running_loop()
        delay_s = (due_ns - self._stamps.now_ns()) / 1e9
        delay_s = min(max(delay_s, self._limits.tick_s_min), self._limits.tick_s_max)
        when_s = max(loop.time() + delay_s, self._after_s)
        if self._timer is not None:
            if self._timer.when() <= when_s:
                return
            self._timer.cancel()
        self._timer = loop.call_at(when_s, self._due)

    def back_off(self) -> None:
        """Do not fire soon: the last tick failed, and would fail again."""
        self._after_s = asyncio.get_running_loop().time() + self._limits.tick_s_max

    def cancel(self) -> None:
        """Do not fire any more until armed again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        self._fire()
