"""Members of a log on hosts of their own: networks divided in every shape; members stopped."""

import asyncio
import contextlib
import itertools
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.faults.networks import Net, network
from tests.faults.shapes import SHAPES, Shape
from tests.faults.stage import play
from tests.faults.trio import MEMBERS, Trio

DIVIDED_S = 3.0  # several election timeouts
FLAP_S, FLAPS = 0.1, 25
STOPPED_S = (1.0, 4.0)  # shorter and longer than it takes to elect another
PAIRS = list(itertools.permutations(range(MEMBERS), 2))


@pytest.fixture
def net() -> Iterator[Net]:
    with network(MEMBERS) as made:
        yield made


@contextlib.asynccontextmanager
async def running(net: Net, directory: Path) -> AsyncIterator[Trio]:
    """Run three members until all they acknowledged is held by all."""
    trio = Trio(net, directory)
    try:
        for place in range(MEMBERS):
            await trio.start(place)
        await trio.until_acknowledged()
        yield trio
        net.heal()
        await trio.until_acknowledged()
        await trio.check()
    finally:
        await trio.close()


def test_leader_that_is_cut_off_silently_stops_leading(net: Net, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(net, tmp_path) as trio:
            old = trio.leader()
            cut_s = time.monotonic()
            net.part([pair for pair in PAIRS if old in pair])
            await trio.until(lambda: not trio.leads[old], "the leader that was cut off follows")
            await trio.until(lambda: True in trio.leads, "another leads")
            await trio.until_acknowledged()
            print(f"cut to an acknowledgement of another: {time.monotonic() - cut_s:.2f} s at most")
            net.heal()

    play(scene())


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_divided_network_loses_nothing_and_goes_on(net: Net, tmp_path: Path, shape: Shape) -> None:
    async def scene() -> None:
        seed = random.Random().randrange(10**6)
        rng = random.Random(seed)
        async with running(net, tmp_path) as trio:
            for _ in range(2):
                names = [str(place) for place in range(MEMBERS)]
                silent = sorted((int(a), int(b)) for a, b in shape(names, rng))
                net.part(silent)
                await asyncio.sleep(DIVIDED_S)
                net.heal()
                gap_s = await trio.until_acknowledged()
                print(f"seed {seed}, {silent}: {gap_s:.2f} s from its end to an acknowledgement")

    play(scene())


def test_flapping_link_loses_nothing(net: Net, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(net, tmp_path) as trio:
            leader, terms = trio.leader(), trio.terms
            flapping = (leader + 1) % MEMBERS
            before = len(trio.acknowledged)
            for _ in range(FLAPS):
                net.part([pair for pair in PAIRS if flapping in pair])
                await asyncio.sleep(FLAP_S)
                net.heal()
                await asyncio.sleep(FLAP_S)
            acknowledged, changes = len(trio.acknowledged) - before, trio.terms - terms
            print(f"{FLAPS} flaps: {acknowledged} acknowledged, {changes} changes of leader")

    play(scene())


def test_stopped_leader_acknowledges_nothing_of_its_own(net: Net, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(net, tmp_path) as trio:
            for stopped_s in STOPPED_S:
                await trio.until(lambda: True in trio.leads, "one leads")
                pid = trio.pid(trio.leader())
                os.kill(pid, signal.SIGSTOP)
                try:
                    await asyncio.sleep(stopped_s)
                finally:
                    os.kill(pid, signal.SIGCONT)
                print(f"stopped {stopped_s} s: {await trio.until_acknowledged():.2f} s more")

    play(scene())


def test_followers_killed_in_turn_stop_nothing(net: Net, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(net, tmp_path) as trio:
            leader = trio.leader()
            for place in range(MEMBERS):
                if place != leader:
                    await trio.kill(place)
                    print(f"without {place}: {await trio.until_acknowledged():.3f} s")
                    await trio.start(place)
                    await trio.check()  # it has all before the next one goes

    play(scene())
