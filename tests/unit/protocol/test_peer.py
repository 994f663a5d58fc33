"""One link over a loopback socket: payloads, heartbeats, limits, and every way it ends."""

import asyncio
import struct
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from protocol.errors import UnknownMessage
from protocol.frames import Payload, Ping, Pong
from protocol.framing import FRAME_BYTES_MAX
from protocol.messages.link import Hello, Leader, LinkRole
from protocol.peer import FRAMES_PER_TURN_MAX, QUEUED_BYTES_MAX, Peer
from tests.unit.protocol.loopback import RawLink, Recorder, call, listen, on_both_loops

Run = Callable[[Any], Any]


@on_both_loops
def test_payloads_cross_both_ways_with_their_epochs(run: Run) -> None:
    async def main() -> None:
        listening = await listen(Recorder(answer=lambda peer, content: peer.send(content, 7)))
        calling = call(listening.address)
        peer = await calling.received.peer()
        peer.send(b"question", 3)
        await calling.received.changes.until(lambda: bool(calling.received.payloads))
        assert listening.received.payloads == [(b"question", 3)]
        assert calling.received.payloads == [(b"question", 7)]
        await calling.link.stop()
        await listening.server.stop()

    run(main())


@on_both_loops
def test_both_sides_know_each_other(run: Run) -> None:
    async def main() -> None:
        listening = await listen()
        calling = call(listening.address)
        ours, theirs = await calling.received.peer(), await listening.received.peer()
        assert (theirs.name, theirs.principal, theirs.role) == ("a1", "agents", LinkRole.AGENT)
        assert theirs.address.startswith("127.0.0.1:")
        assert (ours.name, ours.cluster, ours.address) == ("m1", "test", listening.address)
        assert ours.is_open
        assert ours.is_writable
        await calling.link.stop()
        assert not ours.is_open
        await listening.server.stop()

    run(main())


@on_both_loops
def test_many_frames_arrive_in_order_over_several_turns(run: Run) -> None:
    async def main() -> None:
        listening = await listen()
        raw = await RawLink.greeted(listening.port)
        count = 20 * FRAMES_PER_TURN_MAX + 1
        for number in range(count):
            raw.say(Payload(b"%d" % number))
        received = listening.received
        await received.changes.until(lambda: len(received.payloads) == count)
        assert [content for content, _ in received.payloads] == [b"%d" % n for n in range(count)]
        await raw.close()
        await listening.server.stop()

    run(main())


@on_both_loops
def test_close_lets_what_is_queued_leave(run: Run) -> None:
    async def main() -> None:
        listening = await listen()
        calling = call(listening.address)
        peer = await listening.received.peer()
        for number in range(100):
            peer.send(bytes([number]) * 10_000)
        peer.close("done with it")
        peer.send(b"too late")
        await calling.received.changes.until(lambda: bool(calling.received.lost))
        assert len(calling.received.payloads) == 100
        await listening.received.changes.until(lambda: bool(listening.received.lost))
        assert listening.received.lost == ["done with it"]
        await calling.link.stop()
        await listening.server.stop()

    run(main())


@on_both_loops
def test_refusal_after_the_welcome_reaches_the_caller(run: Run) -> None:
    async def main() -> None:
        listening = await listen()
        calling = call(listening.address)
        (await listening.received.peer()).refuse("NOT_A_VOTER", "a1 is not one of us")
        assert await calling.refusal() == ("NOT_A_VOTER", "a1 is not one of us")
        await calling.link.stop()
        await listening.server.stop()

    run(main())


@on_both_loops
def test_slow_reader_is_dropped_at_the_cap_with_one_line(run: Run) -> None:
    async def main() -> None:
        listening = await listen()
        raw = await RawLink.greeted(listening.port)
        peer = await listening.received.peer()
        sent = 0
        with capture_logs() as logs:
            while peer.is_open and sent < 2 * QUEUED_BYTES_MAX:
                peer.send(bytes(1 << 19))
                sent += 1 << 19
                await asyncio.sleep(0)
            assert not peer.is_writable
            await listening.received.changes.until(lambda: bool(listening.received.lost))
        assert sent >= QUEUED_BYTES_MAX
        assert "queued" in listening.received.lost[0]
        dropped = [line for line in logs if line["event"] == "peer dropped"]
        assert len(dropped) == 1
        await raw.close()
        await listening.server.stop()

    run(main())


@on_both_loops
def test_unread_output_makes_a_peer_not_writable_until_it_is_read(run: Run) -> None:
    async def main() -> None:
        listening = await listen()
        raw = await RawLink.greeted(listening.port)
        peer = await listening.received.peer()
        while peer.is_writable:
            peer.send(bytes(1 << 18))
            await asyncio.sleep(0)
        assert peer.is_open
        while not peer.is_writable:
            await raw.hear()
        await raw.close()
        await listening.server.stop()

    run(main())


