"""Notices in virtual time: what an operator is told of a member, and how often."""

import asyncio
import random
from dataclasses import dataclass
from typing import Any, cast

from structlog.testing import capture_logs

from rlog.config import LogConfig
from rlog.membership import Configuration
from rlog.notices import LEFT_MIN, LEFT_S, Notices
from rlog.raft import Raft
from tests.simulation.loop import VirtualLoop

CONFIG = LogConfig("m1:7000", ("m1:7000",), "")


@dataclass
class Member:
    """What notices look at."""

    applied: int = 0
    committed: int = 0
    name: str = "m1:7000"
    leader: str = "m1:7000"
    cluster_id: str = "id"
    is_removed: bool = False
    is_amnesiac: bool = False
    configuration: Configuration = Configuration(0, ("m1:7000",))  # noqa: RUF009 – frozen


async def fold(member: Member, notices: Notices, seconds: int, per_s: int) -> None:
    for _ in range(seconds):
        await asyncio.sleep(1.0)
        member.applied = min(member.committed, member.applied + per_s)
        notices.look(cast(Raft, member))


def told(member: Member, seconds: int, per_s: int) -> list[dict[str, Any]]:
    """Return what is said of a member that folds so many entries a second."""
    loop, notices = VirtualLoop(random.Random(1)), Notices(CONFIG)
    try:
        notices.begin(cast(Raft, member))
        with capture_logs() as lines:
            loop.run_until_complete(fold(member, notices, seconds, per_s))
    finally:
        loop.close()
    return [dict(line) for line in lines]


def test_member_that_folds_for_long_says_how_far_it_is() -> None:
    lines = told(Member(committed=5_000_000), 60, 100_000)
    assert [line["event"] for line in lines] == ["folding the log"] * 4
    assert [line["left"] for line in lines] == [3_900_000, 2_900_000, 1_900_000, 900_000]
    assert {line["of"] for line in lines} == {5_000_000}


def test_member_that_is_nearly_there_says_nothing() -> None:
    assert told(Member(committed=LEFT_MIN - 1), int(3 * LEFT_S), 1) == []


def begun(noun: str) -> str:
    """Return what a member that belongs to nobody says at its start."""
    config = LogConfig("m1:7000", (), "", join=("m2:7000",), noun=noun)
    member = Member(cluster_id="", configuration=Configuration(0, ()))
    with capture_logs() as lines:
        Notices(config).begin(cast(Raft, member))
    [line] = lines
    return str(line["event"])


def test_members_are_called_what_they_are() -> None:
    assert begun("master").startswith("this master belongs to no cluster and waits")
    assert begun("member").startswith("this member belongs to no log and waits")
