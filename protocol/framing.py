"""The byte stream of a link, cut into frames of the standard Cap'n Proto stream format."""

import struct

from protocol.errors import TooLarge

GREETING_BYTES_MAX = 4 << 10  # before welcome: a greeting is a few hundred bytes
FRAME_BYTES_MAX = 1 << 20  # the usual limit after welcome; bulk content goes in 64–256 KiB chunks
FRAME_BYTES_HARD_MAX = 4 << 20  # no configuration allows more: one peer must not own the memory
SEGMENTS_MAX = 64  # builders of other languages start a new segment about every 8 KiB
CHUNKS_MAX = 1024  # tiny reads of one big frame are joined early: each chunk costs an object

_FIRST = struct.Struct("<II")  # segments - 1, words of the first segment

Segments = list[bytes]


class Splitter:
    """Holds what has been received of a stream and gives its frames one by one.

    A frame's size is known from its header, so nothing over the limit is ever buffered beyond the
    chunk that brought the header; the chunks of a partial frame are joined once, when it is whole.
    """

    __slots__ = ("_chunks", "_held_bytes", "_position", "_wanted_bytes", "frame_bytes_max")

    def __init__(self, frame_bytes_max: int = GREETING_BYTES_MAX) -> None:
        self.frame_bytes_max = frame_bytes_max
        self._chunks: list[bytes] = []
        self._position = 0  # what the first chunk has already given
        self._held_bytes = 0  # received and not yet given
        self._wanted_bytes = _FIRST.size  # held bytes below which no frame can be whole

    def feed(self, chunk: bytes) -> None:
        """Add the next bytes of the stream; the caller takes frames before it feeds much more."""
        self._chunks.append(chunk)
        self._held_bytes += len(chunk)
        if len(self._chunks) >= CHUNKS_MAX:
            self._join()

    def next_frame(self) -> Segments | None:
        """The segments of the next whole frame, or None until more bytes come.

        Raises: TooLarge over `frame_bytes_max` or SEGMENTS_MAX.
        """
        if self._held_bytes < self._wanted_bytes:
            return None
        if len(self._chunks) > 1:
            self._join()
        content, start = self._chunks[0], self._position
        others, words = _FIRST.unpack_from(content, start)
        if others == 0:
            sizes = [words << 3]
            header_bytes = _FIRST.size
        else:
            if others >= SEGMENTS_MAX:
                raise TooLarge(f"a frame of {others + 1} segments; at most {SEGMENTS_MAX}")
            header_bytes = (4 * (others + 2) + 7) & ~7
            if self._held_bytes < header_bytes:
                self._wanted_bytes = header_bytes
                return None
            counts = struct.unpack_from(f"<{others + 1}I", content, start + 4)
            sizes = [count << 3 for count in counts]
        frame_bytes = header_bytes + sum(sizes)
        if frame_bytes > self.frame_bytes_max:
            raise TooLarge(f"a frame of {frame_bytes} bytes; at most {self.frame_bytes_max}")
        if self._held_bytes < frame_bytes:
            self._wanted_bytes = frame_bytes
            return None
        self._consume(frame_bytes)
        return _cut(content, start + header_bytes, sizes)

    def clear(self) -> None:
        """Forget everything held: the stream has ended."""
        self._chunks.clear()
        self._position = self._held_bytes = 0
        self._wanted_bytes = _FIRST.size

    def _join(self) -> None:
        self._chunks[0] = self._chunks[0][self._position :]
        self._position = 0
        self._chunks = [b"".join(self._chunks)]

    def _consume(self, frame_bytes: int) -> None:
        self._held_bytes -= frame_bytes
        self._position += frame_bytes
        self._wanted_bytes = _FIRST.size
        if self._held_bytes == 0:
            self._chunks.clear()
            self._position = 0


def _cut(content: bytes, start: int, sizes: list[int]) -> Segments:
    # Slices are fresh bytes objects, so each is aligned as a reader of words needs it.
    segments = []
    for size in sizes:
        segments.append(content[start : start + size])
        start += size
    return segments