def end_of(raw_words: Callable[[RawLink], None]) -> tuple[str, int]:
    """Why the server ended a link over which this was said, and how many links it had then."""

    async def main() -> tuple[str, int]:
        listening = await listen()
        canary = call(listening.address)
        await listening.received.peer()
        raw = await RawLink.greeted(listening.port)
        with capture_logs() as logs:
            raw_words(raw)
            await raw.hear_end()
            received = listening.received
            await received.changes.until(lambda: bool(received.lost))
        assert len([line for line in logs if line["log_level"] in ("warning", "error")]) == 1
        links = listening.server.peers
        await raw.close()
        await canary.link.stop()
        await listening.server.stop()
        return received.lost[0], links

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (lambda raw: raw.writer.write(b"\xff" * 64), "malformed"),
        (lambda raw: raw.writer.write(struct.pack("<2I", 0, 2) + bytes(16)), "malformed"),
        (lambda raw: raw.writer.write(struct.pack("<2I", 0, FRAME_BYTES_MAX)), "at most 1048576"),
        (lambda raw: raw.say(Hello()), "Hello after the welcome"),
        (lambda raw: raw.say(Leader("evil:1", 99, True)), "Leader after the welcome"),
    ],
)
def test_misbehaving_peer_is_dropped_alone_with_one_line(
    words: Callable[[RawLink], None], reason: str
) -> None:
    ended, links_left = end_of(words)
    assert reason in ended
    assert links_left == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (UnknownMessage("what is this"), "malformed message: what is this"),
        (AssertionError("our bug"), "handling of a message failed"),
    ],
)
def test_receiver_that_raises_costs_the_link_and_nothing_else(
    fault: Exception, reason: str
) -> None:
    def raise_fault(peer: Peer, payload: bytes) -> None:
        raise fault

    async def main() -> None:
        listening = await listen(Recorder(answer=raise_fault))
        raw = await RawLink.greeted(listening.port)
        with capture_logs() as logs:
            raw.say(Payload(b"x"))
            await raw.hear_end()
            await listening.received.changes.until(lambda: bool(listening.received.lost))
        assert listening.received.lost == [reason]
        assert len([line for line in logs if line["log_level"] in ("warning", "error")]) == 1
        await (await RawLink.greeted(listening.port)).close()
        await raw.close()
        await listening.server.stop()

    asyncio.run(main())


def test_payload_over_the_limit_ends_the_link_and_tells_both_sides() -> None:
    async def main() -> None:
        listening = await listen(frame_bytes_max=8192)
        calling = call(listening.address)
        peer = await listening.received.peer()
        peer.send(bytes(peer.payload_bytes_max))
        peer.send(bytes(peer.payload_bytes_max + 1))
        assert not peer.is_open
        await calling.received.changes.until(lambda: bool(calling.received.lost))
        assert len(calling.received.payloads) == 1
        assert "a payload of" in calling.received.lost[0]
        assert calling.link.refusal is None
        await calling.link.stop()
        await listening.server.stop()

    asyncio.run(main())


@on_both_loops
def test_silent_peer_is_dropped(run: Run) -> None:
    async def main() -> None:
        listening = await listen(heartbeat_s=0.02, silence_s=0.1)
        raw = await RawLink.greeted(listening.port)
        with capture_logs() as logs:
            await raw.hear_end()
            await listening.received.changes.until(lambda: bool(listening.received.lost))
        assert listening.received.lost == ["silent for 0.1 s"]
        assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
            "peer dropped"
        ]
        await raw.close()
        await listening.server.stop()

    run(main())


@on_both_loops
def test_idle_peer_that_answers_pings_stays(run: Run) -> None:
    async def main() -> None:
        listening = await listen(heartbeat_s=0.02, silence_s=0.5)
        calling = call(listening.address)
        raw = await RawLink.greeted(listening.port)
        for _ in range(40):  # longer than the silence that would end it
            frame = await raw.hear()
            assert frame is not None
            assert isinstance(frame.body, Ping)
            raw.say(Pong(frame.body.number))
        assert listening.server.peers == 2
        assert calling.received.lost == []
        await raw.close()
        await calling.link.stop()
        await listening.server.stop()

    run(main())


def test_ping_is_answered_with_its_number() -> None:
    async def main() -> None:
        listening = await listen()
        raw = await RawLink.greeted(listening.port)
        raw.say(Ping(42))
        frame = await raw.hear()
        assert frame is not None
        assert frame.body == Pong(42)
        await raw.close()
        await listening.server.stop()

    asyncio.run(main())


@on_both_loops
def test_half_closed_link_ends(run: Run) -> None:
    async def main() -> None:
        listening = await listen()
        raw = await RawLink.greeted(listening.port)
        raw.writer.write_eof()
        await raw.hear_end()
        await listening.received.changes.until(lambda: bool(listening.received.lost))
        assert listening.received.lost == ["closed by the other side"]
        await raw.close()
        await listening.server.stop()

    run(main())
