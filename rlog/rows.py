"""How the journal's rows look on disk, each with a checksum of its own."""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from protocol.errors import DamagedLog
from rlog.membership import names_of
from rlog.messages import Entry

INDEX = struct.Struct(">Q")  # big-endian: LMDB orders keys by bytes
_ENTRY = struct.Struct("<QI")  # term, checksum; the command follows
_POSITION = struct.Struct("<QQQQ")  # term, committed, base index, base term; the vote follows
_CHUNK = struct.Struct(">QI")  # snapshot index, chunk number
_HEADER = struct.Struct("<QQQQI")  # index, term, configuration index, size, checksum of the content
_STANDING = struct.Struct("<QQ")  # term and index of the amnesia; the cluster's id follows
_WRITTEN = struct.Struct("<Q")
_CRC = struct.Struct("<I")
CHUNK_BYTES = 256 << 10
SCHEMA = "3"
SCHEMA_UNSEALED = "1"  # without checksums of the owner and the founders
SCHEMAS_OLDER = (SCHEMA_UNSEALED, "2")  # read, and brought up to date when opened to be written


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose directory it is."""

    schema: str
    name: str
    cluster: str

    @property
    def is_older(self) -> bool:
        """Whether an earlier version wrote it, and this one knows how."""
        return self.schema.removeprefix("schema ") in SCHEMAS_OLDER

    @property
    def is_unsealed(self) -> bool:
        """Whether its row, and that of the founders, has no checksum yet."""
        return self.schema == f"schema {SCHEMA_UNSEALED}"


@dataclass(frozen=True, slots=True)
class Position:
    """What a member must remember besides entries; the base is the last entry compacted away."""

    term: int = 0
    vote: str = ""
    committed: int = 0
    base_index: int = 0
    base_term: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state at an index, by its outside: where it stands, who voted there, how to check it."""

    index: int = 0
    term: int = 0
    configuration_index: int = 0
    voters: tuple[str, ...] = ()
    size: int = 0
    crc: int = 0
    learners: tuple[str, ...] = ()
    cluster_id: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """Which cluster a member belongs to, and whether it remembers what it promised there.

    A member that lost its disk counts for nothing until it has seen entry `amnesia_until` (0: it
    remembers) committed by the leader of `amnesia_term`.
    """

    cluster_id: str = ""
    amnesia_term: int = 0
    amnesia_until: int = 0


def pack_entry(entry: Entry) -> tuple[bytes, bytes]:
    """Return the row of an entry; the checksum covers its place as well as its content."""
    crc = _entry_crc(entry.index, entry.term, entry.command)
    return INDEX.pack(entry.index), _ENTRY.pack(entry.term, crc) + entry.command


def unpack_entry(index: int, row: bytes | None) -> Entry:
    """Return the entry of a row. Raises: DamagedLog."""
    if row is None:
        raise DamagedLog(f"entry {index} is missing")
    if len(row) < _ENTRY.size:
        raise DamagedLog(f"entry {index} is cut short")
    term, crc = _ENTRY.unpack_from(row)
    command = row[_ENTRY.size :]
    if _entry_crc(index, term, command) != crc:
        raise DamagedLog(f"entry {index} fails its checksum")
    return Entry(index, term, command)


def _entry_crc(index: int, term: int, command: bytes) -> int:
    return zlib.crc32(command, zlib.crc32(struct.pack("<QQ", index, term)))


def pack_position(position: Position) -> bytes:
    """Return the row of a position."""
    numbers = (position.term, position.committed, position.base_index, position.base_term)
    return _seal(_POSITION.pack(*numbers) + position.vote.encode())


def unpack_position(row: bytes) -> Position:
    """Return the position of a row. Raises: DamagedLog."""
    content = _unseal(row, "term and vote")
    term, committed, base_index, base_term = _POSITION.unpack_from(content)
    return Position(term, content[_POSITION.size :].decode(), committed, base_index, base_term)


def pack_written(transaction: int) -> bytes:
    """Return the row that says which transaction is the newest."""
    return _seal(_WRITTEN.pack(transaction))


