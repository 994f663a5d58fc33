"""Logs that run by themselves as real processes, some of them killed, and the tools for them."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from master.ctl.asking import quieten
from master.ctl.children import Child, free_ports
from rlog.client import Connection, Election, Journal, Keeper
from rlog.client.asking import Refusal
from rlog.spaces.messages import Change, Condition
from tests.clusters import wait_for
from tests.lone import LoneLog, running_log

WRITERS = 4
STEPS_BEFORE, STEPS_AFTER = 40, 40  # of the counter, around the death of the leader
PUTS, OUTSTANDING = 200, 16
DEADLINE_S = 60.0  # nothing here is about speed


@pytest.fixture
def one(tmp_path: Path) -> Iterator[LoneLog]:
    quieten()
    with running_log(1, tmp_path / "log") as lone:
        yield lone


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneLog]:
    with running_log(3, tmp_path_factory.mktemp("three")) as lone:
        yield lone


@pytest.fixture
def three(shared: LoneLog) -> Iterator[LoneLog]:
    quieten()
    yield shared
    for child in shared.members:
        if not child.is_running:
            child.start()
    shared.settle()


def test_one_process_that_is_killed_forgets_nothing_acknowledged(one: LoneLog) -> None:
    """Puts and appends are under way when it dies; those that were answered are all there."""

    async def run() -> None:
        told: dict[str, int] = {}
        async with one.connect() as log:
            space, writer = log.space("s"), await Journal(log.space("s"), "j").claim("w")
            before: dict[str, int] = {}
            numbers = iter(range(PUTS))

            async def put() -> None:
                for number in numbers:
                    told[f"k{number}"] = await space.store(f"k{number}", b"%d" % number)
                    if len(told) == PUTS // 2:
                        one.members[0].kill()
                        before.update(told)
                        one.members[0].start()
                    await writer.append([b"%d" % number])

            await asyncio.gather(*(put() for _ in range(OUTSTANDING)))
            found = await space.fetch(*told)
            assert {key: item.version for key, item in found.items()} == told
            records = [int(each.content) async for each in Journal(space, "j").read()]
            assert sorted(records) == list(range(PUTS))
        assert len(before) == PUTS // 2

    asyncio.run(run())


def test_counter_counts_every_step_once_while_the_leader_is_killed(three: LoneLog) -> None:
    async def run() -> None:
        leader = await asyncio.to_thread(three.leader)
        async with three.connect() as log, asyncio.timeout(DEADLINE_S):
            space = log.space("counter")
            first = await space.store("steps", b"0")
            seen: list[int] = []
            watching = asyncio.create_task(watch(space, first, seen))
            is_over = asyncio.Event()
            counting = [asyncio.create_task(count(space, is_over)) for _ in range(WRITERS)]
            await until_seen(seen, STEPS_BEFORE)
            leader.kill()
            killed_s, at = time.monotonic(), len(seen)
            await until_seen(seen, at + WRITERS + 1)
            print(f"counting goes on {time.monotonic() - killed_s:.2f} s after the kill")
            await until_seen(seen, at + STEPS_AFTER)
            is_over.set()
            steps = sum(await asyncio.gather(*counting))
            await until_seen(seen, steps)
            watching.cancel()
            item = (await space.fetch("steps"))["steps"]
        assert (int(item.value), seen) == (steps, list(range(1, steps + 1)))

    asyncio.run(run())


async def until_seen(seen: list[int], count: int) -> None:
    while len(seen) < count:  # noqa: ASYNC110 – a bare list is what a watcher fills
        await asyncio.sleep(0.01)


async def count(space: Keeper, is_over: asyncio.Event) -> int:
    """Add one again and again; return how often that was acknowledged."""
    steps = 0
    while not is_over.is_set():
        item = (await space.fetch("steps"))["steps"]
        following = Change("steps", b"%d" % (int(item.value) + 1))
        try:
            await space.transact((following,), (Condition("steps", item.version),))
        except Refusal as refusal:
            assert refusal.reason == "CONFLICT"
        else:
            steps += 1
    return steps


async def watch(space: Keeper, after: int, seen: list[int]) -> None:
    async for revision in space.watch("steps", after):
        seen.extend(int(change.value) for change in revision.changes)


def test_standby_leads_after_leader_and_log_leader_are_killed(three: LoneLog) -> None:
    """The first leads and is silent from the moment in which the log's leader dies."""

    async def run() -> None:
        leader = await asyncio.to_thread(three.leader)
        async with three.connect() as log, three.connect() as other:
            async with asyncio.timeout(DEADLINE_S):
                await fail_over(leader, log, other)

    asyncio.run(run())


async def fail_over(leader: Child, log: Connection, other: Connection) -> None:
    elected = log.space("elected")
    held = await elected.acquire("lead", "first", 1.5)

    async def lead() -> tuple[int, float]:
        async with Election(other.space("elected"), "lead", "second").leading() as leadership:
            return leadership.token, time.monotonic()

    standing_by = asyncio.create_task(lead())
    held = await elected.renew(held, 1.5)
    leader.kill()
    killed_s = time.monotonic()
    token, led_s = await standing_by
    print(f"the standby leads {led_s - killed_s:.2f} s after the kill")
    assert token > held.token
    with pytest.raises(Refusal, match="FENCED"):
        await elected.transact((Change("k", b"late"),), (), (held,))


