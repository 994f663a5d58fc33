"""Snapshots by a child of a member at work: taken under appends, tried again when one fails."""

import asyncio
import gc
import os
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
import uvloop

from protocol.credentials import Credentials
from protocol.handshake import LinkIdentity
from protocol.messages.link import LinkRole
from rlog import taking
from rlog.config import LogConfig
from rlog.fork import ForkingDumper
from rlog.log import Capture, Committed
from rlog.probes import SilentLogProbe
from rlog.replica import ReplicatedLog
from rlog.store import Store
from tests.unit.rlog.raft_bench import RecordingReader

NAME = "m1:7000"
PADDING = bytes(1 << 20)


class Summing(RecordingReader, SilentLogProbe):
    """Counts what it is given; its state is the count and a megabyte."""

    def __init__(self) -> None:
        super().__init__()
        self.deaths_due = 0
        self.taken: list[int] = []
        self.news = asyncio.Event()

    def committed(self, entries: Sequence[Committed]) -> None:
        super().committed(entries)
        self.news.set()

    def lead(self, term: int) -> None:
        self.news.set()

    def snapshot(self) -> Capture | None:
        count, is_fatal = len(self.payloads), self.deaths_due > 0
        self.deaths_due -= is_fatal

        def dump() -> bytes:
            if is_fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return b"%d %d " % (count, os.getpid()) + PADDING

        return Capture(0, dump)

    def snapshot_taken(self, index: int, size_bytes: int) -> None:
        self.taken.append(index)
        self.news.set()

    async def until(self, is_true: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not is_true():
                self.news.clear()
                await self.news.wait()


def run(
    path: Path,
    act: Callable[[ReplicatedLog, Summing], Awaitable[None]],
    dumper: ForkingDumper | None = None,
    reader: Summing | None = None,
) -> None:
    reader = reader or Summing()

    async def work() -> None:
        identity = LinkIdentity(LinkRole.REPLICA, NAME, "", Credentials.insecure(), "red")
        config = LogConfig(NAME, (NAME,), str(path), "red", snapshot_entries=10, keep_entries=2)
        log = ReplicatedLog(config, identity, random.Random(1), reader, dumper or ForkingDumper(0))
        await log.start(reader)
        await reader.until(lambda: log.is_leader)
        await act(log, reader)
        await log.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())


async def append(log: ReplicatedLog, reader: Summing, count: int) -> None:
    for _ in range(count):
        await reader.until(lambda: log.window_free > 0)
        log.append(b"x")
    await reader.until(lambda: log.applied >= count)


def test_child_writes_the_state_down_while_the_member_goes_on(tmp_path: Path) -> None:
    async def act(log: ReplicatedLog, reader: Summing) -> None:
        await append(log, reader, 50)
        await reader.until(lambda: bool(reader.taken))

    run(tmp_path, act)
    store = Store(str(tmp_path), NAME, "red")
    content = store.load_snapshot()
    assert content is not None
    count, _, padding = content.split(b" ", 2)
    assert padding == PADDING
    assert int(count) == store.snapshot.index - 1  # the leader's own entry is no payload
    store.close()


def test_snapshot_whose_child_dies_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "RETRY_S", 0.0)

    async def act(log: ReplicatedLog, reader: Summing) -> None:
        reader.deaths_due = 2
        await append(log, reader, 30)
        while not reader.taken:
            log.append(b"x")
            await reader.until(lambda: log.window_free == 64)
        assert reader.deaths_due == 0

    run(tmp_path, act)


def test_first_snapshot_is_of_unknown_size_and_dumped_by_a_child(tmp_path: Path) -> None:
    async def act(log: ReplicatedLog, reader: Summing) -> None:
        await append(log, reader, 12)  # of a byte each, though the state is a megabyte
        await reader.until(lambda: bool(reader.taken))

    run(tmp_path, act, ForkingDumper())
    store = Store(str(tmp_path), NAME, "red")
    content = store.load_snapshot()
    store.close()
    assert content is not None
    assert int(content.split(b" ", 2)[1]) != os.getpid()


class Crowded(Summing):
    """Makes many objects of a snapshot, and counts how often the collector begins meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.crowd: list[list[int]] = []

    def restore(self, snapshot: bytes | None, index: int) -> None:
        gc.callbacks.append(self._count)
        self.crowd = [[n] for n in range(50_000 if snapshot else 0)]
        gc.callbacks.remove(self._count)

    def _count(self, phase: str, about: dict[str, int]) -> None:
        self.looks += phase == "start"


def test_big_state_is_restored_without_a_look_for_garbage(tmp_path: Path) -> None:
    async def act(log: ReplicatedLog, reader: Summing) -> None:
        await append(log, reader, 12)
        await reader.until(lambda: bool(reader.taken))

    async def look(log: ReplicatedLog, reader: Summing) -> None:
        assert isinstance(reader, Crowded)
        assert (len(reader.crowd), reader.looks) == (50_000, 0)
        assert gc.get_freeze_count() >= len(reader.crowd)

    run(tmp_path, act)
    run(tmp_path, look, reader=Crowded())
    gc.unfreeze()
