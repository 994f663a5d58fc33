"""An event loop whose time jumps to the next timer instead of waiting for it."""

import asyncio
from collections.abc import Callable
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time stands still while anything is ready."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 100.0

    def time(self) -> float:
        return self.now_s

    def _run_once(self) -> None:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        if not self._ready and timers:  # type: ignore[attr-defined]
            self.now_s = max(self.now_s, timers[0].when())
        super()._run_once()  # type: ignore[misc]

    def call(self, action: Callable[..., Any], *args: Any) -> Any:
        """Run the action and all that it makes ready, but no timer that is not due yet."""
        future: asyncio.Future[Any] = self.create_future()

        def act() -> None:
            try:
                future.set_result(action(*args))
            except Exception as error:
                future.set_exception(error)

        self.call_soon(act)
        self.settle()
        return future.result()

    def settle(self) -> None:
        """Run until nothing is ready."""
        while True:
            self.call_soon(self.stop)
            self.run_forever()
            if not self._ready:  # type: ignore[attr-defined]
                return

    def advance(self, seconds: float) -> None:
        """Let time pass, firing timers in order."""
        self.run_until_complete(asyncio.sleep(seconds))
        self.settle()
