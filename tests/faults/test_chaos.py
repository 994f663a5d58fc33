"""Whatever is killed in whatever order, what was acknowledged runs once: a few random rounds.

`python -m tests.faults.test_chaos ROUNDS [SEED]` plays as many as wanted.
"""

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from master.ctl.children import Child
from master.ctl.cluster import EmbeddedCluster
from tests.faults.crowd import Crowd, Stream, driving, introduce
from tests.faults.stage import identify_processes, staged, until_whole

ROUNDS = 3
PAUSE_S_MAX = 1.5
SLEEPERS = {f"sleeper-{number}": "exec sleep 100000" for number in range(6)}


def test_random_kills_lose_and_repeat_nothing(tmp_path: Path) -> None:
    torment(tmp_path, ROUNDS, random.Random().randrange(10**6))


def torment(directory: Path, rounds: int, seed: int) -> None:
    """Play rounds of kills under launches, and see what ran."""
    print(f"seed {seed}")

    async def scene(cluster: EmbeddedCluster) -> None:
        rng = random.Random(seed)
        stream, crowd = Stream(directory / "ledger"), Crowd()
        async with (
            driving(introduce(cluster, "sleepers", failover_timeout_s=600.0), crowd) as sleeping,
            driving(introduce(cluster, "stream", failover_timeout_s=600.0), stream),
        ):
            crowd.submit(sleeping, SLEEPERS)
            before = identify_processes(await crowd.pids(list(SLEEPERS)))
            for _ in range(rounds):
                await stream.next_accept(time.monotonic())
                victims = rng.sample(cluster.children, rng.randint(1, len(cluster.children)))
                print("killed:", " ".join(child.name for child in victims), flush=True)
                await kill(victims, rng)
                await stream.next_accept(time.monotonic())
                await until_whole(cluster)
                assert identify_processes([pid for pid, _ in before]) == before
            await stream.dry_up()
            assert crowd.over == {}
        stream.check_ledger()
        print(f"{len(stream.accepted)} launches acknowledged, {len(stream.refusals)} refused")

    with staged(directory / "cluster", masters=3, agents=2) as cluster:
        asyncio.run(scene(cluster))


async def kill(victims: Sequence[Child], rng: random.Random) -> None:
    """Kill all, now and then with pauses between, and start them in the same way."""
    pause_s = rng.choice((0.0, rng.uniform(0, PAUSE_S_MAX)))
    for child in victims:
        os.kill(child.pid, signal.SIGKILL)
        await asyncio.sleep(pause_s)
    for child in victims:
        child.kill()  # reaps it
    for child in rng.sample(victims, len(victims)):
        child.start()
        await asyncio.sleep(pause_s)


if __name__ == "__main__":
    rounds, *given = map(int, sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="quorate-chaos-") as name:
        torment(Path(name), rounds, given[0] if given else random.Random().randrange(10**6))
