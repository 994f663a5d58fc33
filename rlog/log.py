"""The log as its users see it: append bytes, get them back committed, know who leads."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from protocol.errors import Broken


@dataclass(frozen=True, slots=True)
class Committed:
    """A payload that a majority holds on disk; it can never be taken back."""

    index: int
    term: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class LogHealth:
    """How one member's log is, for operators."""

    last: int  # index of the last entry, on disk or not
    snapshot_index: int
    snapshot_bytes: int
    fsync_ns: int  # how long the newest write to disk took
    used_bytes: int  # of the file
    free_bytes: int  # on its disk


@dataclass(frozen=True, slots=True)
class Capture:
    """A reader's state as of all entries up to `index`, about to be written down.

    `dump` is called at once, or in a forked child: never after the reader was told more.
    """

    index: int
    dump: Callable[[], bytes]


class LogReader(Protocol):
    """What a log drives: the owner of the state that is folded from it.

    Called synchronously from the log's turn. A call that raises stops the log.
    """

    def restore(self, snapshot: bytes | None, index: int) -> None:
        """Forget everything and start from this snapshot of `index` (None: empty, index 0)."""

    def committed(self, entries: Sequence[Committed]) -> None:
        """Take payloads in order, each index once after the last `restore`.

        Indexes may skip: the log keeps entries of its own between payloads. None at all are
        given when `window_free` grew without a commit.
        """

    def snapshot(self) -> Capture | None:
        """Return the state to be written down as it is now; None: it can not be trusted.

        A leader's state runs ahead of what is committed, and `index` says how far: the log keeps
        what was written only if those very entries are committed. An index below `applied`
        means `applied`.
        """

    def lead(self, term: int) -> None:
        """Begin to lead: every earlier entry was given to `committed`; `append` works now."""

    def follow(self, leader: str) -> None:
        """Cease to lead, or learn of another leader (empty: none known).

        Payloads appended and not committed yet may vanish, or may still be committed.
        """

    def broken(self, error: Broken) -> None:
        """The log cannot go on (disk full or lost, content damaged): the process must stop."""


class Log(Protocol):
    """An ordered, durable sequence of payloads with at most one leader per term."""

    @property
    def name(self) -> str:
        """This member, as the others know it."""

    @property
    def term(self) -> int:
        """The newest term seen; grows only."""

    @property
    def is_leader(self) -> bool:
        """Whether `append` works: between `LogReader.lead` and `LogReader.follow`."""

    @property
    def leader(self) -> str:
        """Name of the leader as far as known, empty otherwise."""

    @property
    def committed(self) -> int:
        """Highest index known to be on a majority's disks."""

    @property
    def applied(self) -> int:
        """Highest index the reader has seen (or that was the log's own)."""

    @property
    def window_free(self) -> int:
        """How many more appends are welcome now."""

    def append(self, payload: bytes) -> int:
        """Return the index that holds `payload` once committed.

        Raises: NotLeader; Overloaded when `window_free` is 0; TooLarge.
        """

    def read_barrier(self, then: Callable[[bool], None]) -> None:
        """Call `then(True)` once a read of everything applied is proven linearizable.

        `then(False)`: leadership was lost meanwhile, or never held.
        """

    def replay(self) -> tuple[bytes | None, int, Iterable[Committed]]:
        """Return the newest snapshot (None: empty), its index, and all after it up to `applied`.

        For a reader that must fold again what it was given. Callable from within `follow`.
        """

    async def start(self, reader: LogReader) -> None:
        """Open the store, restore `reader`, and begin to take part."""

    async def stop(self) -> None:
        """Hand leadership over if held, write what is pending, and close."""
