"""One running container as the agent holds it: through descriptors of its processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

from agent.cgroups.hierarchy import Hierarchy
from agent.containerizer.processes import (
    find_session,
    has_ended,
    kill_all,
    open_process,
    send_signal,
)
from agent.containerizer.records import PidRecord

SUPERVISOR_END_S = 2.0  # what a supervisor may take to kill its tree before we do it ourselves
RETRY_S = 1.0


class Watch:
    """Tells when the supervisor ends, or, that being lost, the task; and ends both."""

    def __init__(self, record: PidRecord, on_end: Callable[[], None]) -> None:
        """Take handles of the processes that are still there; see `is_empty`."""
        self.record = record
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._supervisor = open_process(record.supervisor, record.supervisor_ticks)
        self._task = open_process(record.pid, record.start_ticks)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_empty(self) -> bool:
        return self._supervisor is None and self._task is None

    def begin(self) -> None:
        """Call back from now on when the supervisor, or else the task, has ended."""
        handle = self._task if self._supervisor is None else self._supervisor
        assert handle is not None
        self._loop.add_reader(handle, self._end_seen)

    def follow_task(self) -> bool:
        """Watch the task instead of a supervisor that is gone; False when it has ended too."""
        if self._task is None or has_ended(self._task):
            return False
        self.begin()
        return True

    def signal(self, number: int) -> None:
        """Signal the first process."""
        if self._task is not None:
            send_signal(self._task, number)

    def terminate(
        self,
        grace_s: float,
        hierarchy: Hierarchy | None,
        container: str,
        number: int,
    ) -> None:
        """Send a signal to the first process group, and end everything after the grace."""
        if grace_s <= 0:
            self.end_tree(hierarchy, container)
            return
        if self._task is not None and send_signal(self._task, 0):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.record.pid, number)  # it leads the group that it made
        due = self._loop.time() + grace_s
        if self._timer is None or self._timer.when() > due:
            self._set_timer(grace_s, lambda: self.end_tree(hierarchy, container))

    def end_tree(self, hierarchy: Hierarchy | None, container: str) -> None:
        """Kill every process, by the supervisor if there is one."""
        if self._supervisor is not None and send_signal(self._supervisor, signal.SIGTERM):
            pause_s = SUPERVISOR_END_S
        else:
            kill_directly(self.record, hierarchy, container)
            pause_s = RETRY_S
        self._set_timer(pause_s, lambda: self._insist(hierarchy, container))

    def close(self) -> None:
        """Let go; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for handle in (self._supervisor, self._task):
            if handle is not None:
                self._loop.remove_reader(handle)
                os.close(handle)
        self._supervisor = self._task = None

    def _insist(self, hierarchy: Hierarchy | None, container: str) -> None:
        kill_directly(self.record, hierarchy, container)
        self._set_timer(RETRY_S, lambda: self._insist(hierarchy, container))

    def _set_timer(self, delay_s: float, action: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay_s, action)

    def _end_seen(self) -> None:
        handle = self._task if self._supervisor is None else self._supervisor
        assert handle is not None
        self._loop.remove_reader(handle)
        os.close(handle)
        if self._supervisor is None:
            self._task = None
        else:
            self._supervisor = None
        self._on_end()


def kill_directly(record: PidRecord, hierarchy: Hierarchy | None, container: str) -> None:
    """Kill a container without its supervisor; pid 1 of a namespace takes all along."""
    task = open_process(record.pid, record.start_ticks)
    if task is not None:
        if hierarchy is None:
            kill_all(find_session(record.pid))  # its leader lives, so it is the one we mean
        send_signal(task, signal.SIGKILL)
        os.close(task)
    init = open_process(record.init, record.init_ticks) if record.init else None
    if init is not None:
        send_signal(init, signal.SIGKILL)
        os.close(init)
    if hierarchy:
        hierarchy.kill(container)
