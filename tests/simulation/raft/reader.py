"""What a simulated member's log is read by: registers, a queue and a digest of all."""

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from protocol.errors import Broken
from rlog.log import Capture, Committed
from tests.simulation.raft.ledger import Item, is_taking

if TYPE_CHECKING:
    from tests.simulation.raft.member import Member

OPERATION = struct.Struct("<QQ")
Settle = Callable[[bool], None]


class Written(msgspec.Struct, frozen=True):
    """A snapshot of a reader."""

    sessions: dict[int, int]
    latest: Item | None
    queue: list[Item]
    taken: dict[int, Item | None]
    digest: int
    index: int


class Reader:
    """Folds operations into one number per client; each operation counts once."""

    def __init__(self, member: "Member") -> None:
        self._member = member
        self.sessions: dict[int, int] = {}
        self.latest: Item | None = None  # the newest operation that counted
        self.queue: list[Item] = []
        self.taken: dict[int, Item | None] = {}  # by each client, the last time
        self.digest = 0
        self.index = 0
        self.waiting: dict[int, tuple[bytes, Settle]] = {}

    def restore(self, snapshot: bytes | None, index: int) -> None:
        assert not self.waiting
        self.sessions, self.latest, self.digest, self.index = {}, None, 0, index
        self.queue, self.taken = [], {}
        if snapshot is not None:
            self._member.ledger.seen["restored"] += 1
            written = msgspec.msgpack.decode(snapshot, type=Written)
            assert written.index <= index
            self.sessions, self.digest = written.sessions, written.digest
            self.latest, self.queue, self.taken = written.latest, written.queue, written.taken

    def committed(self, entries: Sequence[Committed]) -> None:
        for entry in entries:
            assert entry.index > self.index
            self._member.ledger.apply(self._member.config.name, entry)
            self.index = entry.index
            self._fold(entry.payload)
            payload, settle = self.waiting.pop(entry.index, (entry.payload, None))
            assert payload == entry.payload
            if settle is not None:
                settle(True)

    def snapshot(self) -> Capture | None:
        if self._member.rng.random() < 0.3:
            return None
        self._member.ledger.seen["snapshots"] += 1
        ahead = Reader(self._member)  # a leader's state is ahead of what is committed
        ahead.sessions, ahead.latest = dict(self.sessions), self.latest
        ahead.queue, ahead.taken = list(self.queue), dict(self.taken)
        ahead.digest, ahead.index = self.digest, self.index
        for index in sorted(self.waiting):
            ahead._fold(self.waiting[index][0])
            ahead.index = index
        written = Written(
            ahead.sessions, ahead.latest, ahead.queue, ahead.taken, ahead.digest, ahead.index
        )
        return Capture(ahead.index, lambda: msgspec.msgpack.encode(written))

    def _fold(self, payload: bytes) -> None:
        client, operation = OPERATION.unpack_from(payload)
        if operation > self.sessions.get(client, 0):
            self._operate(client, operation)
        self.digest = zlib.crc32(payload, self.digest)

    def _operate(self, client: int, operation: int) -> None:
        self.sessions[client] = operation
        self.latest = client, operation
        if is_taking(operation):
            self.taken[client] = self.queue.pop(0) if self.queue else None
        else:
            self.queue.append((client, operation))

    def lead(self, term: int) -> None:
        assert term == self._member.raft.term

    def broken(self, error: Broken) -> None:
        raise error

    def follow(self, leader: str) -> None:
        waiting, self.waiting = self.waiting, {}
        for _, settle in waiting.values():
            settle(False)
