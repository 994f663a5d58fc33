"""Frames survive the wire, and what is no frame is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import schema
from protocol.errors import BadFrame, TooLarge, UnknownMessage
from protocol.frames import Body, Frame, Payload, Ping, Pong, decode_frame, encode_frame
from tests.unit.protocol.strategies import STRUCTS, messages

LINK = schema.load("protocol/link.capnp")
NUMBERS = st.integers(0, 2**64 - 1)
BODIES: st.SearchStrategy[Body] = st.one_of(
    st.builds(Ping, NUMBERS),
    st.builds(Pong, NUMBERS),
    st.builds(Payload, st.binary(max_size=100)),
    *[messages(noun) for noun in STRUCTS if noun.schema == "protocol/link.capnp"],
)
FRAMES = st.builds(Frame, NUMBERS, BODIES)


@given(frame=FRAMES)
def test_frame_survives_the_wire(frame: Frame) -> None:
    assert decode_frame(schema.split_segments(encode_frame(frame))) == frame


def test_large_payload_is_one_segment() -> None:
    content = encode_frame(Frame(1, Payload(bytes(1 << 20))))
    assert len(schema.split_segments(content)) == 1


@pytest.mark.parametrize("segments", [[], [b""], [bytes(7)], [bytes(8)] * 2, [b"\xff" * 64]])
def test_bytes_that_are_no_frame_are_refused(segments: list[bytes]) -> None:
    with pytest.raises((BadFrame, UnknownMessage)):
        decode_frame(segments)


def test_frame_that_says_nothing_is_unknown() -> None:
    with pytest.raises(UnknownMessage):
        decode_frame(LINK.Frame.new_message().to_segments())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(7),
        b"\0\0\0\0\2\0\0\0" + bytes(8),
        b"\0\0\0\0\1\0\0\0" + bytes(16),
        b"\1\0\0\0\1\0\0\0",
        b"\1\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0" + bytes(8),
        b"\2\0\0\0" + b"\xff\xff\xff\xff" * 3,
    ],
    ids=["empty", "no header", "short", "long", "half a header", "short second", "huge"],
)
def test_length_that_disagrees_with_the_header_is_refused(content: bytes) -> None:
    with pytest.raises(BadFrame):
        schema.split_segments(content)


def test_too_many_segments_are_refused() -> None:
    with pytest.raises(TooLarge):
        schema.split_segments((64).to_bytes(4, "little") + bytes(4 * 66))
