"""`quorate journal` and the Python of journals, against real masters of which some are killed."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from protocol.credentials import load_credentials
from rlog.client.journal import Journal, Writer
from rlog.spaces.messages import Item
from schedulers import Framework
from schedulers.keeper import Keeper, Refusal
from tests.clusters import Cluster, running_cluster


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(3, 0, tmp_path_factory.mktemp("journal")) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    yield shared
    shared.settle()


def open_keeper(cluster: Cluster, space: str) -> Keeper:
    target = cluster.embedded.target
    secrets = load_credentials(target.credentials)
    return Keeper(Framework("journal", ",".join(target.masters), credentials=secrets), space)


async def kill_leader(cluster: Cluster) -> None:
    leader = await cluster.embedded.leader()
    assert leader is not None
    cluster.embedded.masters[leader].kill()


def journal(cluster: Cluster, *words: str) -> str:
    told = cluster.quorate("journal", *words)
    assert (told.returncode, told.stderr) == (0, "")
    return told.stdout


def test_records_are_appended_read_and_truncated_from_a_shell(cluster: Cluster) -> None:
    epoch = journal(cluster, "claim", "shell", "events").strip()
    for position, word in enumerate(("one", "two", "three"), 1):
        printed = journal(cluster, "append", "shell", "events", word, "--epoch", epoch)
        assert printed == f"{position}\n"
    assert journal(cluster, "read", "shell", "events") == "one\ntwo\nthree\n"
    assert journal(cluster, "truncate", "shell", "events", "3", "--epoch", epoch) == ""
    found = json.loads(journal(cluster, "read", "shell", "events", "-o", "json"))
    assert found == {"position": 3, "value": "three"}
    told = cluster.quorate("journal", "read", "shell", "events", "--from", "1")
    assert (told.returncode, told.stderr.count("\n")) == (1, 1)
    assert "COMPACTED: records before position 3 were truncated" in told.stderr


def test_fenced_writer_is_told_who_writes_now(cluster: Cluster) -> None:
    epoch = journal(cluster, "claim", "fenced", "events").strip()
    journal(cluster, "claim", "fenced", "events")
    told = cluster.quorate("journal", "append", "fenced", "events", "late", "--epoch", epoch)
    assert told.returncode == 1
    assert f"FENCED: journal events is not written under epoch {epoch};" in told.stderr


def test_records_appended_while_a_leader_dies_are_there_once(cluster: Cluster) -> None:
    """Many appends are outstanding when it dies: each is sent again, and none counts twice."""
    count, outstanding = 400, 16

    async def write(writer: Writer, begun: asyncio.Event) -> dict[int, bytes]:
        told: dict[int, bytes] = {}
        numbers = iter(range(count))

        async def work() -> None:
            for number in numbers:
                content = str(number).encode()
                told[await writer.append((content,))] = content
                if number > count // 4:
                    begun.set()

        await asyncio.gather(*(work() for _ in range(outstanding)))
        return told

    async def run() -> None:
        async with open_keeper(cluster, "dying") as keeper:
            events = Journal(keeper, "events")
            begun = asyncio.Event()
            writing = asyncio.create_task(write(await events.claim("w"), begun))
            await begun.wait()
            await kill_leader(cluster)
            told = await writing
            found = {each.position: each.content async for each in events.read()}
            assert found == told
            assert list(found) == list(range(1, count + 1))
            assert {int(each) for each in found.values()} == set(range(count))

    asyncio.run(run())


def test_tail_goes_on_under_a_new_leader_where_it_was(cluster: Cluster) -> None:
    async def run() -> None:
        async with open_keeper(cluster, "tailed") as keeper:
            events = Journal(keeper, "events")
            writer = await events.claim("w")
            await writer.append([b"a", b"b"])
            seen: list[tuple[int, bytes]] = []
            async for record in events.tail():
                seen.append((record.position, record.content))
                if len(seen) == 2:
                    await kill_leader(cluster)
                    await writer.append([b"c"])
                if len(seen) == 3:
                    break
            assert seen == [(1, b"a"), (2, b"b"), (3, b"c")]

    asyncio.run(run())


def test_writer_that_was_fenced_appends_nothing(cluster: Cluster) -> None:
    async def run() -> None:
        async with open_keeper(cluster, "two") as keeper:
            events = Journal(keeper, "events")
            old, new = await events.claim("old"), await events.claim("new")
            await new.append([b"new"])
            with pytest.raises(Refusal, match="FENCED"):
                await old.append([b"old"])
            assert [each.content async for each in events.read()] == [b"new"]

    asyncio.run(run())


def test_appends_at_once_follow_in_the_order_of_the_calls(cluster: Cluster) -> None:
    async def scene() -> None:
        async with open_keeper(cluster, "crowd") as keeper:
            journal = Journal(keeper, "events")
            writer = await journal.claim("me")
            words = [b"%d" % number for number in range(600)]
            lasts = await asyncio.gather(
                *(writer.append((word, word) if word == b"7" else (word,)) for word in words)
            )
            assert lasts == [*range(1, 8), *range(9, 602)]
            found = [record.content async for record in journal.read(1)]
            assert found == [*words[:8], *words[7:]]

    asyncio.run(scene())


def test_stores_at_once_have_each_its_own_outcome(cluster: Cluster) -> None:
    async def scene() -> None:
        async with open_keeper(cluster, "stores") as keeper:
            keys = [*(f"key-{number % 90}" for number in range(180)), "", "last"]
            stored: list[Any] = await asyncio.gather(
                *(keeper.store(key, b"%d" % n) for n, key in enumerate(keys)),
                return_exceptions=True,
            )
            refused = [n for n, outcome in enumerate(stored) if isinstance(outcome, Refusal)]
            assert refused == [180]
            items = await asyncio.gather(*(keeper.fetch(key) for key in keys[90:]))
            for number, (key, item) in enumerate(zip(keys[90:], items, strict=True), 90):
                if number in refused:
                    assert item == {}
                else:
                    assert item == {key: Item(key, b"%d" % number, stored[number])}

    asyncio.run(scene())
