"""States written down by a child: as they were at the fork, or not at all."""

import asyncio
import gc
import os
import signal
import time
import zlib
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from rlog.dump import outline_of
from rlog.fork import AHEAD_CHUNKS, NICENESS, ForkedDump, ForkingDumper
from rlog.garbage import Freezer
from rlog.rows import CHUNK_BYTES

BIG = bytes(range(251)) * 20_000  # 20 chunks, the last of them short


def run(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run with an event that is set at every wake."""

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await work(asyncio.Event())

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


def fork(dump: Callable[[], bytes], wake: Callable[[], None]) -> ForkedDump:
    return ForkedDump(dump, wake, Freezer())


async def take_all(dumping: ForkedDump, woken: asyncio.Event) -> bytes:
    content = b""
    while not dumping.failure and (
        dumping.outline is None or len(content) < dumping.outline.size or dumping.is_ready
    ):
        if not dumping.is_ready:
            woken.clear()
            await woken.wait()
        content += b"".join(dumping.take(3))
    return content


async def until_reaped(dumping: ForkedDump, woken: asyncio.Event) -> None:
    while dumping._process >= 0:
        woken.clear()
        await woken.wait()


def test_small_state_is_dumped_without_a_child() -> None:
    dumping = ForkingDumper(100).begin(lambda: b"%d" % os.getpid(), 99, lambda: None)
    assert dumping.take(1) == [b"%d" % os.getpid()]


def test_child_sends_the_state_of_the_moment_in_chunks() -> None:
    async def work(woken: asyncio.Event) -> None:
        state = {"n": 1}
        dumping = fork(lambda: b"%d" % state["n"] + BIG, woken.set)
        state["n"] = 2
        content = await take_all(dumping, woken)
        assert content == b"1" + BIG
        assert dumping.outline == outline_of(content)
        await until_reaped(dumping, woken)
        assert not dumping.failure

    run(work)


def test_empty_state_can_be_written_down() -> None:
    async def work(woken: asyncio.Event) -> None:
        dumping = fork(lambda: b"", woken.set)
        assert await take_all(dumping, woken) == b""
        assert dumping.outline is not None and dumping.outline.size == 0
        await until_reaped(dumping, woken)

    run(work)


def test_content_waits_in_the_child_until_it_is_taken() -> None:
    async def work(woken: asyncio.Event) -> None:
        dumping = fork(lambda: BIG, woken.set)
        while len(dumping._chunks) < AHEAD_CHUNKS:
            woken.clear()
            await woken.wait()
        for _ in range(50):
            await asyncio.sleep(0)  # it would go on reading if it were to
        assert len(dumping._chunks) == AHEAD_CHUNKS
        assert zlib.crc32(await take_all(dumping, woken)) == zlib.crc32(BIG)
        await until_reaped(dumping, woken)

    run(work)


def test_child_that_is_killed_shows_as_a_failure() -> None:
    def die() -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return b""

    async def work(woken: asyncio.Event) -> None:
        dumping = fork(die, woken.set)
        assert await take_all(dumping, woken) == b""
        assert dumping.failure == "the child ended after 0 bytes"
        await until_reaped(dumping, woken)

    run(work)


def test_child_that_is_killed_in_the_middle_shows_as_a_failure() -> None:
    async def work(woken: asyncio.Event) -> None:
        dumping = fork(lambda: BIG, woken.set)
        while not dumping.is_ready:
            woken.clear()
            await woken.wait()
        signal.pidfd_send_signal(dumping._process, signal.SIGKILL)
        assert len(await take_all(dumping, woken)) < len(BIG)
        assert dumping.failure.startswith("the child ended after ")
        await until_reaped(dumping, woken)

    run(work)


def test_state_that_cannot_be_dumped_says_why() -> None:
    async def work(woken: asyncio.Event) -> None:
        dumping = fork(lambda: b"%d" % (1 // 0), woken.set)
        await take_all(dumping, woken)
        assert dumping.failure == (
            "the state cannot be dumped: ZeroDivisionError('integer division or modulo by zero')"
        )
        await until_reaped(dumping, woken)

    run(work)


def test_closing_ends_a_child_that_would_not_end() -> None:
    def hang() -> bytes:
        time.sleep(1000)
        return b""

    async def work(woken: asyncio.Event) -> None:
        dumping = fork(hang, woken.set)
        dumping.close()
        await until_reaped(dumping, woken)

    run(work)


def test_child_holds_none_of_our_files_and_locks() -> None:
    async def work(woken: asyncio.Event) -> None:
        dumping = fork(lambda: " ".join(os.listdir("/proc/self/fd")).encode(), woken.set)
        content = await take_all(dumping, woken)
        assert len(content.split()) == 2  # the pipe, and the listing itself
        await until_reaped(dumping, woken)

    run(work)


def test_signal_to_the_child_does_not_reach_the_parents_handlers() -> None:
    def interrupt() -> bytes:
        os.kill(os.getpid(), signal.SIGTERM)
        return b"survived"

    async def work(woken: asyncio.Event) -> None:
        heard: list[str] = []
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, heard.append, "TERM")
        dumping = fork(interrupt, woken.set)
        assert await take_all(dumping, woken) == b""
        await until_reaped(dumping, woken)
        assert (dumping.failure != "", heard) == (True, [])

    run(work)


def test_state_stays_set_aside_once_the_child_is_gone() -> None:
    async def work(woken: asyncio.Event) -> None:
        dumping = fork(lambda: BIG, woken.set)
        await take_all(dumping, woken)
        await until_reaped(dumping, woken)
        assert gc.get_freeze_count() > 0

    run(work)
    gc.unfreeze()


def test_child_lets_others_run_first() -> None:
    def describe() -> bytes:
        return f"{os.sched_getscheduler(0)} {os.getpriority(os.PRIO_PROCESS, 0)}".encode()

    async def work(woken: asyncio.Event) -> None:
        dumping = fork(describe, woken.set)
        assert await take_all(dumping, woken) == b"%d %d" % (os.SCHED_BATCH, NICENESS)
        await until_reaped(dumping, woken)

    run(work)


def test_process_that_cannot_be_forked_shows_as_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)

    async def work(woken: asyncio.Event) -> None:
        dumping = fork(lambda: b"", woken.set)
        assert dumping.failure == "no child can be made: Resource temporarily unavailable"
        assert not dumping.take(1)
        dumping.close()

    run(work)


def test_chunks_are_as_long_as_rows() -> None:
    async def work(woken: asyncio.Event) -> None:
        dumping = fork(lambda: BIG, woken.set)
        lengths: list[int] = []
        while sum(lengths) < len(BIG):
            if not dumping.is_ready:
                woken.clear()
                await woken.wait()
            lengths += map(len, dumping.take(1))
        assert lengths[:-1] == [CHUNK_BYTES] * (len(lengths) - 1)
        await until_reaped(dumping, woken)

    run(work)
