"""Masters that are killed, stopped and woken under a steady stream of launches."""

import asyncio
import os
import signal
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from master.ctl.asking import ask_for_list, identify
from master.ctl.cluster import EmbeddedCluster
from protocol.client import OperatorClient
from protocol.errors import TimedOut
from protocol.messages.operator import ListRoles, SetWeight
from tests.faults.conftest import Lasting
from tests.faults.crowd import Crowd, Stream, driving, introduce
from tests.faults.stage import (
    find_leader,
    identify_processes,
    play,
    see_masters,
    staged,
    until_whole,
)

SLEEPERS = {f"sleeper-{number}": "exec sleep 1000" for number in range(4)}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    with staged(tmp_path_factory.mktemp("masters")) as started:
        yield started


def test_killed_leader_loses_and_repeats_nothing(
    cluster: EmbeddedCluster, tmp_path: Path, lasting: Lasting
) -> None:
    async def scene() -> None:
        stream, crowd = Stream(tmp_path / "leader"), Crowd()
        async with (
            driving(introduce(cluster, "sleepers"), crowd) as sleeping,
            driving(introduce(cluster, "stream"), stream),
        ):
            crowd.submit(sleeping, SLEEPERS)
            before = identify_processes(await crowd.pids(list(SLEEPERS)))
            gaps_s = []
            for _ in range(lasting.leaders_killed):
                await stream.next_accept(time.monotonic())
                victim = cluster.masters[await find_leader(cluster)]
                killed_s = time.monotonic()
                victim.kill()
                gaps_s.append(await stream.next_accept(killed_s) - killed_s)
                victim.start()
                await until_whole(cluster)
            await stream.dry_up()
            assert identify_processes(await crowd.pids(list(SLEEPERS))) == before
            assert crowd.over == {}
        stream.check_ledger()
        print_gaps("kill of the leader to next accepted launch", gaps_s)
        print(f"{len(stream.accepted)} launches acknowledged, {len(stream.refusals)} refused")

    play(scene())


def test_all_masters_killed_at_once_forget_nothing(
    cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    async def scene() -> None:
        stream, crowd = Stream(tmp_path / "all"), Crowd()
        async with (
            driving(introduce(cluster, "sleepers"), crowd) as sleeping,
            driving(introduce(cluster, "stream"), stream),
        ):
            crowd.submit(sleeping, SLEEPERS)
            before = identify_processes(await crowd.pids(list(SLEEPERS)))
            gaps_s, terms = [], [await newest_term(cluster)]
            for _ in range(2):
                await stream.next_accept(time.monotonic())
                for master in cluster.masters:
                    os.kill(master.pid, signal.SIGKILL)
                for master in cluster.masters:
                    master.kill()  # reaps it
                restarted_s = time.monotonic()
                for master in cluster.masters:
                    master.start()
                gaps_s.append(await stream.next_accept(restarted_s) - restarted_s)
                await until_whole(cluster)
                terms.append(await newest_term(cluster))
            assert terms == sorted(set(terms))
            await stream.dry_up()
            assert identify_processes(await crowd.pids(list(SLEEPERS))) == before
            assert crowd.over == {}
        stream.check_ledger()
        print_gaps("start of all masters to next accepted launch", gaps_s)

    play(scene())


def test_stopped_leader_decides_nothing_when_it_wakes(
    cluster: EmbeddedCluster, tmp_path: Path, lasting: Lasting
) -> None:
    still_s = lasting.stopped_s[-1]

    async def scene() -> None:
        stream = Stream(tmp_path / "stopped")
        async with driving(introduce(cluster, "stream"), stream):
            await stream.next_accept(time.monotonic())
            place = await find_leader(cluster)
            old = cluster.masters[place]
            term = await newest_term(cluster)
            # This link leads to the old leader alone; what is asked over it must not be decided.
            client = await OperatorClient.connect_agent(
                cluster.addresses[place], identify(cluster.target), 2 + 1.25 * still_s
            )
            stopped_s = time.monotonic()
            os.kill(old.pid, signal.SIGSTOP)
            try:
                asking = asyncio.create_task(client.ask(SetWeight(role="never", weight_milli=7000)))
                gap_s = await stream.next_accept(stopped_s) - stopped_s
                await asyncio.sleep(max(0.0, stopped_s + still_s - time.monotonic()))
            finally:
                os.kill(old.pid, signal.SIGCONT)
            with pytest.raises(TimedOut, match="NOT_LEADER"):
                await asking
            await client.close()
            await until_whole(cluster)
            views = await see_masters(cluster)
            assert views[cluster.addresses[place]].role == "follower"
            assert await newest_term(cluster) > term
            roles = await ask_for_list(cluster.target, ListRoles())
            assert "never" not in [role.role for role in roles]
            await stream.next_accept(time.monotonic())
            await stream.dry_up()
        stream.check_ledger()
        print_gaps("stop of the leader to next accepted launch", [gap_s])

    play(scene())


async def newest_term(cluster: EmbeddedCluster) -> int:
    return max(view.term for view in (await see_masters(cluster)).values())


def print_gaps(what: str, gaps_s: list[float]) -> None:
    listed = " ".join(f"{gap_s:.2f}" for gap_s in gaps_s)
    print(f"{what}: median {statistics.median(gaps_s):.2f} s of {listed}")
