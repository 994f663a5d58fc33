"""The splitter gives the same frames whatever way their bytes arrive, and stays within limits."""

import random
import struct

import pytest

from protocol.errors import TooLarge
from protocol.framing import CHUNKS_MAX, GREETING_BYTES_MAX, SEGMENTS_MAX, Segments, Splitter

FRAMES_MAX = 10_000  # ends a test whose splitter would give frames for ever


def encode(segments: Segments) -> bytes:
    sizes = [len(segment) // 8 for segment in segments]
    header = struct.pack(f"<{len(sizes) + 1}I", len(sizes) - 1, *sizes)
    return header + bytes(-len(header) % 8) + b"".join(segments)


def take_all(splitter: Splitter) -> list[Segments]:
    frames: list[Segments] = []
    while len(frames) < FRAMES_MAX and (frame := splitter.next_frame()) is not None:
        frames.append(frame)
    return frames


def split(content: bytes, sizes: list[int]) -> list[Segments]:
    splitter, frames, start = Splitter(), [], 0
    for size in sizes:
        splitter.feed(content[start : start + size])
        frames += take_all(splitter)
        start += size
    return frames


def random_frame(rng: random.Random) -> Segments:
    counts = [rng.randrange(12) for _ in range(rng.choice((1, 1, 1, 2, 3, 9)))]
    return [rng.randbytes(8 * count) for count in counts]


@pytest.mark.parametrize("seed", range(20))
def test_frames_are_the_same_however_the_bytes_are_cut(seed: int) -> None:
    rng = random.Random(seed)
    frames = [random_frame(rng) for _ in range(50)]
    content = b"".join(map(encode, frames))
    sizes: list[int] = []
    while sum(sizes) < len(content):
        sizes.append(rng.choice((1, 2, 7, 8, 9, 64, 500)))
    assert split(content, sizes) == frames
    assert split(content, [len(content)]) == frames
    assert split(content, [1] * len(content)) == frames


def test_frame_of_exactly_the_limit_is_taken() -> None:
    splitter = Splitter(64)
    splitter.feed(encode([bytes(56)]))
    assert splitter.next_frame() == [bytes(56)]


@pytest.mark.parametrize("segments", [[bytes(64)], [bytes(24), bytes(32)]])
def test_frame_over_the_limit_is_refused_from_its_header(segments: Segments) -> None:
    splitter = Splitter(64)
    splitter.feed(encode(segments)[:16])
    with pytest.raises(TooLarge, match="at most 64"):
        splitter.next_frame()


def test_claims_of_huge_segments_are_refused() -> None:
    splitter = Splitter()
    splitter.feed(struct.pack("<4I", 1, 2**32 - 1, 2**32 - 1, 0))
    with pytest.raises(TooLarge):
        splitter.next_frame()


def test_as_many_segments_as_allowed_are_taken_and_one_more_is_refused() -> None:
    splitter = Splitter()
    splitter.feed(encode([bytes(8)] * SEGMENTS_MAX))
    assert splitter.next_frame() == [bytes(8)] * SEGMENTS_MAX
    splitter.feed(struct.pack("<2I", SEGMENTS_MAX, 1))
    with pytest.raises(TooLarge, match="segments"):
        splitter.next_frame()


def test_raised_limit_holds_for_the_frames_after() -> None:
    splitter = Splitter()
    big = [bytes(2 * GREETING_BYTES_MAX)]
    splitter.feed(encode([bytes(8)]) + encode(big))
    assert splitter.next_frame() == [bytes(8)]
    splitter.frame_bytes_max = 4 * GREETING_BYTES_MAX
    assert splitter.next_frame() == big


def test_tiny_chunks_of_a_big_frame_do_not_pile_up() -> None:
    splitter = Splitter(1 << 20)
    content = encode([random.Random(7).randbytes(80_000)])
    for start in range(0, len(content), 2):
        assert splitter.next_frame() is None
        splitter.feed(content[start : start + 2])
        assert len(splitter._chunks) <= CHUNKS_MAX
    assert splitter.next_frame() == [content[8:]]
