"""Clients of the simulated masters that keep things: keys, a journal, and who leads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar

from protocol.errors import Fault
from rlog.client.election import Election, Leadership
from rlog.client.journal import Journal, Writer
from rlog.spaces.messages import Change, Condition
from schedulers.framework import Framework
from schedulers.keeper import Held, Keeper, Refusal
from tests.simulation.checkers import BrokenPromiseError
from tests.simulation.client import ClientHost
from tests.simulation.cluster import Cluster
from tests.simulation.keeping.ledger import KEYS, Appended, Fenced, Found, Ledger, Transaction
from tests.simulation.loop import Process

SPACE, LED, JOURNAL = "seeded", "led", "seeded"
TTL_S = 1.5
PAUSE_S = 0.3
TRUNCATE = 0.02  # of appends
T = TypeVar("T")


@dataclass(slots=True)
class Leaders:
    """Who believes to lead: at most one may, by its own clock."""

    cluster: Cluster
    ledger: Ledger
    believing: list[tuple[Process, Leadership]] = field(default_factory=list)

    def add(self, process: Process, leadership: Leadership) -> None:
        """Check that nobody else believes so when one begins to."""
        self.ledger.seen["leaderships"] += 1
        now_s = self.cluster.loop.time()
        self.believing = [
            (other, theirs)
            for other, theirs in self.believing
            if not other.is_dead and not theirs.lost.is_set() and theirs.held.until_s > now_s
        ]
        for other, theirs in self.believing:
            raise BrokenPromiseError(
                f"{process.host} leads under {leadership.token} and {other.host} under "
                f"{theirs.token}, for {theirs.held.until_s - now_s:.3f} s more"
            )
        self.believing.append((process, leadership))


class KeeperHost(ClientHost):
    """One client's machine."""

    def __init__(self, cluster: Cluster, ledger: Ledger, leaders: Leaders, name: str) -> None:
        super().__init__(cluster, name)
        self.ledger, self.leaders, self.rng = ledger, leaders, cluster.rng
        self.values = 0  # made so far, by all its processes
        self.starts = 0
        self.steps_left = 0  # after the storm

    @property
    def is_settled(self) -> bool:
        return self.steps_left <= 0

    @property
    def left(self) -> object:
        return f"{self.steps_left} steps"

    def go_on(self) -> None:
        self.steps_left = 3

    def keeper(self) -> Keeper:
        """Return a keeper of the space that all of them use."""
        framework = Framework(self.name, masters=",".join(self.cluster.addresses))
        return Keeper(framework, SPACE, rng=self.rng)

    async def run(self) -> None:
        self.starts += 1
        async with self.keeper() as keeper, asyncio.TaskGroup() as group:
            group.create_task(self._use_keys(keeper))
            group.create_task(self._lead(keeper, f"{self.name}-{self.starts}"))
            group.create_task(self._write_unled(keeper))
            group.create_task(self._read_journal(keeper))

    def _make_value(self, prefix: int) -> bytes:
        """Return what nobody else ever stores."""
        self.values += 1
        return f"{prefix}:{self.name}:{self.values}".encode()

    async def _rest(self) -> None:
        await asyncio.sleep(self.rng.expovariate(1 / PAUSE_S))

    # Keys

    async def _use_keys(self, keeper: Keeper) -> None:
        while True:
            await self._rest()
            keys = self.rng.sample(KEYS, self.rng.choice((1, 1, 2, 3)))
            found, versions = await self._fetch(keeper, keys)
            if found is not None and self.rng.random() < 0.7:
                await self._transact(keeper, found, versions)

    async def _fetch(self, keeper: Keeper, keys: list[str]) -> tuple[Found | None, dict[str, int]]:
        called = self.ledger.call("fetch", ())
        try:
            items = await keeper.fetch(*keys)
        except Fault:
            return None, {}
        found = tuple((key, items[key].value if key in items else None) for key in keys)
        self.ledger.close(called, found)
        return found, {key: items[key].version if key in items else 0 for key in keys}

    async def _transact(self, keeper: Keeper, found: Found, versions: dict[str, int]) -> None:
        bound = found if self.rng.random() < 0.8 else ()
        written = self.rng.sample(KEYS, self.rng.choice((1, 1, 2)))
        changes = tuple(
            (key, None if self.rng.random() < 0.1 else self._make_value(0)) for key in written
        )
        called = self.ledger.call("transact", Transaction(bound, changes, None))
        try:
            await keeper.transact(
                [Change(key, value or b"", is_expunged=value is None) for key, value in changes],
                [Condition(key, versions[key]) for key, _ in bound],
            )
        except Refusal as refusal:
            if refusal.reason != "CONFLICT":
                raise
            self.ledger.close(called, Transaction(bound, changes, is_done=False))
        except Fault:
            self.ledger.seen["outcome unknown"] += 1
        else:
            self.ledger.close(called, Transaction(bound, changes, is_done=True))
            self.steps_left -= 1

    # Who leads

    async def _lead(self, keeper: Keeper, holder: str) -> None:
        process = self.process
        assert process is not None
        while True:
            await self._rest()
            leadership: Leadership | None = None
            try:
                async with Election(keeper, "leader", holder, TTL_S).leading() as leadership:
                    self.leaders.add(process, leadership)
                    await self._reign(keeper, leadership)
            except Refusal as refusal:
                self._expect(refusal, "FENCED")
            except Fault:
                pass
            if leadership is not None and self.rng.random() < 0.5:
                await self._try(self._change_led(keeper, leadership.held))  # in vain, or before all

    async def _reign(self, keeper: Keeper, leadership: Leadership) -> None:
        writer = await Journal(keeper, JOURNAL).claim(self.name)
        while not leadership.lost.is_set() and self.rng.random() < 0.93:
            await self._change_led(keeper, leadership.held)
            held = (leadership.held,) if self.rng.random() < 0.5 else ()
            await self._append(writer, held)
            await self._rest()

    async def _change_led(self, keeper: Keeper, held: Held) -> None:
        value = self._make_value(held.token)
        revision = await keeper.transact((Change(LED, value),), (), (held,))
        self.ledger.fenced.append(Fenced(held.token, value, revision))
        self.ledger.seen["changes under a lease"] += 1

    # The journal

    async def _write_unled(self, keeper: Keeper) -> None:
        """Claim the journal now and then though somebody else leads."""
        while True:
            await asyncio.sleep(self.rng.expovariate(1 / (20 * PAUSE_S)))
            await self._try(self._write_some(keeper))

    async def _write_some(self, keeper: Keeper) -> None:
        writer = await Journal(keeper, JOURNAL).claim(self.name)
        for _ in range(self.rng.randrange(4)):
            await self._rest()
            await self._append(writer, ())

    async def _append(self, writer: Writer, held: tuple[Held, ...]) -> None:
        count = self.rng.choice((1, 1, 3))
        records = tuple(self._make_value(writer.epoch) for _ in range(count))
        position = writer.next if self.rng.random() < 0.5 else 0
        called = self.ledger.tick()
        last = await writer.append(records, held, position)
        told = Appended(writer.epoch, records, last, called, self.ledger.tick())
        self.ledger.appended.append(told)
        self.ledger.seen["appends"] += 1
        if self.rng.random() < TRUNCATE:
            await writer.truncate(max(1, last - 20))

    async def _read_journal(self, keeper: Keeper) -> None:
        journal, position = Journal(keeper, JOURNAL), 0
        while True:
            await self._rest()
            try:
                async for record in journal.read(position):
                    self.ledger.read(record.position, record.content)
                    position = record.position + 1
            except Refusal as refusal:
                self._expect(refusal, "COMPACTED")
                position = 0
            except Fault:
                continue

    # What may be refused

    async def _try(self, act: Awaitable[T]) -> None:
        try:
            await act
        except Refusal as refusal:
            self._expect(refusal, "FENCED", "WRONG_POSITION")
        except Fault:
            return

    def _expect(self, refusal: Refusal, *reasons: str) -> None:
        self.ledger.seen[refusal.reason] += 1
        if refusal.reason not in reasons:
            raise refusal
