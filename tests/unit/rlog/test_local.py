"""The local log: what was acknowledged is on disk, and an fsync is shared by all who wait."""

import asyncio
import os
import resource
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from protocol.errors import Broken, NotLeader, Overloaded, StorageLost, TooLarge
from rlog.local import LocalLog, LocalLogConfig
from rlog.log import Capture, Committed
from rlog.loop import Loop
from rlog.probes import SilentLogProbe
from tests.unit.rlog.counter import Add, Command, Count, Counter, Event


class News:
    """Wakes who waits for something to become true."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self, *_: object) -> None:
        self._event.set()

    async def until(self, is_true: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not is_true():
                self._event.clear()
                await self._event.wait()


class Reader:
    """Remembers what a log gave it; its snapshot is all payloads in a row."""

    def __init__(self) -> None:
        self.restored: list[tuple[bytes | None, int]] = []
        self.batches: list[list[bytes]] = []
        self.leads: list[int] = []
        self.errors: list[Broken] = []
        self.is_busy = False
        self.content = b""
        self.news = News()

    def restore(self, snapshot: bytes | None, index: int) -> None:
        self.restored.append((snapshot, index))
        self.content = snapshot or b""

    def committed(self, entries: Sequence[Committed]) -> None:
        self.batches.append([entry.payload for entry in entries])
        self.content += b"".join(self.batches[-1])
        self.news.tell()

    def snapshot(self) -> Capture | None:
        return None if self.is_busy else Capture(0, lambda: self.content)

    def lead(self, term: int) -> None:
        self.leads.append(term)

    def follow(self, leader: str) -> None:
        self.leads.append(-1)

    def broken(self, error: Broken) -> None:
        self.errors.append(error)
        self.news.tell()


def run(
    path: Path, act: Callable[[LocalLog, Reader], Awaitable[None]], **options: Any
) -> tuple[LocalLog, Reader]:
    """Open a log, act on it, close it."""
    reader = Reader()
    probe = options.pop("probe", None)

    async def main() -> LocalLog:
        opened = LocalLog(LocalLogConfig(str(path), **options), probe)
        await opened.start(reader)
        try:
            await act(opened, reader)
        finally:
            await opened.stop()
        return opened

    with capture_logs():
        return asyncio.run(main()), reader


async def nothing(opened: LocalLog, reader: Reader) -> None:
    return


def test_local_log_returns_what_was_appended_after_a_restart(tmp_path: Path) -> None:
    async def append(opened: LocalLog, reader: Reader) -> None:
        opened.append(b"a")
        opened.append(b"b")
        await reader.news.until(lambda: reader.content == b"ab")
        opened.append(b"c")

    run(tmp_path, append)
    assert run(tmp_path, nothing)[1].content == b"abc"


class DiskProbe(SilentLogProbe):
    def __init__(self) -> None:
        self.entries: list[int] = []
        self.snapshots: list[int] = []

    def fsynced(self, latency_s: float, entries: int) -> None:
        assert latency_s > 0
        self.entries.append(entries)

    def snapshot_taken(self, index: int, size_bytes: int) -> None:
        self.snapshots.append(size_bytes)


def test_local_log_tells_of_its_writes_and_snapshots(tmp_path: Path) -> None:
    async def append(opened: LocalLog, reader: Reader) -> None:
        opened.append(b"a")
        opened.append(b"b")
        await reader.news.until(lambda: reader.content == b"ab")

    probe = DiskProbe()
    run(tmp_path, append, probe=probe, snapshot_entries=2)
    assert probe.entries[:2] == [0, 2]  # the term, then both with one fsync
    assert probe.snapshots == [2]


def test_local_log_survives_a_kill_after_every_commit(tmp_path: Path) -> None:
    copies: dict[bytes, Path] = {}

    async def append(opened: LocalLog, reader: Reader) -> None:
        for number in range(5):
            opened.append(b"%d" % number)
            await reader.news.until(lambda: len(reader.content) == number + 1)  # noqa: B023
            copies[reader.content] = tmp_path / f"copy{number}"
            shutil.copytree(tmp_path / "log", copies[reader.content])

    run(tmp_path / "log", append)
    for content, copy in copies.items():
        assert run(copy, nothing)[1].content == content


def test_local_log_leads_a_new_term_at_each_start(tmp_path: Path) -> None:
    assert run(tmp_path, nothing)[1].leads == [1, -1]
    assert run(tmp_path, nothing)[1].leads == [2, -1]


def test_local_log_commits_all_that_waits_together(tmp_path: Path) -> None:
    async def append(opened: LocalLog, reader: Reader) -> None:
        for _ in range(30):
            opened.append(b"x")
        assert reader.batches == []
        await reader.news.until(lambda: len(reader.content) == 30)

    _, reader = run(tmp_path, append)
    assert reader.batches == [[b"x"] * 30]


def test_local_log_bounds_what_is_in_flight(tmp_path: Path) -> None:
    async def append(opened: LocalLog, reader: Reader) -> None:
        for _ in range(3):
            opened.append(b"x")
        assert opened.window_free == 0
        with pytest.raises(Overloaded):
            opened.append(b"x")
        await reader.news.until(lambda: opened.window_free == 3)

    run(tmp_path, append, window_max=3)


def test_local_log_refuses_too_much_and_too_late(tmp_path: Path) -> None:
    async def append(opened: LocalLog, reader: Reader) -> None:
        with pytest.raises(TooLarge):
            opened.append(b"x" * 11)

    opened, _ = run(tmp_path, append, payload_bytes_max=10)
    with pytest.raises(NotLeader):
        opened.append(b"x")


def test_local_log_restores_from_its_snapshot_and_the_entries_after_it(tmp_path: Path) -> None:
    async def append(opened: LocalLog, reader: Reader) -> None:
        for number in range(25):
            opened.append(b"%c" % (65 + number))
            await reader.news.until(lambda: len(reader.content) == number + 1)  # noqa: B023

    run(tmp_path, append, snapshot_entries=10)
    _, reader = run(tmp_path, nothing)
    assert reader.content == bytes(range(65, 90))
    [(snapshot, index)] = reader.restored
    assert snapshot is not None and index >= 20 and len(snapshot) == index


def test_local_log_asks_again_for_a_snapshot_that_was_put_off(tmp_path: Path) -> None:
    async def append(opened: LocalLog, reader: Reader) -> None:
        reader.is_busy = True
        for number in range(8):
            opened.append(b"x")
            await reader.news.until(lambda: len(reader.content) == number + 1)  # noqa: B023
        reader.is_busy = False
        opened.append(b"x")

    run(tmp_path, append, snapshot_entries=5)
    assert run(tmp_path, nothing)[1].restored[0][1] == 9


def test_local_log_replays_what_it_gave(tmp_path: Path) -> None:
    async def append(opened: LocalLog, reader: Reader) -> None:
        for number in range(12):
            opened.append(b"x")
            await reader.news.until(lambda: len(reader.content) == number + 1)  # noqa: B023
        snapshot, index, entries = opened.replay()
        held = list(entries)
        assert (snapshot or b"") + b"".join(e.payload for e in held) == reader.content
        assert [e.index for e in held] == list(range(index + 1, 13))

    run(tmp_path, append, snapshot_entries=5)


def test_local_log_proves_leadership_while_open(tmp_path: Path) -> None:
    proven: list[bool] = []

    async def ask(opened: LocalLog, reader: Reader) -> None:
        opened.read_barrier(proven.append)
        opened.read_barrier(reader.news.tell)
        await reader.news.until(lambda: proven == [True])

    run(tmp_path, ask)


def test_local_log_never_commits_what_the_disk_refused(tmp_path: Path) -> None:
    async def append(opened: LocalLog, reader: Reader) -> None:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = os.stat(tmp_path / "data.mdb").st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            opened.append(b"x" * (4 << 20))
            await reader.news.until(lambda: bool(reader.errors))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert isinstance(reader.errors[0], StorageLost)
        assert not opened.is_leader and reader.batches == []

    run(tmp_path, append)


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rounds=st.lists(st.integers(1, 40), min_size=1, max_size=4), data=st.data())
def test_loop_over_local_log_loses_nothing_acknowledged(
    tmp_path: Path, rounds: list[int], data: st.DataObject
) -> None:
    directory = tmp_path / "log0"
    shutil.rmtree(directory, ignore_errors=True)
    acknowledged: list[int] = []
    number = 0
    with capture_logs():
        for nth, count in enumerate(rounds, start=1):
            copy = tmp_path / f"log{nth}"
            shutil.rmtree(copy, ignore_errors=True)
            numbers = range(number, number + count)
            wanted = data.draw(st.integers(0, count))
            asyncio.run(kill_after(directory, copy, numbers, wanted, acknowledged))
            directory, number = copy, number + count
        applied = asyncio.run(applied_in(directory))
    assert set(acknowledged) <= set(applied)
    assert applied == sorted(set(applied)), "in order, none twice"


async def open_loop(directory: Path) -> Loop[Count, Command, Event, int, int]:
    config = LocalLogConfig(str(directory), window_max=3, snapshot_entries=4)
    loop: Loop[Count, Command, Event, int, int] = Loop(
        Counter(), LocalLog(config), lambda effect: None, lambda: 1_000
    )
    news = News()
    loop.on_lead = news.tell
    await loop.start()
    await news.until(lambda: loop.is_serving)
    return loop


async def kill_after(
    directory: Path, copy: Path, numbers: range, wanted: int, acknowledged: list[int]
) -> None:
    """Add all, and take the disk away as it is when so many are acknowledged."""
    loop = await open_loop(directory)
    news = News()
    answered: list[int] = []

    def submit(number: int) -> None:
        def done(reply: object) -> None:
            answered.append(number)
            news.tell()

        loop.submit(Add(number), done)

    for number in numbers:
        submit(number)
        if number % 3 == 0:
            await asyncio.sleep(0)
    await news.until(lambda: len(answered) >= wanted)
    acknowledged.extend(answered)
    shutil.copytree(directory, copy)
    await loop.stop()


async def applied_in(directory: Path) -> list[int]:
    loop = await open_loop(directory)
    applied = list(loop.state.applied)
    await loop.stop()
    return applied
