"""The time that goes into a log: near wall time, never backwards, and deaf to clocks being set."""

import asyncio
from collections.abc import Callable

# A wall clock that departs from the loop's pace by less is followed, bit by bit; one that departs
# by more was set, and following it would ring every alarm at once, or none for an hour.
SLEW_NS_MAX = 1_000_000_000
SLEW_PART = 20  # of the time that passes: a lease ends at most so large a part of it early or late


class StampClock:
    """Starts each leadership at the wall clock and follows it slowly, as long as it is not set."""

    def __init__(self, clock_ns: Callable[[], int]) -> None:
        self._clock_ns = clock_ns
        self._last_ns = 0
        self._last_s = 0.0

    def begin(self, stamp_ns: int) -> None:
        """Start at the wall clock, or at the log's newest stamp if that is later."""
        self._last_ns = max(stamp_ns, self._last_ns, self._clock_ns())
        self._last_s = asyncio.get_running_loop().time()

    def now_ns(self) -> int:
        """Return the time, never less than any returned before."""
        wall_ns = self._clock_ns()
        now_s = asyncio.get_running_loop().time()
        passed_ns = int((now_s - self._last_s) * 1e9)
        ahead_ns = wall_ns - self._last_ns - passed_ns
        if abs(ahead_ns) <= SLEW_NS_MAX:
            most_ns = passed_ns // SLEW_PART
            passed_ns += max(-most_ns, min(ahead_ns, most_ns))
        self._last_ns += max(0, passed_ns)
        self._last_s = now_s
        return self._last_ns