def test_shell_uses_keys_and_journals_of_a_log(one: LoneLog) -> None:
    assert one.do("state", "put", "shop", "a/1", "apples", "--if-version", "0") == "1\n"
    table = one.do("state", "list", "shop", "-o", "table").splitlines()
    assert [line.split() for line in table] == [
        ["KEY", "VERSION", "BYTES", "LEASE", "VALUE"],
        ["a/1", "1", "6", "-", "apples"],
    ]
    found = json.loads(one.do("state", "list", "shop", "-o", "json"))
    assert found == {"key": "a/1", "value": "apples", "version": 1}
    epoch = one.do("journal", "claim", "shop", "events").strip()
    one.do("journal", "append", "shop", "events", "two\nlines", "--epoch", epoch)
    table = one.do("journal", "read", "shop", "events", "-o", "table").splitlines()
    assert [line.split() for line in table] == [
        ["POSITION", "BYTES", "RECORD"],
        ["1", "9", "two", "lines"],
    ]
    table = one.do("journal", "list", "shop").splitlines()
    assert table[0].split() == ["JOURNAL", "WRITER", "EPOCH", "FIRST", "NEXT", "RECORDS"]
    assert [line.split()[0] for line in table[1:]] == ["events"]
    assert table[1].split()[2:] == [epoch, "1", "2", "1"]
    assert one.do("state", "leases", "shop").split() == [
        *("LEASE", "HOLDER", "TOKEN", "SECONDS", "KEYS")
    ]


def test_masters_tools_look_into_copy_and_bring_back_a_log(one: LoneLog, tmp_path: Path) -> None:
    one.do("state", "put", "shop", "a", "apples")
    (status,) = one.ask("log", "status")
    assert (status["address"], status["role"]) == (one.addresses[0], "leader")
    backup = str(tmp_path / "backup")
    one.do("log", "backup", "-o", backup)
    directory = str(one.data_dir(one.addresses[0]))
    one.members[0].kill()
    assert "no findings" in one.do("log", "verify", "--data-dir", directory)
    exported = [
        json.loads(line)
        for line in one.do("log", "export", "--data-dir", directory).split("\n")
        if line
    ]
    assert "SpaceChanged" in [line.get("event") for line in exported]
    shown = json.loads(one.do("log", "replay", "--data-dir", directory, "-o", "json"))
    assert [(space["space"], space["owner"]) for space in shown["spaces"]] == [("shop", "shop")]
    restored = LoneLog(1, tmp_path / "restored")
    address = restored.addresses[0]
    target = str(restored.data_dir(address))
    restored.do("log", "restore", backup, "--data-dir", target, "--listen", address)
    assert "no findings" in restored.do("log", "verify", "--data-dir", target)
    restored.members[0].start()
    try:
        restored.settle()
        assert restored.do("state", "get", "shop", "a") == "apples\n"
        assert int(restored.do("state", "put", "shop", "b", "pears")) > 1_000_000
    finally:
        restored.members[0].kill()


def test_backup_of_a_killed_members_directory_has_all_that_was_acknowledged(
    one: LoneLog, tmp_path: Path
) -> None:
    """A lone member may die before it notes on its disk that the last entry is committed."""
    one.do("state", "put", "shop", "a", "apples")
    one.members[0].kill()
    directory, backup = str(one.data_dir(one.addresses[0])), str(tmp_path / "backup")
    one.do("log", "backup", "--data-dir", directory, "-o", backup)
    target = str(tmp_path / "restored")
    one.do("log", "restore", backup, "--data-dir", target, "--listen", one.addresses[0])
    shown = json.loads(one.do("log", "replay", "--data-dir", target, "-o", "json"))
    assert [(space["space"], space["keys"]) for space in shown["spaces"]] == [("shop", 1)]


def test_log_of_one_grows_to_two_and_back_to_one_that_recovers_alone(one: LoneLog) -> None:
    old = one.addresses[0]
    one.do("state", "put", "shop", "a", "apples")
    new, page = (f"127.0.0.1:{port}" for port in free_ports(2))
    child = one.member(new, "--join", old, "--metrics", page)
    one.members.append(child)
    child.start()
    wait_for(lambda: "waits until it is added" in child.tail(10_000), "the newcomer")
    one.do("masters", "add", new)
    one.do("masters", "promote", new, "--wait", "30")
    with urllib.request.urlopen(f"http://{page}/metrics") as metrics:
        assert b"\nquorate_log_is_leader 0.0\n" in metrics.read()
    one.members[0].kill()
    assert one.quorate("log", "status").returncode == 1
    child.kill()
    directory = str(one.data_dir(new))
    one.do(
        "log", "recover", "--data-dir", directory, "--voters", new, "--i-know-that-data-may-be-lost"
    )
    child.start()
    one.settle(new)
    assert one.do("state", "get", "shop", "a", "--log", new) == "apples\n"


def test_master_and_log_do_not_open_each_others_directories(one: LoneLog) -> None:
    one.do("state", "put", "shop", "a", "apples")
    address, directory = one.addresses[0], str(one.data_dir(one.addresses[0]))
    one.members[0].kill()
    words = ("--listen", address, "--data-dir", directory, "--insecure")
    told = one.quorate("master", *words)
    assert (told.returncode, told.stdout) == (1, "")
    assert "cluster" in told.stderr.splitlines()[-1]
    told = one.quorate("master", *words, "--cluster", "rlog")
    assert told.returncode == 1
    assert "an entry of the log cannot be read" in told.stderr.splitlines()[-1]
