"""Our log beside etcd: commits, batches, linearizable reads and failovers, in turn in one run."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog
import uvloop

from master.ctl.cluster import EmbeddedCluster
from rlog.client.journal import Journal
from rlog.spaces.messages import Change, Fetch, Fetched
from schedulers.keeper import Keeper
from tests.bench.duel import Contender, Shape, Verb, describe, head, measure, run
from tests.bench.etcd import BINARY, Client, Etcd, etcd
from tests.bench.kills import measure_kills
from tests.bench.measure import describe_place
from tests.bench.places import bench_directory
from tests.bench.tape import Tape
from tests.faults.crowd import introduce
from tests.faults.stage import find_leader, staged

OUTSTANDING = (1, 16, 256, 1024)
SIZES = {"256 B": 256, "4 KiB": 4096}
BATCHES = (64, 1024)
BATCHES_OUTSTANDING = 16
EVENT_BYTES = 256
KEYS = 1000
CONNECTIONS = 4  # to etcd's leader: with one it commits less, with 16 no more
WARM_S = 1.0
PATIENCE_S = 60.0  # of our clients: on a busy machine leaders come and go
# The rate of one principal is a fence around others, not what is measured here.
SETTINGS = ("requests_per_s_max=1000000",)
TITLES = {
    "puts": "Commits: puts, and events appended to a journal",
    "batches": f"Events of {EVENT_BYTES} bytes per second, many in a transaction or an append",
    "reads": f"Linearizable reads of values of {EVENT_BYTES} bytes",
}


class Stand:
    """Both systems, and what each is asked."""

    def __init__(
        self,
        client: Client,
        rival_pids: Sequence[int],
        keeper: Keeper,
        pids: Sequence[int],
        tape: Tape,
    ) -> None:
        self._client, self._rival_pids = client, rival_pids
        self._keeper, self._pids, self._tape = keeper, pids, tape

    async def begin(self) -> None:
        """Have keys that can be read."""
        value = os.urandom(EVENT_BYTES)
        keys = [f"key-{number}" for number in range(KEYS)]
        await asyncio.gather(*(self._client.put(key.encode(), value) for key in keys))
        await asyncio.gather(*(self._keeper.store(key, value) for key in keys))

    def shapes(self, part: str) -> list[Shape]:
        """Return the loads of a part, each with all who are to bear it."""
        match part:
            case "puts":
                return [
                    Shape(name, outstanding, 1, self._putters(os.urandom(size)))
                    for name, size in SIZES.items()
                    for outstanding in OUTSTANDING
                ]
            case "batches":
                return [
                    Shape(f"{events:,} each", BATCHES_OUTSTANDING, events, self._batchers(events))
                    for events in BATCHES
                ]
            case _:
                return [
                    Shape("reads", outstanding, 1, self._readers()) for outstanding in OUTSTANDING
                ]

    def _putters(self, value: bytes) -> list[Contender]:
        client, keeper, tape = self._client, self._keeper, self._tape
        return [
            self._etcd("put", lambda number: client.put(b"key-%d" % (number % KEYS), value)),
            self._ours("put", lambda number: keeper.store(f"key-{number % KEYS}", value)),
            self._ours(
                "put alone",
                lambda number: keeper.transact((Change(f"key-{number % KEYS}", value),)),
            ),
            self._ours("append", lambda _: tape.append((value,))),
        ]

    def _batchers(self, events: int) -> list[Contender]:
        client, tape, value = self._client, self._tape, os.urandom(EVENT_BYTES)
        puts = [(b"key-%d" % number, value) for number in range(events)]
        records = (value,) * events
        return [
            self._etcd("transaction", lambda _: client.put_all(puts)),
            self._ours("append", lambda _: tape.append(records)),
        ]

    def _readers(self) -> list[Contender]:
        client, keeper = self._client, self._keeper
        return [
            self._etcd("range", lambda number: client.get(b"key-%d" % (number % KEYS))),
            self._ours("fetch", lambda number: keeper.fetch(f"key-{number % KEYS}")),
            self._ours(
                "fetch alone",
                lambda number: keeper.asking.ask(
                    Fetch(space=keeper.space, keys=(f"key-{number % KEYS}",)), Fetched
                ),
            ),
        ]

    def _etcd(self, name: str, verb: Verb) -> Contender:
        return Contender(f"etcd {name}", verb, self._rival_pids, self._client.compact)

    def _ours(self, name: str, verb: Verb) -> Contender:
        return Contender(f"our {name}", verb, self._pids)


async def compare(
    rival: Etcd, masters: EmbeddedCluster, parts: Sequence[str], rounds: int, lasts_s: float
) -> None:
    """Print a table for each part."""
    pids = [child.pid for child in masters.masters]
    framework = introduce(masters, "bench")
    async with (
        Keeper(framework, "keys", deadline_s=PATIENCE_S) as keeper,
        Keeper(framework, "events", deadline_s=PATIENCE_S) as events,
    ):
        tape = Tape(await Journal(events, "events").claim("bench"))
        for part in parts:
            leaders = await rival.leader(), await find_leader(masters)
            client = await Client.connect(rival.ports[leaders[0]], CONNECTIONS)
            stand = Stand(client, rival.pids, keeper, pids, tape)
            await stand.begin()
            shapes = stand.shapes(part)
            for contender in shapes[-1].contenders:
                await measure(contender, 16, WARM_S)
            await run(shapes, rounds, lasts_s)
            client.close()
            print(head(TITLES[part]))
            for shape in shapes:
                print(describe(shape), flush=True)
            if (await rival.leader(), await find_leader(masters)) != leaders:
                print("(a leader changed meanwhile: the machine was too busy for fair figures)")


def main() -> int:
    """Print tables; 1 without etcd."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run")
    parser.add_argument("--kills", type=int, default=50, help="of each leader")
    parser.add_argument("--parts", nargs="*", default=[*TITLES, "kills"], help="only these")
    parser.add_argument("--quick", action="store_true", help="one short round, two kills")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    rounds, lasts_s, kills = chosen.rounds, chosen.seconds, chosen.kills
    if chosen.quick:
        rounds, lasts_s, kills = 1, 0.5, 2
    if not BINARY.exists():
        print(f"{BINARY} is missing: `make bench` unpacks it from Debian's etcd-server")
        return 1
    print(describe_place())
    print(f"medians of {rounds} rounds of {lasts_s:g} s; 3 members each, fsync by a majority")
    with bench_directory() as name:
        directory = Path(name)
        parts = [part for part in TITLES if part in chosen.parts]
        if parts:
            with (
                etcd(directory / "etcd") as rival,
                staged(directory / "ours", 3, 0, SETTINGS) as masters,
            ):
                uvloop.run(compare(rival, masters, parts, rounds, lasts_s))
        if "kills" in chosen.parts:
            measure_kills(directory, kills)
    print(f"load now {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
