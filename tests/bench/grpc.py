"""Unary gRPC calls over one HTTP/2 connection: only what a server of our choice needs, and fast.

A general client costs more CPU per call than etcd's server does, and would be what is measured.
"""

import asyncio
import struct
from collections import deque
from typing import cast

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK, _PADDED = 1, 4, 1, 8
_HEADER_TABLE, _ENABLE_PUSH, _INITIAL_WINDOW, _FRAME_MAX = 1, 2, 4, 5
_WINDOW_MAX = (1 << 31) - 1
_REFILL_BYTES = 1 << 29  # of what we may be sent, given back at a time
_WRITE_HIGH_BYTES = 64 << 20  # nothing waits: the load's own number outstanding bounds it
_FRAME = struct.Struct(">HBBBI")  # length's upper 16 bits, lower 8, type, flags, stream
_SETTING = struct.Struct(">HI")
_PREFIX = struct.Struct(">BI")  # compressed, length of the message


class CallError(Exception):
    """A call was not answered with a message."""


class Connection(asyncio.Protocol):
    """One connection; calls may overlap. What is sent in one turn leaves in one write."""

    def __init__(self, authority: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._authority = authority.encode()
        self._transport: asyncio.Transport
        self._queue: list[bytes] = []
        self._held = b""
        self._table: list[tuple[bytes, bytes]] = []  # what the server's header table has of us
        self._blocks: dict[bytes, bytes] = {}  # headers by path, once all of it is in the table
        self._stream = 1
        self._calls: dict[int, asyncio.Future[bytes]] = {}
        self._answers: dict[int, bytes] = {}
        self._window, self._stream_window, self._frame_max = 65_535, 65_535, 16_384
        self._waiting: deque[tuple[int, bytes]] = deque()  # bodies that no window had room for
        self._windows: dict[int, int] = {}  # of streams whose bodies are not out whole
        self._received_bytes = 0

    def call(self, path: bytes, message: bytes) -> "asyncio.Future[bytes]":
        """Return the answer to come. It fails with CallError."""
        future: asyncio.Future[bytes] = self._loop.create_future()
        stream, self._stream = self._stream, self._stream + 2
        self._calls[stream] = future
        block = self._blocks.get(path) or self._headers(path)
        self._post(_frame(_HEADERS, _END_HEADERS, stream, block))
        body = _PREFIX.pack(0, len(message)) + message
        room = min(self._window, self._stream_window, self._frame_max)
        if not self._waiting and len(body) <= room:
            self._window -= len(body)
            self._post(_frame(_DATA, _END_STREAM, stream, body))
        else:
            self._windows[stream] = self._stream_window
            self._waiting.append((stream, body))
            self._send_waiting()
        return future

    def close(self) -> None:
        """End the connection; what is not answered fails."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are stream transports without being asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_WRITE_HIGH_BYTES)
        settings = {_HEADER_TABLE: 0, _ENABLE_PUSH: 0, _INITIAL_WINDOW: _WINDOW_MAX}
        packed = b"".join(_SETTING.pack(*each) for each in settings.items())
        self._post(_PREFACE + _frame(_SETTINGS, 0, 0, packed))
        self._grant(_WINDOW_MAX - 65_535)

    def connection_lost(self, exc: Exception | None) -> None:
        calls, self._calls = self._calls, {}
        for future in calls.values():
            if not future.done():
                future.set_exception(CallError("the connection was lost"))

    def data_received(self, data: bytes) -> None:
        content = self._held + data if self._held else data
        start, size = 0, len(content)
        while size - start >= 9:
            upper, lower, kind, flags, stream = _FRAME.unpack_from(content, start)
            end = start + 9 + (upper << 8 | lower)
            if end > size:
                break
            if kind == _DATA:
                self._take_data(stream, flags, content[start + 9 : end])
            elif kind == _HEADERS:
                if flags & _END_STREAM:
                    self._end(stream)
            else:
                self._take_control(kind, flags, stream, content[start + 9 : end])
            start = end
        self._held = content[start:]

    def _take_data(self, stream: int, flags: int, content: bytes) -> None:
        assert not flags & _PADDED
        before = self._answers.get(stream)
        self._answers[stream] = content if before is None else before + content
        self._received_bytes += len(content)
        if self._received_bytes > _REFILL_BYTES:
            self._grant(self._received_bytes)
            self._received_bytes = 0

    def _end(self, stream: int) -> None:
        """Settle a call: a server that refuses one sends no message at all."""
        answer, future = self._answers.pop(stream, b""), self._calls.pop(stream, None)
        self._windows.pop(stream, None)
        if future is None or future.done():
            return
        if len(answer) < _PREFIX.size:
            future.set_exception(CallError("no message came"))
            return
        is_compressed, length = _PREFIX.unpack_from(answer)
        assert not is_compressed
        assert length == len(answer) - _PREFIX.size
        future.set_result(answer[_PREFIX.size :])

    def _take_control(self, kind: int, flags: int, stream: int, content: bytes) -> None:
        if kind == _SETTINGS and not flags & _ACK:
            for name, value in _SETTING.iter_unpack(content):
                self._set(name, value)
            self._post(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._post(_frame(_PING, _ACK, 0, content))
        elif kind == _WINDOW:
            more = int.from_bytes(content, "big")
            if stream == 0:
                self._window += more
            elif stream in self._windows:
                self._windows[stream] += more
            self._send_waiting()
        elif kind == _RESET:
            self._answers.pop(stream, None)
            self._end(stream)
        elif kind == _GOAWAY:
            self._transport.abort()

    def _set(self, name: int, value: int) -> None:
        if name == _INITIAL_WINDOW:
            for stream in self._windows:
                self._windows[stream] += value - self._stream_window
            self._stream_window = value
        elif name == _FRAME_MAX:
            self._frame_max = value

    def _send_waiting(self) -> None:
        """Send as much as the windows have room for, each stream's body in its order."""
        blocked: deque[tuple[int, bytes]] = deque()
        while self._waiting and self._window > 0:
            stream, body = self._waiting.popleft()
            while body and (room := self._room(stream)) > 0:
                part, body = body[:room], body[room:]
                self._window -= len(part)
                self._windows[stream] -= len(part)
                self._post(_frame(_DATA, 0 if body else _END_STREAM, stream, part))
            if body:
                blocked.append((stream, body))
        self._waiting.extendleft(reversed(blocked))

    def _room(self, stream: int) -> int:
        return min(self._window, self._windows[stream], self._frame_max)

    def _grant(self, count: int) -> None:
        self._post(_frame(_WINDOW, 0, 0, count.to_bytes(4, "big")))

    def _headers(self, path: bytes) -> bytes:
        """Return the request's headers; what is new goes into the server's table."""
        fields = (
            (b":authority", self._authority),
            (b":path", path),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
        )
        block = b"\x83\x86"  # POST, http
        is_known = all(field in self._table for field in fields)
        for field in fields:
            block += self._field(field)
        if is_known:
            self._blocks[path] = block
        return block

    def _field(self, field: tuple[bytes, bytes]) -> bytes:
        if field in self._table:
            return bytes([0x80 | 61 + len(self._table) - self._table.index(field)])
        self._table.append(field)
        self._blocks.clear()  # every index has moved
        name, value = field
        return bytes([0x40, len(name)]) + name + bytes([len(value)]) + value

    def _post(self, frame: bytes) -> None:
        if not self._queue:
            self._loop.call_soon(self._flush)
        self._queue.append(frame)

    def _flush(self) -> None:
        self._transport.write(b"".join(self._queue))
        self._queue.clear()


def _frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    size = len(content)
    return _FRAME.pack(size >> 8, size & 0xFF, kind, flags, stream) + content
