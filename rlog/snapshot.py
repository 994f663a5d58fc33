"""A snapshot on its way from a leader to a follower, chunk by chunk."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from rlog.messages import InstallSnapshot
from rlog.rows import CHUNK_BYTES, Snapshot

AHEAD_BYTES = 4 * CHUNK_BYTES  # sent ahead of the follower's answers; one frame each
PATIENCE_MIN, PATIENCE_MAX = 2, 256  # heartbeats before a chunk is sent again
SNAPSHOT_BYTES_MAX = 2 << 30  # of what a leader may make a follower hold in memory


class SnapshotSending:
    """The leader's side: what the follower said it has, and what was sent ahead of that."""

    def __init__(self, snapshot: Snapshot, read: Callable[[int], bytes]) -> None:
        """`read` returns a chunk by its number."""
        self.snapshot = snapshot
        self._read = read
        self._received = 0
        self._sent: int | None = None  # the first chunk goes out even when it is empty
        self._beats = 0  # heartbeats since the follower had more
        self._patience = PATIENCE_MIN  # heartbeats until what was sent is sent again
        self._repeats_at = PATIENCE_MIN

    def chunks(self, term: int, sequence: int) -> Iterator[InstallSnapshot]:
        """Yield what may be sent now."""
        end = self.snapshot.size
        while self._sent is None or self._sent < min(end, self._received + AHEAD_BYTES):
            offset = self._sent or 0
            chunk = self._read(offset // CHUNK_BYTES) if end else b""
            self._sent = offset + len(chunk)
            yield self._message(term, sequence, offset, chunk)

    def heartbeat(self, term: int, sequence: int) -> InstallSnapshot:
        """Return what says that we lead, and asks how much has arrived: a chunk of nothing."""
        return replace(self._message(term, sequence, self._sent or 0, b""), is_last=False)

    def _message(self, term: int, sequence: int, offset: int, chunk: bytes) -> InstallSnapshot:
        return InstallSnapshot(
            term=term,
            sequence=sequence,
            index=self.snapshot.index,
            index_term=self.snapshot.term,
            configuration_index=self.snapshot.configuration_index,
            voters=self.snapshot.voters,
            offset=offset,
            chunk=chunk,
            is_last=offset + len(chunk) == self.snapshot.size,
            crc=self.snapshot.crc,
            learners=self.snapshot.learners,
            cluster_id=self.snapshot.cluster_id,
        )

    def received(self, offset: int) -> None:
        """Note how far the follower is; 0 when it lost everything and begins again."""
        if offset == 0 < self._received:
            self._received, self._sent = 0, None
        elif offset > self._received:
            self._received = offset
            self._sent = max(self._sent or 0, offset)
            # A chunk takes as long as its link needs; asking sooner would only fill the link.
            self._patience = min(max(PATIENCE_MIN, 2 * self._beats), PATIENCE_MAX)
            self._beats, self._repeats_at = 0, self._patience

    def beat(self) -> None:
        """Let a heartbeat pass; send again what has not arrived, ever less often."""
        self._beats += 1
        if self._beats >= self._repeats_at:
            self._patience = min(2 * self._patience, PATIENCE_MAX)
            self._repeats_at = self._beats + self._patience
            self.repeat()

    def repeat(self) -> None:
        """Send again from what was received; the last chunk if that is all, to learn the end."""
        last_chunk = max(0, self.snapshot.size - 1) // CHUNK_BYTES * CHUNK_BYTES
        self._sent = min(self._received, last_chunk) or None


class SnapshotArriving:
    """The follower's side: what has arrived in order; the chunks themselves go to the disk."""

    def __init__(self, leader: str, first: InstallSnapshot) -> None:
        self.leader = leader
        self._source = (leader, first.index, first.index_term, first.crc)
        self._first = first
        self._checksums: list[int] = []
        self._crc = 0
        self.offset = 0
        self.is_complete = False
        self.version = 0  # of the journal, with all that has arrived

    def is_of(self, leader: str, message: InstallSnapshot) -> bool:
        """Whether a chunk belongs to this snapshot of this leader."""
        return self._source == (leader, message.index, message.index_term, message.crc)

    def accept(self, message: InstallSnapshot) -> int | None:
        """Return the number of the chunk if it comes next; drop any other, the leader repeats."""
        chunk = message.chunk
        if message.offset != self.offset or self.is_complete:
            return None
        is_fitting = len(chunk) == CHUNK_BYTES or (message.is_last and len(chunk) < CHUNK_BYTES)
        if not is_fitting or self.offset + len(chunk) > SNAPSHOT_BYTES_MAX:
            return None
        self._checksums.append(zlib.crc32(chunk))
        self._crc = zlib.crc32(chunk, self._crc)
        self.offset += len(chunk)
        self.is_complete = message.is_last
        return len(self._checksums) - 1

    def assemble(self) -> tuple[Snapshot, tuple[int, ...]] | None:
        """Return the whole and its chunks' checksums; None when it is not what the leader has."""
        _, index, term, crc = self._source
        if self._crc != crc:
            return None
        first = self._first
        snapshot = Snapshot(
            index=index,
            term=term,
            configuration_index=first.configuration_index,
            voters=first.voters,
            size=self.offset,
            crc=crc,
            learners=first.learners,
            cluster_id=first.cluster_id,
        )
        return snapshot, tuple(self._checksums)
