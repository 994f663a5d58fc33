"""The time that goes into a log: near wall time, never backwards, and deaf to clocks being set."""

import asyncio
from collections.abc import Callable

# A wall clock that departs from the loop's pace by less is being slewed and is followed; one that
# departs by more was set, and following it would ring every alarm at once, or none for an hour.
SLEW_NS_MAX = 1_000_000_000


class StampClock:
    """Starts each leadership at the wall clock and follows it as long as it is not set."""

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
        paced_ns = self._last_ns + int((now_s - self._last_s) * 1e9)
        if abs(wall_ns - paced_ns) > SLEW_NS_MAX:
            self._last_ns = paced_ns
        else:
            self._last_ns = max(wall_ns, self._last_ns)
        self._last_s = now_s
        return self._last_ns
