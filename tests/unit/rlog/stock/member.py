"""One member of the unmodified library, without threads, sockets or a clock of its own."""

from typing import Any

from pysyncobj import SyncObj, SyncObjConf, replicated
from pysyncobj.journal import MemoryJournal
from pysyncobj.node import Node
from pysyncobj.transport import Transport

NOTHING = b"\x01"  # the library's command that does nothing
ELECTION_S = 5.0  # longer than any election timeout here


class Clock:
    """The time that members see."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Wire(Transport):  # type: ignore[misc]  # pysyncobj is untyped
    """Keeps what was sent."""

    def __init__(self) -> None:
        super().__init__(None, None, [])
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def send(self, node: Node, message: dict[str, Any]) -> bool:
        self.sent.append((node.id, dict(message)))
        return True

    def take(self, to: str) -> list[dict[str, Any]]:
        """Return and forget what went to a member."""
        found = [message for name, message in self.sent if name == to]
        self.sent = [each for each in self.sent if each[0] != to]
        return found


class StockMember(SyncObj):  # type: ignore[misc]  # pysyncobj is untyped
    """A member of the library as it comes."""

    def __init__(
        self, clock: Clock, names: str = "abc", journal: Any = None, **settings: Any
    ) -> None:
        self.clock, self.wire, self.journal = clock, Wire(), journal or MemoryJournal()
        how = {"raftMinTimeout": 0.5, "raftMaxTimeout": 1.0, "connectionTimeout": 3.0} | settings
        conf = SyncObjConf(autoTick=False, journalFile=self.journal, **how)
        super().__init__(names[0], list(names[1:]), conf, nodeClass=Node, transport=self.wire)
        self.applied: list[object] = []

    @replicated  # type: ignore[untyped-decorator]  # pysyncobj is untyped
    def put(self, value: object) -> int:
        self.applied.append(value)
        return len(self.applied)

    @replicated  # type: ignore[untyped-decorator]  # pysyncobj is untyped
    def fail(self) -> None:
        raise ValueError("a command that fails")

    def hear(self, name: str, kind: str, **content: Any) -> None:
        """Receive a message."""
        self.wire._onMessageReceived(Node(name), {"type": kind, **content})

    def tick(self, elapsed_s: float = 0.0) -> None:
        """Let time pass."""
        self.clock.now_s += elapsed_s
        self._onTick()

    def entries(self) -> list[tuple[int, int]]:
        """Return index and term of each entry held."""
        return [(entry[1], entry[2]) for entry in self.journal[0:]]

    def own(self, name: str) -> Any:
        """Return a private field of the library."""
        return getattr(self, f"_SyncObj__{name}")

    def set_own(self, name: str, value: object) -> None:
        setattr(self, f"_SyncObj__{name}", value)

    def elect(self, voter: str = "b") -> "StockMember":
        """Make this member the leader by one vote."""
        self.connect_all()
        self.tick(ELECTION_S)
        self.hear(voter, "response_vote", term=self.raftCurrentTerm)
        assert self._isLeader()
        return self

    def connect_all(self) -> None:
        for node in self.own("otherNodes"):
            self.wire._onNodeConnected(node)

    def accept(self, name: str, next_index: int) -> None:
        """Hear that a follower holds everything before an index, and do what follows."""
        self.hear(name, "next_node_idx", next_node_idx=next_index, reset=False, success=True)
        self.tick()
        self.tick()

    def append(self, name: str, term: int, committed: int, *entries: tuple[Any, ...]) -> None:
        """Hear a leader's entries, the first of which follows entry 1."""
        self.hear(
            name,
            "append_entries",
            term=term,
            commit_index=committed,
            entries=list(entries),
            prevLogIdx=1,
            prevLogTerm=0,
        )


def entry(index: int, term: int, command: bytes = NOTHING) -> tuple[bytes, int, int]:
    return command, index, term
