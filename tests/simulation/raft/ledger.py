"""What an outside observer of the log has seen, and the promises it is checked against."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from rlog.log import Committed
from rlog.membership import CONFIGURATION, Configuration, kind_of
from rlog.raft import Raft
from tests.simulation.linearity import Operation, find_disorder, is_linearizable, step_queue

Item = tuple[int, int]  # a client and its operation


class Violation(Exception):  # noqa: N818  # it is named for what happened
    """A promise was broken."""


def is_taking(operation: int) -> bool:
    """Whether an operation takes from the queue; the others put themselves into it."""
    return operation % 2 == 0


class Ledger:
    """Everything that ever became visible."""

    def __init__(self) -> None:
        self.committed: dict[int, Committed] = {}
        self.leaders: dict[int, str] = {}
        self.acknowledged: dict[int, int] = {}  # client: last operation
        self.configurations: dict[int, Configuration] = {}  # committed ones
        self.cluster_id = ""
        self.anew: set[str] = set()  # members that set their files aside
        self.seen: Counter[str] = Counter()
        self._counted: dict[tuple[str, str], int] = {}  # what a leader counts on, when last seen
        self._led_from: dict[tuple[str, int], int] = {}  # what was committed when one began to lead
        self._moment = 0  # of calls and answers, in their order
        self._called: dict[tuple[int, int], int] = {}
        self._registers: list[Operation] = []
        self._queues: list[Operation] = []

    def lead(self, raft: Raft) -> None:
        """Check that a leader is the only one of its term, a voter, and lacks nothing.

        Who goes is a voter until that is committed, as far as it knows.
        """
        self.seen["leaders"] += 1
        until_committed = raft._membership.at(raft.committed).voters
        self.seen["led by who goes"] += not raft.is_voter
        if not raft.is_voter and raft.name not in until_committed:
            raise Violation(f"{raft.name} leads term {raft.term} and is no voter")
        if self.leaders.setdefault(raft.term, raft.name) != raft.name:
            other = self.leaders[raft.term]
            raise Violation(f"two leaders in term {raft.term}: {other} and {raft.name}")
        for index, entry in self.committed.items():
            if raft.journal.first <= index:
                held = raft.journal.entry(index) if index <= raft.journal.last else None
                if held is None or held.term != entry.term:
                    raise Violation(f"{raft.name} leads term {raft.term} without entry {index}")

    def belong(self, raft: Raft) -> None:
        """Check that everybody knows the same members at an index, and that one changed at most.

        Who set its file aside begins with the members that the file proved, whenever they were so.
        """
        history = raft._membership._history
        if raft.name in self.anew:
            history = [known for known in history if known.index]
        for before, after in pairwise(history):
            if before.voters and len(set(before.voters) ^ set(after.voters)) > 1:
                raise Violation(f"{raft.name} changes {before.voters} to {after.voters} at once")
        for known in history:
            is_committed = known.index <= raft.committed and known.voters
            if is_committed and self.configurations.setdefault(known.index, known) != known:
                raise Violation(f"{raft.name} knows other members at entry {known.index}")
        newest = max((index for index in self.configurations if index <= raft.committed), default=0)
        if raft.configuration.index < newest:
            raise Violation(f"{raft.name} has forgotten the members of entry {newest}")

    def count(self, raft: Raft, others: Sequence[Raft]) -> None:
        """Check what a leader commits by, and that what it counts is there."""
        committed, journal = raft.committed, raft.journal
        first = self._led_from.setdefault((raft.name, raft.term), committed)
        if committed > first and journal.term_at(committed) != raft.term:
            raise Violation(f"{raft.name} commits entry {committed} of an older term")
        changes = [c for c in raft._membership._history if c.index > committed]
        if len(changes) > 1:
            raise Violation(f"{raft.name} has {len(changes)} changes of the members under way")
        for other in others:
            known = raft._progress.get(other.name)
            match = 0 if known is None else known.trusted.match
            pair = (raft.name, other.name)
            if match != self._counted.get(pair) and other.term <= raft.term:
                self._counted[pair] = match
                self._check_held(raft, other, match)

    def _check_held(self, raft: Raft, other: Raft, match: int) -> None:
        ours, theirs = raft.journal, other.journal
        if match <= max(ours.base_index, theirs.base_index):
            return
        held = theirs.term_at(match) if match <= theirs.durable else None
        if held is None or held != ours.term_at(match):
            raise Violation(f"{raft.name} counts on {other.name} for entry {match}")

    def believe(self, raft: Raft) -> None:
        """Check that the members in force are those that an entry names."""
        index, journal = raft.configuration.index, raft.journal
        is_named = index <= journal.last and (
            index < journal.first or kind_of(journal.entry(index).command) == CONFIGURATION
        )
        if not is_named:
            raise Violation(f"{raft.name} knows members of entry {index}, which names none")

    def identify(self, raft: Raft) -> None:
        """Check that there is one cluster."""
        self.cluster_id = self.cluster_id or raft.cluster_id
        if raft.cluster_id not in ("", self.cluster_id):
            raise Violation(f"{raft.name} is in cluster {raft.cluster_id}, not {self.cluster_id}")

    def apply(self, name: str, entry: Committed) -> None:
        """Check that everybody is given the same entry at an index."""
        self.seen["applied"] += 1
        if self.committed.setdefault(entry.index, entry) != entry:
            raise Violation(f"{name} is given another entry {entry.index}")

    def call(self, client: int, operation: int) -> None:
        """Note that a client begins an operation, or tries it again."""
        self._called.setdefault((client, operation), self.tick())

    def acknowledge(self, client: int, operation: int, taken: Item | None) -> None:
        """Note what a client was told is done, and what it took from the queue if it did."""
        called, now = self._called.pop((client, operation)), self.tick()
        self._registers.append(Operation(client, "write", (client, operation), called, now))
        action, value = ("take", taken) if is_taking(operation) else ("put", (client, operation))
        self._queues.append(Operation(client, action, value, called, now))
        self.seen["acknowledged"] += 1
        assert self.acknowledged.get(client, 0) < operation
        self.acknowledged[client] = operation

    def read(self, name: str, needed: dict[int, int], sessions: dict[int, int]) -> None:
        """Check that a read sees all that was acknowledged before it was asked."""
        self.seen["reads"] += 1
        for client, operation in needed.items():
            if sessions.get(client, 0) < operation:
                raise Violation(f"stale read at {name}: client {client} lacks {operation}")

    def read_latest(self, latest: Item | None, asked: int) -> None:
        """Note which operation a read that was asked then found to be the newest."""
        self._registers.append(Operation(0, "read", latest, asked, self.tick()))

    def tick(self) -> int:
        """Return the number of this moment."""
        self._moment += 1
        return self._moment

    def judge_history(self) -> None:
        """Check that all operations and reads could have happened one at a time."""
        self.seen["operations judged"] += len(self._registers)
        for (client, operation), called in self._called.items():
            self._registers.append(Operation(client, "write", (client, operation), called))
            if not is_taking(operation):
                self._queues.append(Operation(client, "put", (client, operation), called))
        disorder = find_disorder(self._registers, None)
        if disorder:
            raise Violation(f"what clients read could not have happened one at a time: {disorder}")
        if not self.is_taking_in_doubt and not is_linearizable(self._queues, step_queue, ()):
            raise Violation("what clients took could not have happened one at a time")

    @property
    def is_taking_in_doubt(self) -> bool:
        """Whether something may be gone from the queue that nobody was told of."""
        return any(is_taking(operation) for _, operation in self._called)
