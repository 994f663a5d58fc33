"""Decodes mutated messages of every root: run as a program, since a mistake would abort it."""

import struct
import time
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from protocol import schema
from protocol.errors import Malformed
from protocol.frames import decode_frame, encode_frame
from protocol.reflection import snake
from tests.unit.protocol.strategies import ROOTS, codec_of, messages
from tests.unit.protocol.test_frames import FRAMES

BASES_PER_ROOT = 25
MUTANTS_PER_BASE = 16
DECODE_S_MAX = 1.0

# Words that do harm as pointers: endless lists, far pointers to nowhere, cycles, capabilities.
POINTERS = [
    b"\xff" * 8,
    struct.pack("<q", -4),
    struct.pack("<II", 1, 0xFFFFFFFF),
    struct.pack("<II", 1, 0xFFFFFFF8),
    struct.pack("<II", 1, 0xFFFFFFFF & ~7 | 7),
    struct.pack("<II", 2, 1),
    struct.pack("<II", 3, 0),
    struct.pack("<II", 0xFFFFFFFE, 5),
    struct.pack("<II", 0, 0x00010001),
    struct.pack("<II", 0xFFFFFFFC, 0x00010001),
]


def mutate(rng: Random, content: bytes) -> bytes:
    """Return the message with a few words, bytes or bits of it changed, moved or cut."""
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(200))
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        place = rng.randrange(len(changed))
        word = place & ~7
        match rng.randrange(6):
            case 0:
                changed[place] ^= 1 << rng.randrange(8)
            case 1:
                changed[place] = rng.choice((0, 1, 127, 128, 255))
            case 2:
                changed[word : word + 8] = rng.choice(POINTERS)
            case 3:
                changed[word : word + 8] = rng.randbytes(8)
            case 4:
                other = rng.randrange(len(changed)) & ~7
                changed[word : word + 8] = changed[other : other + 8]
            case 5 if len(changed) > 24:
                del changed[word : word + 8]
    if rng.random() < 0.8:  # mend the header, so that the damage is found by the reader
        struct.pack_into("<II", changed, 0, 0, (len(changed) - 8) // 8)
        del changed[8 + (len(changed) - 8) // 8 * 8 :]
    return bytes(changed)


def attack(
    name: str,
    values: st.SearchStrategy[Any],
    encode: Callable[[Any], bytes],
    decode: Callable[[bytes], object],
) -> None:
    """Decode mutants of one root: each is a message or Malformed, soon."""
    outcomes = {"read": 0, "refused": 0}

    @settings(
        max_examples=BASES_PER_ROOT,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(value=values, seed=st.integers(0, 2**32))
    def run(value: Any, seed: int) -> None:
        rng, content = Random(seed), encode(value)
        for _ in range(MUTANTS_PER_BASE):
            mutant = mutate(rng, content)
            begin = time.perf_counter()
            try:
                decode(mutant)
                outcomes["read"] += 1
            except Malformed:
                outcomes["refused"] += 1
            assert time.perf_counter() - begin < DECODE_S_MAX, mutant.hex()

    print(name, end=" ", flush=True)  # stands last in the output when the process aborts
    run()
    print(outcomes, flush=True)
    assert min(outcomes.values()) > 0


def main() -> None:
    for noun in ROOTS:
        codec, name = codec_of(noun), snake(noun.name)
        encode, decode = (getattr(codec, f"{verb}_{name}") for verb in ("encode", "decode"))
        attack(noun.name, messages(noun), encode, decode)
    attack("Frame", FRAMES, encode_frame, lambda c: decode_frame(schema.split_segments(c)))
    print("all roots stand")


if __name__ == "__main__":
    main()
