"""Who belongs and who votes: whole configurations as log entries, in force from their append."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

PAYLOAD, NOOP, CONFIGURATION, FOUNDING = 0, 1, 2, 3  # first byte of every command
MEMBERS_MAX = 15  # voters and learners: every one costs the leader a copy of everything
CLUSTER_ID_CHARS_MAX = 64


def kind_of(command: bytes) -> int:
    """Return what a log entry is."""
    return command[0]


def is_known(command: bytes) -> bool:
    """Whether this version knows what a log entry is."""
    return bool(command) and command[0] <= FOUNDING


def payload_command(payload: bytes) -> bytes:
    """Return the command that carries a reader's payload."""
    return b"\x00" + payload


def noop_command() -> bytes:
    """Return the command by which a leader commits what its predecessors left."""
    return bytes((NOOP,))


def configuration_command(voters: Iterable[str], learners: Iterable[str] = ()) -> bytes:
    """Return the command that makes these the members; without learners as it always was."""
    names = ",".join(sorted(voters))
    learning = ",".join(sorted(learners))
    return bytes((CONFIGURATION,)) + (f"{names};{learning}" if learning else names).encode()


def founding_command(cluster_id: str) -> bytes:
    """Return the command that gives the cluster its id."""
    return bytes((FOUNDING,)) + cluster_id.encode()


def names_of(text: str) -> tuple[str, ...]:
    """Return the names of a list that may be empty."""
    return tuple(filter(None, text.split(",")))


def members_of(command: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return whom a configuration's command makes voters, and whom learners."""
    voters, _, learners = command[1:].decode().partition(";")
    return names_of(voters), names_of(learners)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The members from a log index on (0: as founded)."""

    index: int
    voters: tuple[str, ...]
    learners: tuple[str, ...] = ()  # are sent everything, and count for nothing

    @property
    def members(self) -> tuple[str, ...]:
        """Everybody who is sent the log."""
        return (*self.voters, *self.learners)

    @property
    def majority(self) -> int:
        """How many voters decide."""
        return len(self.voters) // 2 + 1

    def is_quorum(self, names: Collection[str]) -> bool:
        """Whether these contain a majority of the voters."""
        return sum(name in names for name in self.voters) >= self.majority

    def is_everybody(self, names: Collection[str]) -> bool:
        """Whether these contain every voter."""
        return all(name in names for name in self.voters)

    def agreed(self, values: dict[str, int]) -> int:
        """Return the highest number that a majority of the voters has reached."""
        reached = sorted((values.get(name, 0) for name in self.voters), reverse=True)
        return reached[self.majority - 1]


class Membership:
    """The configurations that the log may still fall back to, oldest first."""

    def __init__(self, founded: Configuration) -> None:
        self._history = [founded]

    @property
    def newest(self) -> Configuration:
        """The configuration in force, committed or not."""
        return self._history[-1]

    def at(self, index: int) -> Configuration:
        """Return the configuration in force at a committed index."""
        return next(c for c in reversed(self._history) if c.index <= index)

    def append(self, index: int, command: bytes) -> None:
        """Put a configuration entry in force."""
        assert index > self.newest.index
        self._history.append(Configuration(index, *members_of(command)))

    def truncate(self, index: int) -> None:
        """Undo the configurations from `index` on."""
        while self.newest.index >= index:
            self._history.pop()

    def install(self, configuration: Configuration, index: int, *, is_continued: bool) -> None:
        """Begin at a snapshot of `index`; later ones stay only where the log goes on from it."""
        later = [c for c in self._history if c.index > index] if is_continued else []
        self._history = [configuration, *later]
