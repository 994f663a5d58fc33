"""The twin of a dumper that forks: the state is that of the moment, all else comes later."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rlog.dump import Dumping, Outline, WholeDump

if TYPE_CHECKING:
    from tests.simulation.raft.member import Member


class SlowDump:
    """What another process writes down: known after a while, or never, and lost with that."""

    def __init__(self, content: bytes) -> None:
        self._whole = WholeDump(content)
        self._is_arriving = False
        self.outline: Outline | None = None
        self.failure = ""

    @property
    def is_ready(self) -> bool:
        """Whether any of it has arrived."""
        return self._is_arriving and self._whole.is_ready

    def take(self, most: int) -> list[bytes]:
        """Return what has arrived."""
        return self._whole.take(most) if self._is_arriving else []

    def close(self) -> None:
        """Forget it."""
        self._whole.close()

    def tell(self) -> None:
        """Say what it measures."""
        self.outline = self._whole.outline

    def arrive(self) -> None:
        """Let it be taken."""
        self._is_arriving = not self.failure

    def fail(self) -> None:
        """Be killed."""
        self.failure = "killed"


class SlowDumper:
    """The twin of a dumper that forks: the state is that of the moment, all else comes later."""

    def __init__(self, member: "Member") -> None:
        self._member = member

    def begin(
        self, dump: Callable[[], bytes], expected_bytes: int, wake: Callable[[], None]
    ) -> Dumping:
        dumping, member = SlowDump(dump()), self._member
        steps = [dumping.tell, dumping.arrive]
        if member.rng.random() < 0.05:
            steps.insert(member.rng.randrange(2), dumping.fail)
            member.ledger.seen["failed dumps"] += 1
        delay_s = 0.0
        for step in steps:
            delay_s += member.rng.random() * 0.3
            member.agenda.after(delay_s, step)
            member.agenda.after(delay_s, wake)
        return dumping
