"""Operators' requests: the leader is found, moves are followed, and faults say what to do."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from protocol.client import OperatorClient
from protocol.codecs.operator import decode_operator_message, encode_operator_message
from protocol.errors import Denied, TimedOut, Unavailable
from protocol.messages.link import Leader, LinkRole
from protocol.messages.operator import Done, Failed, ListMasters, OperatorMessage, SetWeight
from protocol.peer import Peer
from tests.unit.protocol.loopback import (
    HOST,
    Listening,
    Recorder,
    credentials_of,
    free_port,
    listen,
    make_identity,
    on_both_loops,
)

Run = Callable[[Any], Any]
ROOT = make_identity(LinkRole.OPERATOR, name="cli", principal="root")


async def master(name: str, *reasons: str, leader: str = "") -> Listening:
    """A master that fails its first requests for these reasons and then answers with its name."""
    left = list(reasons)

    def answer(peer: Peer, payload: bytes) -> None:
        request = decode_operator_message(payload)
        reply: OperatorMessage = Done(request.call, name)
        if left:
            reply = Failed(request.call, left.pop(0), leader=leader)
        peer.send(encode_operator_message(reply))

    return await listen(Recorder(answer=answer), name=name)


async def ask(client: OperatorClient, deadline_s: float | None = None) -> str:
    answer = await client.ask(SetWeight(role="web", weight_milli=2000), deadline_s)
    assert isinstance(answer, Done)
    return answer.text


def lead(listening: Listening, epoch: int = 1) -> None:
    listening.server.announce_leader(Leader(listening.address, epoch, True))


@on_both_loops
def test_leader_answers(run: Run) -> None:
    async def main() -> None:
        masters = [await master("m1"), await master("m2")]
        lead(masters[1])
        client = await OperatorClient.connect(tuple(m.address for m in masters), ROOT)
        assert await asyncio.gather(*(ask(client) for _ in range(10))) == ["m2"] * 10
        await client.close()
        for listening in masters:
            await listening.server.stop()

    run(main())


def test_leader_at_an_address_not_given_is_followed() -> None:
    async def main() -> None:
        follower, leader = await master("m1"), await master("m2")
        lead(leader)
        follower.server.announce_leader(Leader(leader.address, 1, False))
        client = await OperatorClient.connect((follower.address,), ROOT)
        assert await ask(client) == "m2"
        await client.close()
        await follower.server.stop()
        await leader.server.stop()

    asyncio.run(main())


def test_leader_elsewhere_is_found_though_a_removed_master_knows_nobody() -> None:
    async def main() -> None:
        removed = await master("m1", *["NOT_LEADER"] * 1000)
        follower, leader = await master("m2"), await master("m3")
        origin = "the cluster"
        leader.server.announce_leader(Leader(leader.address, 2, True, origin))
        follower.server.announce_leader(Leader(leader.address, 2, origin=origin))
        removed.server.announce_leader(Leader("", 2, origin=origin))
        client = await OperatorClient.connect((removed.address, follower.address), ROOT)
        assert await ask(client) == "m3"
        await client.close()
        for listening in (removed, follower, leader):
            await listening.server.stop()

    asyncio.run(main())


def test_each_master_is_asked_in_turn_when_none_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.client.LEADER_WAIT_S", 0.01)
    monkeypatch.setattr("protocol.client.RETRY_S", 0.01)

    async def main() -> None:
        removed = await master("m1", *["NOT_LEADER"] * 1000)
        follower = await master("m2")
        client = await OperatorClient.connect((removed.address, follower.address), ROOT)
        assert await ask(client) == "m2"
        await client.close()
        for listening in (removed, follower):
            await listening.server.stop()

    asyncio.run(main())


def test_stray_that_leads_alone_is_not_asked_while_most_name_another() -> None:
    async def main() -> None:
        stray, follower, leader = [await master(f"m{n}") for n in (1, 2, 3)]
        stray.server.announce_leader(Leader(stray.address, 9, True, "of its own"))
        leader.server.announce_leader(Leader(leader.address, 2, True, "the cluster"))
        follower.server.announce_leader(Leader(leader.address, 2, origin="the cluster"))
        addresses = (stray.address, follower.address, leader.address)
        client = await OperatorClient.connect(addresses, ROOT)
        assert await ask(client) == "m3"
        await client.close()
        for listening in (stray, follower, leader):
            await listening.server.stop()

    asyncio.run(main())


@pytest.mark.parametrize("reason", ["NOT_LEADER", "OVERLOADED", "UNAVAILABLE"])
def test_request_is_asked_again_when_it_could_not_be_decided(reason: str) -> None:
    async def main() -> None:
        only = await master("m1", reason, reason)
        lead(only)
        client = await OperatorClient.connect((only.address,), ROOT)
        assert await ask(client) == "m1"
        assert len(only.received.payloads) == 3
        await client.close()
        await only.server.stop()

    asyncio.run(main())


def test_failure_that_is_an_answer_is_returned() -> None:
    async def main() -> None:
        only = await master("m1", "UNKNOWN_TASK")
        lead(only)
        client = await OperatorClient.connect((only.address,), ROOT)
        answer = await client.ask(ListMasters())
        assert isinstance(answer, Failed)
        assert answer.reason == "UNKNOWN_TASK"
        await client.close()
        await only.server.stop()

    asyncio.run(main())


def test_request_over_a_link_that_breaks_is_asked_again() -> None:
    async def main() -> None:
        only = await master("m1")
        answer = only.received.answer

        def break_first(peer: Peer, payload: bytes) -> None:
            only.received.answer = answer
            peer.drop("the network broke")

        only.received.answer = break_first
        lead(only)
        client = await OperatorClient.connect((only.address,), ROOT)
        assert await ask(client) == "m1"
        await client.close()
        await only.server.stop()

    asyncio.run(main())


def test_any_master_is_asked_when_none_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.client.LEADER_WAIT_S", 0.01)

    async def main() -> None:
        only = await master("m1")
        client = await OperatorClient.connect((only.address,), ROOT)
        assert await ask(client) == "m1"
        await client.close()
        await only.server.stop()

    asyncio.run(main())


def test_missing_leader_is_named_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.client.LEADER_WAIT_S", 0.01)

    async def main() -> None:
        only = await master("m1", *["NOT_LEADER"] * 1000)
        client = await OperatorClient.connect((only.address,), ROOT)
        with pytest.raises(TimedOut, match="no master leads; m1 answered: are a majority"):
            await ask(client, deadline_s=0.1)
        await client.close()
        await only.server.stop()

    asyncio.run(main())


def test_silent_leader_is_named_at_the_deadline() -> None:
    async def main() -> None:
        silent = await listen()
        lead(silent)
        client = await OperatorClient.connect((silent.address,), ROOT)
        with pytest.raises(TimedOut, match=r"no answer in 0.05 s: m1 took the request"):
            await ask(client, deadline_s=0.05)
        await client.close()
        await silent.server.stop()

    asyncio.run(main())


@on_both_loops
def test_no_master_at_all_says_what_to_do(run: Run) -> None:
    async def main() -> None:
        address = f"{HOST}:{free_port()}"
        with pytest.raises(Unavailable) as caught:
            await OperatorClient.connect((address,), ROOT)
        assert str(caught.value) == (
            f"no master answered at {address} (connection refused); "
            "is `quorate master` running? name others with --masters"
        )

    run(main())


def test_mute_master_is_given_up_at_the_deadline() -> None:
    async def main() -> None:
        mute = await asyncio.get_running_loop().create_server(asyncio.Protocol, HOST, 0)
        port = mute.sockets[0].getsockname()[1]
        with pytest.raises(Unavailable, match=rf"{HOST}:{port} \(no answer\)"):
            await OperatorClient.connect((f"{HOST}:{port}",), ROOT, deadline_s=0.1)
        mute.close()

    asyncio.run(main())


@on_both_loops
def test_wrong_secret_is_denied_with_the_masters_words(run: Run) -> None:
    async def main() -> None:
        only = await master("m1")
        identity = make_identity(
            LinkRole.OPERATOR, principal="root", credentials=credentials_of("root", "guess")
        )
        with pytest.raises(Denied, match="principal or its secret is wrong") as caught:
            await OperatorClient.connect((only.address,), identity)
        assert caught.value.code == "WRONG_SECRET"
        assert only.address in caught.value.text
        await only.server.stop()

    run(main())


def test_one_reachable_master_of_several_is_enough() -> None:
    async def main() -> None:
        only = await master("m1")
        lead(only)
        client = await OperatorClient.connect((f"{HOST}:{free_port()}", only.address), ROOT)
        assert await ask(client) == "m1"
        await client.close()
        await only.server.stop()

    asyncio.run(main())


@on_both_loops
def test_agent_is_asked_without_a_leader(run: Run) -> None:
    async def main() -> None:
        agent = await master("a1")
        client = await OperatorClient.connect_agent(agent.address, ROOT)
        assert await ask(client) == "a1"
        await client.close()
        await agent.server.stop()

    run(main())


def test_missing_agent_is_named() -> None:
    async def main() -> None:
        with pytest.raises(Unavailable, match=r"the agent at .* \(connection refused\) does not"):
            await OperatorClient.connect_agent(f"{HOST}:{free_port()}", ROOT)

    asyncio.run(main())


def test_closing_fails_what_waits_for_an_answer() -> None:
    async def main() -> None:
        silent = await listen()
        lead(silent)
        client = await OperatorClient.connect((silent.address,), ROOT)
        asking = asyncio.ensure_future(ask(client))
        await silent.received.changes.until(lambda: bool(silent.received.payloads))
        await client.close()
        with pytest.raises(Unavailable, match="client was closed"):
            await asking
        await silent.server.stop()

    asyncio.run(main())
