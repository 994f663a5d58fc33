"""What the log and its loop report of themselves; observability listens, silence is the default."""

from typing import Protocol


class LoopProbe(Protocol):
    """Hears what a loop does."""

    def batch(self, commands: int, events: int) -> None:
        """A turn decided so many commands into so many logged events."""

    def queued(self, commands: int) -> None:
        """So many commands wait after a turn."""

    def committed(self, latency_s: float) -> None:
        """A batch of ours was committed so long after it was appended."""

    def refused(self, reason: str) -> None:
        """The machine refused a command."""

    def overloaded(self) -> None:
        """A command was turned away because too many wait."""

    def faulted(self, stage: str) -> None:
        """Our own code raised in `decide`, `apply`, `encode`, `perform`, `answer` or `view`."""

    def refolded(self, elapsed_s: float) -> None:
        """The state was folded again from the log."""

    def serving(self, term: int) -> None:
        """Leadership was taken over; 0: it was lost."""


class SilentLoopProbe:
    """Hears nothing."""

    def batch(self, commands: int, events: int) -> None:
        return

    def queued(self, commands: int) -> None:
        return

    def committed(self, latency_s: float) -> None:
        return

    def refused(self, reason: str) -> None:
        return

    def overloaded(self) -> None:
        return

    def faulted(self, stage: str) -> None:
        return

    def refolded(self, elapsed_s: float) -> None:
        return

    def serving(self, term: int) -> None:
        return


class LogProbe(Protocol):
    """Hears what a replicated log does."""

    def fsynced(self, latency_s: float, entries: int) -> None:
        """So many entries, or none beside a vote, reached the disk in one write."""

    def leader_changed(self, leader: str, term: int) -> None:
        """Another member leads, or nobody known (empty)."""

    def snapshot_taken(self, index: int, size_bytes: int) -> None:
        """A snapshot of our own state is on disk."""

    def snapshot_installed(self, index: int, size_bytes: int) -> None:
        """A leader's snapshot replaced our state, and is on disk."""


class SilentLogProbe:
    """Hears nothing."""

    def fsynced(self, latency_s: float, entries: int) -> None:
        return

    def leader_changed(self, leader: str, term: int) -> None:
        return

    def snapshot_taken(self, index: int, size_bytes: int) -> None:
        return

    def snapshot_installed(self, index: int, size_bytes: int) -> None:
        return
