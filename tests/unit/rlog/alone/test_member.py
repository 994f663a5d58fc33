"""A member of a log by itself and its clients, over loopback in one process."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from master.ctl.children import free_ports
from protocol.client import OperatorClient
from protocol.credentials import Credentials, parse_credentials
from protocol.errors import Denied, TimedOut
from protocol.handshake import LinkIdentity
from protocol.links import LinkPace
from protocol.messages.link import LinkRole
from protocol.messages.operator import (
    EntriesPart,
    Failed,
    ListAgents,
    ListMasters,
    Masters,
    OperatorMessage,
    ReadEntries,
)
from rlog.alone.config import LoneConfig
from rlog.alone.member import LoneMember
from rlog.client import Connection, Election, Journal, connect
from rlog.client.asking import Refusal
from schedulers import Framework
from schedulers.keeper import Keeper as FrameworkKeeper

PATIENCE_S = 60.0  # only ever spent by a test that fails
QUICK = LinkPace(retry_first_s=0.01, retry_max_s=0.05)
SECRETS = """
member m-secret replica
shop s-secret keeper
other o-secret keeper
op p-secret operator
"""


class Place:
    """Where one member runs, and runs again."""

    def __init__(self, directory: Path, *, is_secure: bool = False) -> None:
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        credentials = ""
        if is_secure:
            path = directory / "secrets"
            path.write_text(SECRETS)
            path.chmod(0o600)
            credentials = str(path)
        self.config = LoneConfig(
            listen=self.address,
            data_dir=str(directory / "data"),
            credentials=credentials,
            insecure=not is_secure,
        )
        (directory / "data").mkdir()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[LoneMember]:
        member = LoneMember(self.config, time.time_ns, random.Random(1))
        await member.start()
        try:
            yield member
        finally:
            await member.stop()

    def connect(self, principal: str = "", deadline_s: float = PATIENCE_S) -> Connection:
        secrets = parse_credentials(SECRETS) if principal else Credentials.insecure()
        return connect(
            self.address, secrets, principal=principal, deadline_s=deadline_s, pace=QUICK
        )


def play(act: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await act()

    with capture_logs():
        asyncio.run(run())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def secure(tmp_path: Path) -> Place:
    return Place(tmp_path, is_secure=True)


def test_what_was_stored_is_there_after_a_restart(place: Place) -> None:
    async def act() -> None:
        async with place.connect() as log:
            async with place.running():
                first = await log.space("s").store("k", b"v")
            async with place.running():
                item = (await log.space("s").fetch("k"))["k"]
                assert (item.value, item.version) == (b"v", first)

    play(act)


def test_watch_goes_on_over_a_restart_without_a_gap(place: Place) -> None:
    async def act() -> None:
        seen: list[int] = []
        async with place.connect() as log, place.connect() as other:

            async def watch() -> None:
                async for revision in log.space("s").watch(after=0):
                    seen.append(revision.number)
                    if len(seen) == 4:
                        return

            watching = asyncio.create_task(watch())
            for _ in range(2):
                async with place.running():
                    for key in "ab":
                        await other.space("s").store(key, b"")
            async with place.running():
                await watching
        assert seen == [1, 2, 3, 4]

    play(act)


def test_tail_goes_on_over_a_restart_without_a_gap(place: Place) -> None:
    async def act() -> None:
        seen: list[bytes] = []
        async with place.connect() as log, place.connect() as other:

            async def tail() -> None:
                async for record in Journal(log.space("s"), "j").tail():
                    seen.append(record.content)
                    if record.content == b"last":
                        return

            tailing = asyncio.create_task(tail())
            async with place.running():
                writer = await Journal(other.space("s"), "j").claim("w")
                await writer.append([b"first"])
            async with place.running():
                await writer.append([b"last"])
                await tailing
        assert seen == [b"first", b"last"]

    play(act)


def test_standby_leads_once_the_leader_is_gone(place: Place) -> None:
    async def act() -> None:
        async with place.running(), place.connect() as log:
            first = Election(log.space("s"), "lead", "first")
            second = Election(log.space("s"), "lead", "second", ttl_s=0.2)
            waiting = asyncio.create_task(win(second))
            async with first.leading() as leadership:
                token = leadership.token
            assert await waiting > token

    play(act)


async def win(election: Election) -> int:
    async with election.leading() as leadership:
        return leadership.token


def test_space_is_its_principals_alone(secure: Place) -> None:
    async def act() -> None:
        async with secure.running(), secure.connect("shop") as ours:
            await ours.space("s").store("k", b"v")
            async with secure.connect("other") as theirs:
                with pytest.raises(Refusal, match="OTHER_OWNER"):
                    await theirs.space("s").fetch("k")
                await theirs.space("t").store("k", b"w")

    play(act)


def test_principal_without_the_role_is_denied(secure: Place) -> None:
    async def act() -> None:
        async with secure.running(), secure.connect("op") as log:
            with pytest.raises(Denied, match="may not act as keeper"):
                await log.space("s").names()

    play(act)


def test_schedulers_are_told_that_there_are_no_masters(place: Place) -> None:
    async def act() -> None:
        framework = Framework("web", masters=place.address)
        async with place.running(), FrameworkKeeper(framework, "s", pace=QUICK) as keeper:
            with pytest.raises(Denied, match="takes no framework links"):
                await keeper.names()

    play(act)


def test_request_that_nobody_answers_ends_with_its_outcome_unknown(place: Place) -> None:
    async def act() -> None:
        async with place.connect(deadline_s=0.1) as log:
            with pytest.raises(TimedOut, match="nobody leads; silent are"):
                await log.space("s").store("k", b"v")

    play(act)


def test_operator_looks_copies_and_hears_that_there_is_no_cluster(secure: Place) -> None:
    async def act() -> None:
        secrets = parse_credentials(SECRETS)
        identity = LinkIdentity(LinkRole.OPERATOR, "me", "op", secrets)
        async with secure.running(), secure.connect("shop") as log:
            await log.space("s").store("k", b"v")
            client = await OperatorClient.connect((secure.address,), identity)
            try:
                answers = [
                    await client.ask(request)
                    for request in (ListMasters(), ReadEntries(first=1, last=99), ListAgents())
                ]
            finally:
                await client.close()
        _check_answers(secure.address, *answers)

    play(act)


def _check_answers(address: str, *answers: OperatorMessage) -> None:
    members, entries, refusal = answers
    assert isinstance(members, Masters)
    assert [(each.address, each.role, each.member) for each in members.masters] == [
        (address, "leader", "voter")
    ]
    assert isinstance(entries, EntriesPart)
    assert entries.entries[0].index == 1
    assert isinstance(refusal, Failed)
    assert refusal.reason == "NO_CLUSTER"
