"""The reader of a member under measurement: appends under a load, keeps a state, tells times."""

import asyncio
import random
import time
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from protocol.errors import Broken
from rlog.garbage import uncollected
from rlog.log import Capture, Committed
from rlog.probes import SilentLogProbe
from rlog.replica import ReplicatedLog
from tests.bench.measure import percentile

LOOK_S = 0.01  # between looks how late the event loop is


@dataclass(frozen=True, slots=True)
class Load:
    """Entries of so many events each, so many entries in flight, for so long."""

    outstanding: int
    events_per_entry: int
    event_bytes: int
    lasts_s: float


@dataclass(slots=True)
class Record:
    """One of the many small things that a state is made of."""

    number: int
    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Shape:
    """What every member keeps as its state, and how often it writes that down."""

    records: int = 0
    record_bytes: int = 0
    snapshot_entries: int = 20_000

    def state(self) -> list[Record]:
        """Return a state of small objects, as states are."""
        padding = random.Random(1).randbytes(self.record_bytes)
        return [Record(n, f"record {n}", padding + b"%d" % n) for n in range(self.records)]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a load came to: when each entry was committed, and how long after it was appended."""

    elapsed_s: float
    committed_s: "array[float]"
    latencies_s: "array[float]"

    @property
    def entries(self) -> int:
        """How many were committed."""
        return len(self.latencies_s)

    def during(self, spans: Sequence[tuple[float, float]]) -> list[float]:
        """Return the latencies of the entries that were committed within any of these times."""
        pairs = zip(self.committed_s, self.latencies_s, strict=True)
        return [each for at, each in pairs if any(begin <= at <= end for begin, end in spans)]

    def percentile_s(self, share: float) -> float:
        """Return a percentile of all latencies."""
        return percentile(self.latencies_s, share)


@dataclass(slots=True)
class Milestones:
    """When a member came so far, by the clock that all processes share."""

    imported_s: float = 0.0
    examined_s: float = 0.0
    opened_s: float = 0.0
    following_s: float = 0.0
    applied_s: float = 0.0  # the newest entry


@dataclass(frozen=True, slots=True)
class Account:
    """What one member did since it was last told whether to take snapshots."""

    spans: tuple[tuple[float, float], ...]  # of its snapshots; one under way ends now
    finished: int  # of them
    stall_s: float  # the longest that its event loop was late
    snapshot_bytes: int  # of the newest one
    applied: int
    is_leading: bool
    milestones: Milestones


class Appender(SilentLogProbe):
    """The log's reader and probe on every member; appends under a load while its member leads."""

    log: ReplicatedLog

    def __init__(self, shape: Shape) -> None:
        self.is_leading = self.may_snapshot = False
        with uncollected(shape.records * shape.record_bytes):  # as a snapshot is restored
            self._state = shape.state()
        self._load: Load | None = None
        self._sent_s: deque[tuple[int, float]] = deque()
        self._committed_s, self._latencies_s = array("d"), array("d")
        self._until_s = 0.0
        self._payload = b""
        self._drained = asyncio.Event()
        self._snapshot_bytes = 0
        self.milestones = Milestones()
        self._spans: list[tuple[float, float]] = []
        self._began_s: float | None = None
        self._stall_s = 0.0

    async def run(self, load: Load) -> Taken:
        """Keep the load's number of entries in flight, then wait for the last of them."""
        self._load = load
        self._committed_s, self._latencies_s = array("d"), array("d")
        self._payload = random.Random(1).randbytes(load.event_bytes * load.events_per_entry)
        self._drained.clear()
        began_s = time.perf_counter()
        self._until_s = began_s + load.lasts_s
        for _ in range(load.outstanding):
            self._append(began_s)
        await self._drained.wait()
        elapsed_s, self._load = time.perf_counter() - began_s, None
        return Taken(elapsed_s, self._committed_s, self._latencies_s)

    async def watch(self) -> None:
        """Look all the time how late the event loop is."""
        before_s = time.perf_counter()
        while True:
            await asyncio.sleep(LOOK_S)
            now_s = time.perf_counter()
            self._stall_s = max(self._stall_s, now_s - before_s - LOOK_S)
            before_s = now_s

    def permit(self, *, is_permitted: bool) -> None:
        """Take snapshots when they are due, or none; account for what happens from now on."""
        self.may_snapshot = is_permitted
        self._spans, self._stall_s = [], 0.0

    def account(self) -> Account:
        """Return what happened since."""
        began_s = self._began_s
        current = () if began_s is None else ((began_s, time.perf_counter()),)
        return Account(
            (*self._spans, *current),
            len(self._spans),
            self._stall_s,
            self._snapshot_bytes,
            self.log.applied,
            self.is_leading,
            self.milestones,
        )

    def _append(self, now_s: float) -> None:
        self._sent_s.append((self.log.append(self._payload), now_s))

    # What the log calls

    def restore(self, snapshot: bytes | None, index: int) -> None:
        if snapshot is not None:
            self._state = msgspec.msgpack.decode(snapshot, type=list[Record])

    def committed(self, entries: Sequence[Committed]) -> None:
        for entry in entries:  # a state's pages are written to here and there
            if self._state:
                self._state[entry.index * 7919 % len(self._state)].number = entry.index
        now_s = self.milestones.applied_s = time.perf_counter()
        load, last = self._load, entries[-1].index if entries else 0
        while self._sent_s and self._sent_s[0][0] <= last:
            self._committed_s.append(now_s)
            self._latencies_s.append(now_s - self._sent_s.popleft()[1])
        if load is None:
            return
        if now_s < self._until_s:
            # The others may be ahead of our own disk; the log calls again when that has caught up.
            for _ in range(min(load.outstanding - len(self._sent_s), self.log.window_free)):
                self._append(now_s)
        elif not self._sent_s:
            self._drained.set()

    def snapshot(self) -> Capture | None:
        if not self.may_snapshot:
            return None
        self._began_s = time.perf_counter()
        return Capture(0, partial(msgspec.msgpack.encode, self._state))

    def lead(self, term: int) -> None:
        self.is_leading = True

    def follow(self, leader: str) -> None:
        assert self._load is None, "leadership was lost under load: the figures mean nothing"
        self.is_leading = False
        if leader and not self.milestones.following_s:
            self.milestones.following_s = time.perf_counter()

    def broken(self, error: Broken) -> None:
        raise error

    def snapshot_installed(self, index: int, size_bytes: int) -> None:
        self.milestones.applied_s = time.perf_counter()

    def snapshot_taken(self, index: int, size_bytes: int) -> None:
        assert self._began_s is not None
        self._spans.append((self._began_s, time.perf_counter()))
        self._began_s, self._snapshot_bytes = None, size_bytes
