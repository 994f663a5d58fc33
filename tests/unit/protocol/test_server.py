"""The listening side: caps, refusals, the leader's announcement, start and stop."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from protocol.credentials import Credentials
from protocol.handshake import LinkIdentity
from protocol.messages.link import Leader, LinkRefused, LinkRole
from protocol.server import REFUSED_MAX, Server
from tests.unit.protocol.loopback import (
    HOST,
    RawLink,
    Recorder,
    call,
    credentials_of,
    listen,
    make_config,
    make_identity,
    on_both_loops,
)

Run = Callable[[Any], Any]
INSECURE = Credentials.insecure()


@on_both_loops
@pytest.mark.parametrize(
    ("identity", "code"),
    [
        (make_identity(credentials=credentials_of("agents", "wrong")), "WRONG_SECRET"),
        (
            make_identity(principal="ghost", credentials=credentials_of("ghost", "x")),
            "WRONG_SECRET",
        ),
        (make_identity(LinkRole.OPERATOR), "WRONG_ROLE"),
        (make_identity(LinkRole.REPLICA, principal="root"), "ROLE_NOT_SERVED"),
        (make_identity(cluster="other"), "WRONG_CLUSTER"),
        (make_identity(credentials=INSECURE), "SECRET_NEEDED"),
    ],
)
def test_caller_learns_why_it_is_refused(run: Run, identity: LinkIdentity, code: str) -> None:
    async def main() -> None:
        listening = await listen()
        calling = call(listening.address, identity)
        assert (await calling.refusal())[0] == code
        assert listening.server.peers == 0
        assert listening.received.peers == []
        await calling.link.stop()
        await listening.server.stop()

    run(main())


@on_both_loops
def test_insecure_server_warns_once_and_takes_insecure_callers(run: Run) -> None:
    async def main() -> None:
        with capture_logs() as logs:
            listening = await listen(credentials=INSECURE, is_insecure=True)
        assert [line["log_level"] for line in logs] == ["warning"]
        assert "not authenticated" in logs[0]["event"]
        insecure = call(listening.address, make_identity(credentials=INSECURE))
        peer = await listening.received.peer()
        assert peer.principal == ""
        proving = call(listening.address)
        assert (await proving.refusal())[0] == "SERVER_INSECURE"
        await insecure.link.stop()
        await proving.link.stop()
        await listening.server.stop()

    run(main())


def test_server_without_credentials_must_be_insecure_by_its_configuration() -> None:
    with pytest.raises(ValueError, match="configured insecure"):
        make_config(credentials=INSECURE)


@pytest.mark.parametrize("frame_bytes_max", [4095, (4 << 20) + 1])
def test_frame_limit_out_of_bounds_is_refused(frame_bytes_max: int) -> None:
    with pytest.raises(ValueError, match="frame_bytes_max"):
        make_config(frame_bytes_max=frame_bytes_max)


@pytest.mark.parametrize("caps", [(1, 9), (9, 1)])
def test_connection_over_a_cap_is_told_and_may_come_back(caps: tuple[int, int]) -> None:
    async def main() -> None:
        listening = await listen(connections_max=caps[0], connections_per_ip_max=caps[1])
        first = await RawLink.greeted(listening.port)
        second = await RawLink.open(listening.port)
        told = await second.hear()
        assert told is not None
        assert isinstance(told.body, LinkRefused)
        assert (told.body.code, told.body.is_retryable) == ("TOO_MANY", True)
        await second.close()
        waiting = call(listening.address)
        await waiting.ended.until(lambda: waiting.link.failures > 0)
        assert waiting.link.refusal is None
        await first.close()
        await waiting.received.peer()
        await waiting.link.stop()
        await listening.server.stop()

    asyncio.run(main())


def test_connections_far_over_a_cap_are_just_cut() -> None:
    async def main() -> None:
        listening = await listen(connections_max=1)
        links = [await RawLink.open(listening.port) for _ in range(REFUSED_MAX + 2)]
        assert await links[-1].hear() is None
        told = await links[-2].hear()
        assert told is not None
        for raw in links:
            await raw.close()
        await listening.server.stop()

    asyncio.run(main())


@on_both_loops
def test_connection_that_does_not_greet_is_cut(run: Run) -> None:
    async def main() -> None:
        listening = await listen(greeting_s=0.05, silence_s=0.1)
        mute, half = await RawLink.open(listening.port), await RawLink.open(listening.port)
        half.writer.write(b"\0\0\0")
        await mute.hear_end()
        await half.hear_end()
        await mute.close()
        await half.close()
        await listening.server.stop()

    run(main())


def test_leader_is_announced_to_open_links_and_to_each_new_one() -> None:
    async def main() -> None:
        listening = await listen()
        early = call(listening.address)
        await listening.received.peer()
        leader = Leader("m1:7000", 4, True)
        listening.server.announce_leader(leader)
        late = call(listening.address)
        for calling in (early, late):
            assert await calling.received.leader() == leader
            await calling.link.stop()
        await listening.server.stop()

    asyncio.run(main())


def test_leader_is_announced_before_the_first_payload() -> None:
    async def main() -> None:
        recorder = Recorder()
        listening = await listen(recorder)
        listening.server.announce_leader(Leader("m1:7000", 4, True))
        raw = await RawLink.greeted(listening.port)
        (await recorder.peer()).send(b"x")
        words = [await raw.hear(), await raw.hear()]
        assert [type(word.body).__name__ for word in words if word] == ["Leader", "Payload"]
        await raw.close()
        await listening.server.stop()

    asyncio.run(main())


@on_both_loops
def test_stop_ends_all_links_and_frees_the_port(run: Run) -> None:
    async def main() -> None:
        listening = await listen()
        raw, mute = await RawLink.greeted(listening.port), await RawLink.open(listening.port)
        await listening.server.stop()
        assert listening.server.peers == 0
        assert listening.received.lost == ["the server stops"]
        await raw.hear_end()
        await mute.hear_end()
        await raw.close()
        await mute.close()
        again = await listen(port=listening.port)
        assert again.port == listening.port
        await again.server.stop()

    run(main())


@on_both_loops
def test_stop_does_not_wait_for_who_does_not_read(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protocol.server.STOP_S", 0.05)

    async def main() -> None:
        listening = await listen()
        raw = await RawLink.greeted(listening.port)
        peer = await listening.received.peer()
        while peer.is_writable:
            peer.send(bytes(1 << 18))
            await asyncio.sleep(0)
        await listening.server.stop()
        assert listening.server.peers == 0
        await raw.close()

    run(main())


@on_both_loops
def test_port_in_use_is_named(run: Run) -> None:
    async def main() -> None:
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            taken.listen()
            port = taken.getsockname()[1]
            server = Server(make_config(), {LinkRole.AGENT: Recorder()})
            with pytest.raises(OSError, match=rf"cannot listen on {HOST}:{port}: another process"):
                await server.start(HOST, port)
            await server.stop()

    run(main())
