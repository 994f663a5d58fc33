"""What an agent reports of itself; observability listens, silence is the default."""

from collections.abc import Sequence
from typing import Protocol

from protocol.messages.agent import FrameworkUsage
from rlog.probes import LoopProbe, SilentLoopProbe


class AgentProbe(LoopProbe, Protocol):
    """Hears what an agent and the loop over its checkpoint do."""

    def container_started(self, elapsed_s: float) -> None:
        """A container runs, so long after its launch was accepted; fetching included."""

    def launch_failed(self, step: str) -> None:
        """No container: for `fetch`, `user`, `sandbox`, `launcher` or the `agent` itself."""

    def fetched(self, uris: int, elapsed_s: float) -> None:
        """The URIs of one task were brought in."""

    def task_ended(self, state: str, reason: str) -> None:
        """A task has its last status, such as `FAILED` and `MEMORY_LIMIT`."""

    def tasks(self, live: int, unacknowledged: int) -> None:
        """So many tasks have not ended; so many have statuses that no master has acknowledged."""

    def statuses_sent(self, count: int) -> None:
        """So many statuses went to the master, repetitions included."""

    def registered(self, epoch: int) -> None:
        """A master of this epoch knows the agent; 0: the leading master is lost."""

    def usage(self, frameworks: Sequence[FrameworkUsage]) -> None:
        """What the running containers of each framework use now."""

    def sandboxes_removed(self, count: int) -> None:
        """So many sandboxes of ended tasks were removed."""


class SilentProbe(SilentLoopProbe):
    """Hears nothing."""

    def container_started(self, elapsed_s: float) -> None:
        return

    def launch_failed(self, step: str) -> None:
        return

    def fetched(self, uris: int, elapsed_s: float) -> None:
        return

    def task_ended(self, state: str, reason: str) -> None:
        return

    def tasks(self, live: int, unacknowledged: int) -> None:
        return

    def statuses_sent(self, count: int) -> None:
        return

    def registered(self, epoch: int) -> None:
        return

    def usage(self, frameworks: Sequence[FrameworkUsage]) -> None:
        return

    def sandboxes_removed(self, count: int) -> None:
        return
