"""What runs in a machine whose power is cut: members of one log, each on a disk of its own.

Says on the console what the log holds when it is up, then what it acknowledges, until the cut.
Arguments: how many members; `forgetful` for journals without fsync.
"""

import asyncio
import functools
import random
import sys
from collections.abc import Sequence
from typing import Any
from unittest import mock

import lmdb
import structlog

from protocol.errors import NotLeader, Overloaded
from tests.faults.log_member import Member, acknowledge, say_held, start

PORT = 5050
POLL_S = 0.02
SKIPPED = 10_000  # numbers between boots: none that was in flight at a cut is used again


async def until_equal(members: Sequence[Member]) -> None:
    """Return once one leads and all have applied the same."""
    while True:
        is_led = any(member.log.is_leader for member in members)
        is_applied = len({member.log.applied for member in members}) == 1
        if is_led and is_applied and all(member.held == members[0].held for member in members):
            return
        await asyncio.sleep(POLL_S)


async def serve(count: int) -> None:
    names = tuple(f"127.0.0.1:{PORT + place}" for place in range(count))
    members = [await start(names, place, f"/run/disk{place}/log") for place in range(count)]
    await until_equal(members)
    say_held(members[0])
    appended = max((last for _, last in members[0].held), default=0) + SKIPPED
    for member in members:
        member.on_numbers = acknowledge
    rng = random.Random()
    while True:
        for member in members:
            try:
                while member.log.is_leader:
                    member.log.append(appended.to_bytes(8) + bytes(rng.randrange(2000)))
                    appended += 1
            except (NotLeader, Overloaded):
                pass
        await asyncio.sleep(0)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    opening: Any = lmdb.open
    if sys.argv[2:] == ["forgetful"]:
        opening = functools.partial(lmdb.open, sync=False)
    with mock.patch.object(lmdb, "open", opening):
        asyncio.run(serve(int(sys.argv[1])))
