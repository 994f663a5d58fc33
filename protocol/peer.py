"""One link: its greeting, frames both ways, heartbeats, and its end."""

import asyncio
import contextlib
import socket
from functools import lru_cache
from typing import Protocol, cast

import structlog

from protocol.errors import Denied, Malformed, UnknownMessage
from protocol.frames import Body, Frame, Payload, Ping, Pong, decode_frame, encode_frame
from protocol.framing import Splitter
from protocol.handshake import Agreement
from protocol.messages.link import Leader, LinkRefused, LinkRole

QUEUED_BYTES_MAX = 16 << 20  # a peer that is this far behind is dropped: memory has an end
WRITE_HIGH_BYTES = 256 << 10  # above this a peer is not writable; below, nothing waits for it
FRAMES_PER_TURN_MAX = 64  # one peer must not hold the loop
FRAME_OVERHEAD_BYTES = 256  # what a frame adds around its payload, generously
LINGER_S = 1.0  # after a refusal: the other side reads it and closes
CLOSE_S = 5.0  # after a close: what is still queued may leave
REASON_CHARS_MAX = 200

log = structlog.get_logger()


class Receiver(Protocol):
    """Takes what comes over welcomed links."""

    def connected(self, peer: "Peer") -> None: ...

    def received(self, peer: "Peer", payload: bytes, epoch: int) -> None: ...

    def leader_changed(self, peer: "Peer", leader: Leader) -> None: ...

    def disconnected(self, peer: "Peer", reason: str) -> None: ...


class Greeter(Protocol):
    """One side of a greeting: `ServerHandshake` or `ClientHandshake`."""

    @property
    def agreement(self) -> Agreement | None: ...

    def first(self) -> Body | None: ...

    def receive(self, body: Body) -> Body | None: ...


class PeerOwner(Protocol):
    """Keeps peers: told when a connection stands, is welcomed, and is gone."""

    def opened(self, peer: "Peer") -> None: ...

    def welcomed(self, peer: "Peer") -> Receiver: ...

    def closed(self, peer: "Peer", reason: str) -> None: ...


