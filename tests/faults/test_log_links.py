"""Members of a log on bad links: frames lost, repeated, late and overtaken; one that is narrow."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.networks import Net, RelayedNet, network
from tests.faults.relay import Faults
from tests.faults.stage import play
from tests.faults.trio import MEMBERS, running

BAD_S = 4.0
BAD = (  # a network that still carries a log, and one that hardly does
    Faults(loss=0.05, repeats=0.1, delay_s_max=0.02),
    Faults(loss=0.3, repeats=0.1, delay_s_max=1.0),
)
KILOBITS = 1000
FORGOTTEN_S = 3.0  # longer than entries are kept for a follower that does not answer
BALLAST = 300_000  # bytes of a snapshot: 2.4 s on that link, longer than from one to the next


@pytest.fixture
def relayed() -> Iterator[RelayedNet]:
    with network(MEMBERS, RelayedNet) as made:
        yield made


@pytest.fixture
def net() -> Iterator[Net]:
    with network(MEMBERS, Net) as made:
        yield made


def test_lost_repeated_late_and_reordered_frames_lose_nothing(
    relayed: RelayedNet, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with running(relayed, tmp_path) as trio:
            for faults in BAD:
                before, terms = len(trio.acknowledged), trio.terms
                relayed.relay.faults = faults
                await asyncio.sleep(BAD_S)
                relayed.heal()
                done, changes = len(trio.acknowledged) - before, trio.terms - terms
                gap_s = await trio.until_acknowledged()
                print(f"{faults}: {done} acknowledged, {changes} changes of leader; {gap_s:.2f} s")
            assert relayed.relay.lost > 0
            assert relayed.relay.repeated > 0

    play(scene())


def test_narrow_link_takes_a_snapshot_and_everything_after_it(net: Net, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(net, tmp_path, BALLAST) as trio:
            await trio.until(lambda: True in trio.leads, "one leads")
            behind = (trio.leader() + 1) % MEMBERS
            await trio.kill(behind)
            others = [place for place in range(MEMBERS) if place != behind]
            gone_s = time.monotonic() + FORGOTTEN_S
            await trio.until(
                lambda: all(trio.taken_s[place] > gone_s for place in others),
                "what it lacks is held by nobody any more",
            )
            terms = trio.terms
            net.narrow(behind, KILOBITS)
            await trio.start(behind)
            await trio.until(lambda: behind in trio.installed, "the snapshot has arrived")
            await trio.until_acknowledged()
            await trio.check()  # while the link is narrow still
            print(f"{trio.installed.count(behind)} snapshots, {trio.terms - terms} new leaders")

    play(scene())
