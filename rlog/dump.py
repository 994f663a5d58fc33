"""A state on its way from its reader to the journal: its outline first, then chunk by chunk."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rlog.rows import CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class Outline:
    """What a written state measures: enough to check the whole and each chunk of it."""

    size: int
    crc: int
    checksums: tuple[int, ...]  # of the chunks, in order


class Dumping(Protocol):
    """One state being written down, perhaps by another process."""

    @property
    def outline(self) -> Outline | None:
        """What it measures, once that is known."""

    @property
    def failure(self) -> str:
        """Why nothing more will come; empty while all is well."""

    @property
    def is_ready(self) -> bool:
        """Whether `take` would return anything."""

    def take(self, most: int) -> list[bytes]:
        """Return up to so many of the chunks that are next; fewer when no more are there yet."""

    def close(self) -> None:
        """Let go of what was not taken; harmless when all was."""


class Dumper(Protocol):
    """Where states are written down."""

    def begin(
        self, dump: Callable[[], bytes], expected_bytes: int, wake: Callable[[], None]
    ) -> Dumping:
        """Write down what `dump` returns as of now; call `wake` when there is more to take."""


class InlineDumper:
    """Writes states down at once, in this process: for small ones, and in virtual time."""

    def begin(
        self, dump: Callable[[], bytes], expected_bytes: int, wake: Callable[[], None]
    ) -> Dumping:
        """Return the whole of it."""
        return WholeDump(dump())


class WholeDump:
    """A state that lies in memory as a whole."""

    def __init__(self, content: bytes) -> None:
        self.failure = ""
        self.outline = outline_of(content)
        self._content = content
        self._taken = 0

    @property
    def is_ready(self) -> bool:
        """Whether anything is left."""
        return self._taken < self.outline.size

    def take(self, most: int) -> list[bytes]:
        """Return the next chunks."""
        begin, self._taken = self._taken, min(self._taken + most * CHUNK_BYTES, self.outline.size)
        return [
            self._content[offset : min(offset + CHUNK_BYTES, self._taken)]
            for offset in range(begin, self._taken, CHUNK_BYTES)
        ]

    def close(self) -> None:
        """Forget it."""
        self._content, self._taken = b"", self.outline.size


def outline_of(content: bytes) -> Outline:
    """Return what a whole content measures."""
    view = memoryview(content)
    offsets = range(0, len(content), CHUNK_BYTES)
    checksums = tuple(zlib.crc32(view[offset : offset + CHUNK_BYTES]) for offset in offsets)
    return Outline(len(content), zlib.crc32(content), checksums)
