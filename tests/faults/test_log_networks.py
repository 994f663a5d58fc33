"""Members of a log on hosts of their own: networks divided in every shape; members stopped."""

import asyncio
import itertools
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Lasting
from tests.faults.networks import Net, network
from tests.faults.shapes import SHAPES, Shape
from tests.faults.stage import play
from tests.faults.trio import MEMBERS, running

FLAP_S = 0.1
READS = 5
FOLLOWER_STOPPED_S = 5.5
PAIRS = list(itertools.permutations(range(MEMBERS), 2))


@pytest.fixture
def net() -> Iterator[Net]:
    with network(MEMBERS, Net) as made:
        yield made


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
def test_divided_network_loses_nothing_and_goes_on(
    net: Net, tmp_path: Path, shape: Shape, lasting: Lasting
) -> None:
    async def scene() -> None:
        seed = random.Random().randrange(10**6)
        rng = random.Random(seed)
        async with running(net, tmp_path) as trio:
            for _ in range(lasting.divisions):
                names = [str(place) for place in range(MEMBERS)]
                silent = sorted((int(a), int(b)) for a, b in shape(names, rng))
                net.part(silent)
                await asyncio.sleep(lasting.divided_s)
                net.heal()
                gap_s = await trio.until_acknowledged()
                print(f"seed {seed}, {silent}: {gap_s:.2f} s from its end to an acknowledgement")
                await asyncio.sleep(lasting.whole_s)

    play(scene())


def test_flapping_link_loses_nothing(net: Net, tmp_path: Path, lasting: Lasting) -> None:
    async def scene() -> None:
        async with running(net, tmp_path) as trio:
            leader, terms = trio.leader(), trio.terms
            flapping = (leader + 1) % MEMBERS
            before, began_s = len(trio.acknowledged), time.monotonic()
            for _ in range(lasting.flaps):
                net.part([pair for pair in PAIRS if flapping in pair])
                await asyncio.sleep(FLAP_S)
                net.heal()
                await asyncio.sleep(FLAP_S)
            acknowledged, changes = len(trio.acknowledged) - before, trio.terms - terms
            rate, quiet = acknowledged / (time.monotonic() - began_s), await trio.rate()
            print(
                f"{lasting.flaps} flaps: {acknowledged} acknowledged, {changes} changes of leader;"
                f" {rate:.0f} a second, {quiet:.0f} afterwards"
            )

    play(scene())


def test_stopped_leader_acknowledges_nothing_of_its_own(
    net: Net, tmp_path: Path, lasting: Lasting
) -> None:
    async def scene() -> None:
        async with running(net, tmp_path) as trio:
            for stopped_s in lasting.stopped_s:
                await trio.until(lambda: True in trio.leads, "one leads")
                pid = trio.pid(trio.leader())
                os.kill(pid, signal.SIGSTOP)
                try:
                    await asyncio.sleep(stopped_s)
                finally:
                    os.kill(pid, signal.SIGCONT)
                print(f"stopped {stopped_s} s: {await trio.until_acknowledged():.2f} s more")

    play(scene())


def test_woken_leader_reads_nothing_of_the_past(net: Net, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(net, tmp_path) as trio:
            await trio.until(lambda: True in trio.leads, "one leads")
            old = trio.leader()
            os.kill(trio.pid(old), signal.SIGSTOP)
            try:
                await trio.until(lambda: trio.leads.count(True) == 2, "another leads")
                await trio.until_acknowledged()
                needed = set(trio.acknowledged)
                for _ in range(READS):
                    trio.tell(old, "read")  # it waits there until the old leader wakes
            finally:
                os.kill(trio.pid(old), signal.SIGCONT)
            await trio.until(lambda: len(trio.reads) == READS, "it answers")
            assert all(read is None or read >= needed for read in trio.reads)
            print(f"{trio.reads.count(None)} of {READS} reads refused")

    play(scene())


def test_stopped_follower_holds_nobody_up_and_catches_up(net: Net, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(net, tmp_path) as trio:
            await trio.until(lambda: True in trio.leads, "one leads")
            terms, pid = trio.terms, trio.pid((trio.leader() + 1) % MEMBERS)
            os.kill(pid, signal.SIGSTOP)
            try:
                before, until_s = len(trio.acknowledged), time.monotonic() + FOLLOWER_STOPPED_S
                while time.monotonic() < until_s:
                    await trio.until_acknowledged()
            finally:
                os.kill(pid, signal.SIGCONT)
            done = len(trio.acknowledged) - before
            print(f"{done} acknowledged meanwhile, {trio.terms - terms} changes of leader")

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
