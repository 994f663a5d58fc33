"""How long a killed leader holds up the next commit: of etcd, and of ours."""

import asyncio
import time
from pathlib import Path

from master.ctl.cluster import EmbeddedCluster
from schedulers.keeper import Keeper
from tests.bench.etcd import TERM, Client, Etcd, etcd, number_in
from tests.bench.measure import percentile
from tests.faults.crowd import introduce
from tests.faults.stage import find_leader, staged, until_whole

VALUE = bytes(256)
AGAIN_S = 0.01  # between puts to etcd: what was sent to a dead leader is not answered for seconds
SAME_TIMEOUT = ("--election-timeout", "500")  # that of our masters; etcd's own is 1,000 ms


async def kill_etcd(cluster: Etcd) -> float:
    """Return the seconds from the kill of the leader to the first commit of what came after."""
    while (gap_s := await _kill_once(cluster)) is None:
        pass
    return gap_s


async def _kill_once(cluster: Etcd) -> float | None:
    """Return the seconds; None when the one killed did not lead any more."""
    leader = await cluster.leader()
    others = [port for place, port in enumerate(cluster.ports) if place != leader]
    clients = [await Client.connect(port) for port in others]
    term = await clients[0].term()
    asked: set[asyncio.Future[bytes]] = set()
    try:
        killed_s = time.monotonic()
        cluster.kill(leader)
        while True:
            asked |= {client.put(b"key", VALUE) for client in clients}
            done, asked = await asyncio.wait(
                asked, timeout=AGAIN_S, return_when=asyncio.FIRST_COMPLETED
            )
            for each in done:
                if each.exception() is None:
                    is_elected = number_in(each.result(), TERM) > term
                    return time.monotonic() - killed_s if is_elected else None
    finally:
        for client in clients:
            client.close()
        await asyncio.gather(*asked, return_exceptions=True)
        cluster.start(leader)


async def kill_master(cluster: EmbeddedCluster, keeper: Keeper) -> float:
    """Return the seconds from the kill of the leader to the first commit of what came after."""
    victim = cluster.masters[await find_leader(cluster)]
    try:
        killed_s = time.monotonic()
        victim.kill()
        await keeper.store("key", VALUE)
        return time.monotonic() - killed_s
    finally:
        victim.start()
        await until_whole(cluster)


async def kill_in_turn(
    rivals: dict[str, Etcd], cluster: EmbeddedCluster, rounds: int
) -> dict[str, list[float]]:
    """Kill each one's leader once a round; return the seconds of each."""
    found: dict[str, list[float]] = {name: [] for name in (*rivals, "ours")}
    async with Keeper(introduce(cluster, "bench"), "bench", deadline_s=60.0) as keeper:
        await keeper.store("key", VALUE)
        for _ in range(rounds):
            for name, rival in rivals.items():
                found[name].append(await kill_etcd(rival))
            await keeper.store("key", VALUE)
            found["ours"].append(await kill_master(cluster, keeper))
    return found


def measure_kills(directory: Path, rounds: int) -> None:
    """Print a line for each."""
    print(f"\nkill -9 of the leader to the next commit, {rounds} each, seconds")
    print(f"{'':<38}{'p50':>7}{'p99':>7}{'max':>7}")
    with (
        etcd(directory / "own") as own,
        etcd(directory / "same", SAME_TIMEOUT, 24_000) as same,
        staged(directory / "masters", 3, 0) as cluster,
    ):
        rivals = {"etcd, election timeout 1 s (its own)": own, "etcd, election timeout 0.5 s": same}
        found = asyncio.run(kill_in_turn(rivals, cluster, rounds))
    for name, each_s in found.items():
        name = "ours, election timeout 0.5 s (our own)" if name == "ours" else name
        print(
            f"{name:<38}{percentile(each_s, 0.5):>7.2f}{percentile(each_s, 0.99):>7.2f}"
            f"{max(each_s):>7.2f}",
            flush=True,
        )
