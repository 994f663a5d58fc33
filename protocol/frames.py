"""Frames: what a link carries; a payload stays bytes, for the codec of the link's role."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from protocol import schema
from protocol.codecs.link import (
    read_challenge,
    read_hello,
    read_leader,
    read_link_refused,
    read_proof,
    read_welcome,
    write_challenge,
    write_hello,
    write_leader,
    write_link_refused,
    write_proof,
    write_welcome,
)
from protocol.messages.link import Challenge, Hello, Leader, LinkRefused, Proof, Welcome
from protocol.records import record

_FRAME_BYTES = 128  # the root, its pointer and room to spare around a payload


@record
class Ping:
    """Asks for a pong with the same number."""

    number: int


@record
class Pong:
    """Answers the ping with this number."""

    number: int


@record
class Payload:
    """One message of the role's own schema, encoded."""

    content: bytes


Body: TypeAlias = Hello | Challenge | Proof | Welcome | LinkRefused | Ping | Pong | Leader | Payload


@record
class Frame:
    """What is said, and the leadership it was decided under (0 where none is meant)."""

    epoch: int
    body: Body


_LINK = schema.load("protocol/link.capnp")
_FRAME = _LINK.Frame.schema.fields
_FRAME__EPOCH = _FRAME["epoch"]
_FRAME__PING = _FRAME["ping"]
_FRAME__PONG = _FRAME["pong"]
_FRAME__PAYLOAD = _FRAME["payload"]

_READERS: dict[str, schema.Arm[Body]] = {
    "hello": (_FRAME["hello"], read_hello, 0),
    "challenge": (_FRAME["challenge"], read_challenge, 0),
    "proof": (_FRAME["proof"], read_proof, 0),
    "welcome": (_FRAME["welcome"], read_welcome, 0),
    "refused": (_FRAME["refused"], read_link_refused, 0),
    "ping": (_FRAME__PING, Ping, 0),
    "pong": (_FRAME__PONG, Pong, 0),
    "leader": (_FRAME["leader"], read_leader, 0),
    "payload": (_FRAME__PAYLOAD, Payload, 0),
}
_WRITERS: dict[type, tuple[Any, Callable[[Any, Any], None]]] = {
    Hello: (_FRAME["hello"], write_hello),
    Challenge: (_FRAME["challenge"], write_challenge),
    Proof: (_FRAME["proof"], write_proof),
    Welcome: (_FRAME["welcome"], write_welcome),
    LinkRefused: (_FRAME["refused"], write_link_refused),
    Leader: (_FRAME["leader"], write_leader),
}


def encode_frame(frame: Frame) -> bytes:
    """Return the frame as it stands on the wire, header included.

    Raises: ValueError when a value does not fit its field.
    """
    room = len(frame.body.content) + _FRAME_BYTES if isinstance(frame.body, Payload) else 0
    return schema.encode_root(_LINK.Frame, _write_frame, frame, room)


def decode_frame(segments: Sequence[bytes]) -> Frame:
    """Return the frame that the segments of one message hold.

    Raises: BadFrame, or UnknownMessage for a kind of frame that this version lacks.
    """
    return schema.decode_segments(_LINK.Frame, _read_frame, segments)


def _read_frame(reader: Any) -> Frame:
    return Frame(reader._get_by_field(_FRAME__EPOCH), schema.read_arm(reader, _READERS))


def _write_frame(frame: Frame, builder: Any) -> None:
    put, body = builder._set_by_field, frame.body
    if frame.epoch:
        put(_FRAME__EPOCH, frame.epoch)
    if isinstance(body, Payload):
        put(_FRAME__PAYLOAD, body.content)
    elif isinstance(body, Ping):
        put(_FRAME__PING, body.number)
    elif isinstance(body, Pong):
        put(_FRAME__PONG, body.number)
    else:
        field, write = _WRITERS[type(body)]
        write(body, builder._init_by_field(field))