class Peer(asyncio.Protocol):
    """The other end of one link; becomes open at the welcome and ends once.

    Frames sent within one loop turn leave in one write. Every fault of the other side ends this
    link with one log line and nothing else.
    """

    def __init__(self, greeter: Greeter, owner: PeerOwner, silence_s: float) -> None:
        self.name = ""
        self.principal = ""
        self.role = LinkRole.UNSET
        self.host = ""  # remote ip
        self.address = ""  # remote ip:port
        self.cluster = ""
        self.is_open = False  # welcomed and not ending
        self.opened_s = 0.0
        self.refusal: LinkRefused | None = None  # what the other side, or our check of it, said
        self._loop = asyncio.get_running_loop()
        self._greeter = greeter
        self._hello = greeter.first()  # the caller's; None on the answering side
        self._owner = owner
        self._receiver: Receiver | None = None
        self._transport: asyncio.Transport | None = None
        self._splitter = Splitter()
        self._heartbeat_s = silence_s
        self._silence_s = silence_s
        self._heard_s = self._spoke_s = 0.0
        self._queue: list[bytes] = []
        self._queued_bytes = 0  # in the queue
        self._unsent_bytes = 0  # in the transport, at the last look
        self._is_paused = False
        self._is_draining = False
        self._ends_s: float | None = None  # set once ending: when the connection is cut
        self._reason = ""

    @property
    def is_writable(self) -> bool:
        """Whether more may be sent without it only piling up."""
        return self.is_open and not self._is_paused

    @property
    def payload_bytes_max(self) -> int:
        """The biggest payload the other side takes."""
        return self._splitter.frame_bytes_max - FRAME_OVERHEAD_BYTES

    def send(self, payload: bytes, epoch: int = 0) -> None:
        """Queue a payload, decided under `epoch`; nothing happens once the link is not open.

        A payload over `payload_bytes_max` ends the link, as does a queue over QUEUED_BYTES_MAX:
        a message must not vanish from the middle of a stream.
        """
        if not self.is_open:
            return
        if len(payload) > self.payload_bytes_max:
            text = f"a payload of {len(payload)} bytes; at most {self.payload_bytes_max}"
            log.error("message too large to send", peer=self.name, reason=text)
            self.refuse("TOO_LARGE", text, is_retryable=True)
            return
        self._post(encode_frame(Frame(epoch, Payload(payload))))

    def flush(self) -> None:
        """Write what is queued now, rather than at the end of this turn of the event loop."""
        if self._transport is None or not self._queue:
            return
        self._transport.write(b"".join(self._queue))
        self._queue.clear()
        self._queued_bytes = 0
        self._unsent_bytes = self._transport.get_write_buffer_size()
        self._spoke_s = self._loop.time()

    def tell_leader(self, leader: Leader) -> None:
        """Queue who leads; nothing happens once the link is not open."""
        if self.is_open:
            self._post(_encode_leader(leader))

    def refuse(self, code: str, text: str, is_retryable: bool = False) -> None:
        """End the link, telling the other side why."""
        if self._ends_s is not None or self._transport is None:
            return
        self._post(encode_frame(Frame(0, LinkRefused(code, text[:REASON_CHARS_MAX], is_retryable))))
        if self._ends_s is None:
            # The other side closes once it has read this; a close now could discard it there.
            self._end(f"refused: {text or code}", LINGER_S)

    def close(self, reason: str = "") -> None:
        """End the link after what is queued has left."""
        if self._ends_s is not None or self._transport is None:
            return
        self.flush()
        self._end(reason or "closed here", CLOSE_S)
        self._transport.close()

    def drop(self, reason: str) -> None:
        """End the link at once; what is queued is lost."""
        if self._transport is None:
            return
        if self._ends_s is None:
            self._end(reason, 0.0)
        self._queue.clear()
        self._queued_bytes = 0
        self._transport.abort()

    def check(self, now_s: float, greeting_s: float) -> None:
        """Do what time asks for: end what overstays, drop who is silent, ping who is idle."""
        if self._ends_s is not None:
            if now_s >= self._ends_s:
                self.drop(self._reason)
        elif not self.is_open:
            if now_s - self.opened_s > greeting_s:
                self._drop_logged("greeting not finished in time")
        elif now_s - self._heard_s > self._silence_s:
            self._drop_logged(f"silent for {self._silence_s:g} s")
        elif now_s - self._spoke_s >= self._heartbeat_s:
            self._post(_PING)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are stream transports without being asyncio's.
        transport = cast(asyncio.Transport, transport)
        self._transport = transport
        self.opened_s = self._heard_s = self._spoke_s = self._loop.time()
        transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self.host, self.address = _name_remote(transport.get_extra_info("peername"))
        _tune(transport.get_extra_info("socket"))
        self._owner.opened(self)
        if self._ends_s is None and self._hello is not None:
            self._post(encode_frame(Frame(0, self._hello)))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return  # the owner said so before
        if self._ends_s is None:
            self._reason = str(exc) if exc is not None else "closed by the other side"
        self._ends_s = 0.0
        self.is_open = False
        self._transport = None
        self._splitter.clear()
        self._queue.clear()
        if self._receiver is not None:
            receiver, self._receiver = self._receiver, None
            try:
                receiver.disconnected(self, self._reason)
            except Exception:
                log.exception("handling of a lost link failed", peer=self.name)
        self._owner.closed(self, self._reason)

    def eof_received(self) -> bool:
        # The transport closes once it has written what is queued, which may be never.
        if self._ends_s is None:
            self._end("closed by the other side", CLOSE_S)
        return False

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False

    def data_received(self, data: bytes) -> None:
        if self._ends_s is not None:
            return
        self._heard_s = self._loop.time()
        self._splitter.feed(data)
        if not self._is_draining:
            self._drain()

    def _drain(self) -> None:
        """Handle the frames that are whole, at most FRAMES_PER_TURN_MAX of them in this turn."""
        try:
            for _ in range(FRAMES_PER_TURN_MAX):
                segments = None if self._ends_s is not None else self._splitter.next_frame()
                if segments is None:
                    self._hear_again()
                    return
                self._handle(decode_frame(segments))
        except Malformed as error:
            self._drop_logged(f"malformed message: {error}")
        except Exception:
            log.exception("handling of a message failed", peer=self.name, address=self.address)
            self.drop("handling of a message failed")
        else:
            self._drain_later()

    def _drain_later(self) -> None:
        if not self._is_draining and self._transport is not None:
            self._is_draining = True
            self._transport.pause_reading()
        self._loop.call_soon(self._drain)

    def _hear_again(self) -> None:
        if self._is_draining and self._transport is not None:
            self._transport.resume_reading()
        self._is_draining = False

    def _handle(self, frame: Frame) -> None:
        body = frame.body
        if isinstance(body, LinkRefused):
            self._take_refusal(body)
        elif self._receiver is None:
            self._greet(body)
        elif isinstance(body, Payload):
            self._receiver.received(self, body.content, frame.epoch)
        elif isinstance(body, Ping):
            self._post(encode_frame(Frame(0, Pong(body.number))))
        elif isinstance(body, Leader) and self._hello is not None:
            self._receiver.leader_changed(self, body)
        elif not isinstance(body, Pong):
            raise UnknownMessage(f"{type(body).__name__} after the welcome")

    def _greet(self, body: Body) -> None:
        try:
            answer = self._greeter.receive(body)
        except Denied as denied:
            self._take_refusal(LinkRefused(denied.code, denied.text))
            return
        if isinstance(answer, LinkRefused):
            log.warning("link refused", address=self.address, code=answer.code, reason=answer.text)
            self.refuse(answer.code, answer.text, answer.is_retryable)
            return
        if answer is not None:
            self._post(encode_frame(Frame(0, answer)))
        agreement = self._greeter.agreement
        if agreement is not None:
            self._open(agreement)

    def _open(self, agreement: Agreement) -> None:
        self.name, self.principal = agreement.name, agreement.principal
        self.role, self.cluster = agreement.role, agreement.cluster
        self._heartbeat_s = agreement.heartbeat_s
        self._splitter.frame_bytes_max = agreement.frame_bytes_max
        self.is_open = True
        self._receiver = self._owner.welcomed(self)
        self._receiver.connected(self)

    def _take_refusal(self, refusal: LinkRefused) -> None:
        text = "".join(c for c in refusal.text[:REASON_CHARS_MAX] if c.isprintable())
        code = "".join(c for c in refusal.code[:REASON_CHARS_MAX] if c.isprintable())
        self.refusal = LinkRefused(code, text, refusal.is_retryable)
        self.close(f"refused by the other side: {text or code}")

    def _post(self, frame: bytes) -> None:
        transport = self._transport
        assert transport is not None
        if self._queued_bytes + self._unsent_bytes + len(frame) > QUEUED_BYTES_MAX:
            self._unsent_bytes = transport.get_write_buffer_size()
            if self._queued_bytes + self._unsent_bytes + len(frame) > QUEUED_BYTES_MAX:
                self._drop_logged(f"over {QUEUED_BYTES_MAX} bytes are queued for it")
                return
        if not self._queue:
            self._loop.call_soon(self.flush)
        self._queue.append(frame)
        self._queued_bytes += len(frame)

    def _drop_logged(self, reason: str) -> None:
        log.warning("peer dropped", peer=self.name, address=self.address, reason=reason)
        self.drop(reason)

    def _end(self, reason: str, grace_s: float) -> None:
        self.is_open = False
        self._reason = reason
        self._ends_s = self._loop.time() + grace_s


@lru_cache(maxsize=4)
def _encode_leader(leader: Leader) -> bytes:
    return encode_frame(Frame(0, leader))


def _name_remote(peername: object) -> tuple[str, str]:
    """The remote's ip, and its ip:port."""
    if isinstance(peername, tuple) and len(peername) >= 2:
        host, port = str(peername[0]), peername[1]
        return host, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return "", ""


def _tune(sock: socket.socket | None) -> None:
    # Kernel keepalive only clears up after a peer that is gone while this process is paused;
    # heartbeats do the rest. Simulated transports have no socket.
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with contextlib.suppress(OSError):  # already reset by the other side, as its reader will tell
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


_PING = encode_frame(Frame(0, Ping(0)))
