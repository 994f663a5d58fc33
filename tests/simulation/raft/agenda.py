"""Virtual time: what is to happen, in order."""

import heapq
from collections.abc import Callable
from typing import Any


class Agenda:
    """Events by time; ties in the order they were added."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._events: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._added = 0

    def after(self, delay_s: float, action: Callable[..., Any], *arguments: Any) -> None:
        """Do something later."""
        self._added += 1
        heapq.heappush(self._events, (self.now_s + delay_s, self._added, action, arguments))

    def run(self, until_s: float) -> None:
        """Let time pass."""
        while self._events and self._events[0][0] <= until_s:
            self.now_s, _, action, arguments = heapq.heappop(self._events)
            action(*arguments)
        self.now_s = until_s
