"""A copy of a log in one file: a header, the snapshot's content, the entries after it, a seal.

The file is a magic line and blocks. Each block is its length and CRC-32 (little-endian, 4 bytes
each) and its content: one byte for its kind, then MessagePack or, for a chunk, bytes of the state.
The last block counts what came before, so a file that was cut short is noticed.
"""

import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TypeAlias

import msgspec

from protocol.errors import Malformed
from rlog.messages import Entry
from rlog.rows import Snapshot

MAGIC = b"quorate log backup 1\n"
BLOCK_BYTES_MAX = 8 << 20  # a batch of entries is far smaller; keeps a damaged length harmless
_FRAME = struct.Struct("<II")
_HEADER, _CHUNK, _ENTRIES, _SEAL = b"HCES"


class Header(msgspec.Struct, frozen=True):
    """What was copied: the log of one cluster, committed up to `committed`, at a wall time."""

    cluster: str
    source: str  # the member that was copied
    term: int
    committed: int
    stamp_ns: int
    snapshot: Snapshot


class Seal(msgspec.Struct, frozen=True):
    """What the file must hold before its end."""

    content_bytes: int
    entries: int


Block: TypeAlias = Header | bytes | list[Entry] | Seal


class BackupWriter:
    """Writes a backup under another name, and gives it its own when it is whole and on disk."""

    def __init__(self, path: str, header: Header) -> None:
        """Raises: OSError, FileExistsError when `path` is there already."""
        if os.path.exists(path):
            raise FileExistsError(17, "there is a file of this name already", path)
        self._path = path
        self._file = open(f"{path}.part", "wb")  # noqa: SIM115 – closed by `close` or `abandon`
        self._content_bytes = self._entries = 0
        self._file.write(MAGIC)
        self._put(_HEADER, msgspec.msgpack.encode(header))

    @property
    def size(self) -> int:
        """How much was written."""
        return self._file.tell()

    def add_chunk(self, chunk: bytes) -> None:
        """Write what comes next of the snapshot's content."""
        self._content_bytes += len(chunk)
        self._put(_CHUNK, chunk)

    def add_entries(self, entries: Sequence[Entry]) -> None:
        """Write the entries that come next."""
        self._entries += len(entries)
        rows = [(entry.index, entry.term, entry.command) for entry in entries]
        self._put(_ENTRIES, msgspec.msgpack.encode(rows))

    def close(self) -> None:
        """Seal the file and make it durable under its name. Raises: OSError."""
        self._put(_SEAL, msgspec.msgpack.encode(Seal(self._content_bytes, self._entries)))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.rename(f"{self._path}.part", self._path)
        handle = os.open(os.path.dirname(os.path.abspath(self._path)), os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def abandon(self) -> None:
        """Leave nothing of an unfinished backup."""
        self._file.close()
        os.unlink(f"{self._path}.part")

    def _put(self, kind: int, content: bytes) -> None:
        block = bytes((kind,)) + content
        self._file.write(_FRAME.pack(len(block), zlib.crc32(block)))
        self._file.write(block)


def read_backup(file: IO[bytes]) -> Iterator[Block]:
    """Yield the header, the snapshot's content, the entries, and the seal, in this order.

    Raises: Malformed for a file that is none, is damaged, or was cut short.
    """
    if file.read(len(MAGIC)) != MAGIC:
        raise Malformed("it is no backup of a log, or of a version not known here")
    content_bytes = entries = 0
    for number, (kind, content) in enumerate(_blocks(file)):
        if (kind == _HEADER) != (number == 0):
            raise Malformed("its blocks are out of order")
        block = _decode(kind, content)
        if isinstance(block, Seal):
            if block != Seal(content_bytes, entries) or file.read(1):
                raise Malformed("its seal does not fit what it holds")
            yield block
            return
        content_bytes += len(block) if isinstance(block, bytes) else 0
        entries += len(block) if isinstance(block, list) else 0
        yield block
    raise Malformed("it was cut short: its end is missing")


def check_backup(blocks: Iterable[Block]) -> Header:
    """Read a whole backup and return its header.

    Raises: Malformed when the snapshot or the entries are not what the header says.
    """
    header: Header | None = None
    size = crc = 0
    expected = 1
    for block in blocks:
        if isinstance(block, Header):
            header, expected = block, block.snapshot.index + 1
        elif isinstance(block, bytes):
            size, crc = size + len(block), zlib.crc32(block, crc)
        elif isinstance(block, list):
            for entry in block:
                if entry.index != expected:
                    raise Malformed(f"entry {expected} is missing")
                expected += 1
    assert header is not None
    if (size, crc) != (header.snapshot.size, header.snapshot.crc):
        raise Malformed(f"the snapshot of entry {header.snapshot.index} fails its checksum")
    if expected != header.committed + 1:
        raise Malformed(f"entries {expected} to {header.committed} are missing")
    return header


def _blocks(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    while frame := file.read(_FRAME.size):
        if len(frame) < _FRAME.size:
            raise Malformed("it was cut short")
        size, crc = _FRAME.unpack(frame)
        if not 0 < size <= BLOCK_BYTES_MAX:
            raise Malformed(f"a block of {size} bytes; at most {BLOCK_BYTES_MAX}")
        block = file.read(size)
        if len(block) < size:
            raise Malformed("it was cut short")
        if zlib.crc32(block) != crc:
            raise Malformed("a block fails its checksum")
        yield block[0], block[1:]


def _decode(kind: int, content: bytes) -> Block:
    try:
        if kind == _HEADER:
            return msgspec.msgpack.decode(content, type=Header)
        if kind == _ENTRIES:
            rows = msgspec.msgpack.decode(content, type=list[tuple[int, int, bytes]])
            return [Entry(*row) for row in rows]
        if kind == _SEAL:
            return msgspec.msgpack.decode(content, type=Seal)
    except msgspec.MsgspecError as error:
        raise Malformed(f"a block cannot be read: {error}") from error
    if kind != _CHUNK:
        raise Malformed(f"a block of unknown kind {kind}")
    return content