def unpack_written(row: bytes) -> int:
    """Return the number of the newest transaction. Raises: DamagedLog."""
    number: int = _WRITTEN.unpack(_unseal(row, "the number of the newest transaction"))[0]
    return number


def pack_words(words: Iterable[str]) -> bytes:
    """Return a row of words that hold no line break."""
    return _seal("\n".join(words).encode())


def unpack_words(row: bytes, what: str) -> tuple[str, ...]:
    """Return the words of a row. Raises: DamagedLog, calling it `what`."""
    return tuple(_unseal(row, what).decode().split("\n"))


def pack_snapshot(snapshot: Snapshot) -> bytes:
    """Return the row that makes a snapshot's chunks the current ones."""
    numbers = (snapshot.index, snapshot.term, snapshot.configuration_index, snapshot.size)
    lists = (",".join(snapshot.voters), ",".join(snapshot.learners), snapshot.cluster_id)
    return _seal(_HEADER.pack(*numbers, snapshot.crc) + ";".join(lists).encode())


def unpack_snapshot(row: bytes) -> Snapshot:
    """Return the snapshot of a row. Raises: DamagedLog."""
    content = _unseal(row, "the snapshot's header")
    index, term, configuration_index, size, crc = _HEADER.unpack_from(content)
    # Older rows end with the voters.
    voters, _, rest = content[_HEADER.size :].decode().partition(";")
    learners, _, cluster_id = rest.partition(";")
    names = names_of(voters)
    return Snapshot(
        index, term, configuration_index, names, size, crc, names_of(learners), cluster_id
    )


def pack_standing(standing: Standing) -> bytes:
    """Return the row of a standing."""
    numbers = (standing.amnesia_term, standing.amnesia_until)
    return _seal(_STANDING.pack(*numbers) + standing.cluster_id.encode())


def unpack_standing(row: bytes) -> Standing:
    """Return the standing of a row. Raises: DamagedLog."""
    content = _unseal(row, "the member's standing")
    term, until = _STANDING.unpack_from(content)
    return Standing(content[_STANDING.size :].decode(), term, until)


def pack_checksums(index: int, checksums: tuple[int, ...]) -> bytes:
    """Return the row that says how to check each chunk of the snapshot of `index`."""
    return _seal(INDEX.pack(index) + struct.pack(f"<{len(checksums)}I", *checksums))


def unpack_checksums(row: bytes, snapshot: Snapshot) -> tuple[int, ...]:
    """Return the checksums of a snapshot's chunks. Raises: DamagedLog."""
    content = _unseal(row, "the snapshot's checksums")
    count = -(-snapshot.size // CHUNK_BYTES)
    if len(content) != INDEX.size + 4 * count or INDEX.unpack_from(content)[0] != snapshot.index:
        raise DamagedLog(f"the checksums are not those of the snapshot of entry {snapshot.index}")
    return struct.unpack_from(f"<{count}I", content, INDEX.size)


def chunk_key(index: int, number: int) -> bytes:
    """Return under which key a chunk of the snapshot of `index` lies."""
    return _CHUNK.pack(index, number)


def index_of_chunk(key: bytes) -> int:
    """Return to which snapshot a row belongs."""
    return int(_CHUNK.unpack(key)[0])


def is_chunk_of(key: bytes, snapshot: Snapshot) -> bool:
    """Whether a row belongs to this snapshot, or was left by another one."""
    index, number = _CHUNK.unpack(key)
    return bool(index == snapshot.index and number * CHUNK_BYTES < snapshot.size)


def check_content(snapshot: Snapshot, content: bytes) -> bool:
    """Whether the content is the one the snapshot was taken with."""
    return len(content) == snapshot.size and zlib.crc32(content) == snapshot.crc


def _seal(content: bytes) -> bytes:
    return _CRC.pack(zlib.crc32(content)) + content


def _unseal(row: bytes, what: str) -> bytes:
    content = row[_CRC.size :]
    if len(row) < _CRC.size or _CRC.pack(zlib.crc32(content)) != row[: _CRC.size]:
        raise DamagedLog(f"{what} fails its checksum")
    return content
