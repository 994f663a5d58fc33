"""One simulated member: the real Raft and the real store, a disk that is slow, fails or forgets."""

import random
import shutil
import struct
import zlib
from collections.abc import Callable, Sequence

import msgspec

from protocol.errors import Broken
from rlog.config import LogConfig
from rlog.dump import Dumping, Outline, WholeDump
from rlog.journal import Job
from rlog.log import Capture, Committed
from rlog.membership import Configuration
from rlog.raft import Raft
from rlog.raft_member import Network, Role
from rlog.store import Store
from rlog.taking import SnapshotTaking
from tests.simulation.raft.agenda import Agenda
from tests.simulation.raft.ledger import Item, Ledger, is_taking

OPERATION = struct.Struct("<QQ")
Settle = Callable[[bool], None]


class Written(msgspec.Struct, frozen=True):
    """A snapshot of a reader."""

    sessions: dict[int, int]
    latest: Item | None
    queue: list[Item]
    taken: dict[int, Item | None]
    digest: int
    index: int


class Reader:
    """Folds operations into one number per client; each operation counts once."""

    def __init__(self, member: "Member") -> None:
        self._member = member
        self.sessions: dict[int, int] = {}
        self.latest: Item | None = None  # the newest operation that counted
        self.queue: list[Item] = []
        self.taken: dict[int, Item | None] = {}  # by each client, the last time
        self.digest = 0
        self.index = 0
        self.waiting: dict[int, tuple[bytes, Settle]] = {}

    def restore(self, snapshot: bytes | None, index: int) -> None:
        assert not self.waiting
        self.sessions, self.latest, self.digest, self.index = {}, None, 0, index
        self.queue, self.taken = [], {}
        if snapshot is not None:
            self._member.ledger.seen["restored"] += 1
            written = msgspec.msgpack.decode(snapshot, type=Written)
            assert written.index <= index
            self.sessions, self.digest = written.sessions, written.digest
            self.latest, self.queue, self.taken = written.latest, written.queue, written.taken

    def committed(self, entries: Sequence[Committed]) -> None:
        for entry in entries:
            assert entry.index > self.index
            self._member.ledger.apply(self._member.config.name, entry)
            self.index = entry.index
            self._fold(entry.payload)
            payload, settle = self.waiting.pop(entry.index, (entry.payload, None))
            assert payload == entry.payload
            if settle is not None:
                settle(True)

    def snapshot(self) -> Capture | None:
        if self._member.rng.random() < 0.3:
            return None
        self._member.ledger.seen["snapshots"] += 1
        ahead = Reader(self._member)  # a leader's state is ahead of what is committed
        ahead.sessions, ahead.latest = dict(self.sessions), self.latest
        ahead.queue, ahead.taken = list(self.queue), dict(self.taken)
        ahead.digest, ahead.index = self.digest, self.index
        for index in sorted(self.waiting):
            ahead._fold(self.waiting[index][0])
            ahead.index = index
        written = Written(
            ahead.sessions, ahead.latest, ahead.queue, ahead.taken, ahead.digest, ahead.index
        )
        return Capture(ahead.index, lambda: msgspec.msgpack.encode(written))

    def _fold(self, payload: bytes) -> None:
        client, operation = OPERATION.unpack_from(payload)
        if operation > self.sessions.get(client, 0):
            self._operate(client, operation)
        self.digest = zlib.crc32(payload, self.digest)

    def _operate(self, client: int, operation: int) -> None:
        self.sessions[client] = operation
        self.latest = client, operation
        if is_taking(operation):
            self.taken[client] = self.queue.pop(0) if self.queue else None
        else:
            self.queue.append((client, operation))

    def lead(self, term: int) -> None:
        assert term == self._member.raft.term

    def broken(self, error: Broken) -> None:
        raise error

    def follow(self, leader: str) -> None:
        waiting, self.waiting = self.waiting, {}
        for _, settle in waiting.values():
            settle(False)


class SlowDump:
    """What another process writes down: known after a while, or never, and lost with that."""

    def __init__(self, content: bytes) -> None:
        self._whole = WholeDump(content)
        self._is_arriving = False
        self.outline: Outline | None = None
        self.failure = ""

    @property
    def is_ready(self) -> bool:
        """Whether any of it has arrived."""
        return self._is_arriving and self._whole.is_ready

    def take(self, most: int) -> list[bytes]:
        """Return what has arrived."""
        return self._whole.take(most) if self._is_arriving else []

    def close(self) -> None:
        """Forget it."""
        self._whole.close()

    def tell(self) -> None:
        """Say what it measures."""
        self.outline = self._whole.outline

    def arrive(self) -> None:
        """Let it be taken."""
        self._is_arriving = not self.failure

    def fail(self) -> None:
        """Be killed."""
        self.failure = "killed"


class SlowDumper:
    """The twin of a dumper that forks: the state is that of the moment, all else comes later."""

    def __init__(self, member: "Member") -> None:
        self._member = member

    def begin(
        self, dump: Callable[[], bytes], expected_bytes: int, wake: Callable[[], None]
    ) -> Dumping:
        dumping, member = SlowDump(dump()), self._member
        steps = [dumping.tell, dumping.arrive]
        if member.rng.random() < 0.05:
            steps.insert(member.rng.randrange(2), dumping.fail)
            member.ledger.seen["failed dumps"] += 1
        delay_s = 0.0
        for step in steps:
            delay_s += member.rng.random() * 0.3
            member.agenda.after(delay_s, step)
            member.agenda.after(delay_s, wake)
        return dumping


class Member:
    """A process that starts, runs, and dies with all that it had not written."""

    def __init__(
        self, config: LogConfig, agenda: Agenda, rng: random.Random, ledger: Ledger
    ) -> None:
        self.config, self.agenda, self.rng, self.ledger = config, agenda, rng, ledger
        self.network: Network
        self.raft: Raft
        self.reader: Reader
        self.incarnation = 0
        self.is_up = False
        self.is_lost = False  # its disk, and it has not been filled since
        self.is_disk_failing = False
        self.write_s = 0.004
        self.pace = 1.0  # of its clock
        self.paused_until_s = 0.0
        self.on_crash: Callable[[Member], None] = lambda member: None
        self._job: Job | None = None
        self._is_turn_due = False
        self._led_term = 0
        self._known: Configuration | None = None

    @property
    def is_running(self) -> bool:
        """Whether it does anything now."""
        return self.is_up and self.paused_until_s <= self.agenda.now_s

    def start(self) -> None:
        """Begin with what is on disk."""
        self.incarnation += 1
        self.is_up, self.is_disk_failing, self.paused_until_s = True, False, 0.0
        self._job, self._is_turn_due = None, False
        self._store = Store(
            self.config.directory,
            self.config.name,
            map_bytes=1 << 20,
            tail_max=self.rng.choice((4, 16, 64)),
        )
        self.raft = Raft(
            self.config,
            self._store,
            self._store.found(self.config.voters),
            self.network,
            clock_s=lambda: self.agenda.now_s * self.pace,
            rng=self.rng,
        )
        self.raft.reader = self.reader = Reader(self)
        self.raft.taking = SnapshotTaking(
            self._store, SlowDumper(self), self.kick, lambda: self.agenda.now_s
        )
        self.reader.restore(self._store.load_snapshot(), self._store.snapshot.index)
        self.agenda.after(self.rng.random() * 0.02, self._tick, self.incarnation)

    def crash(self) -> None:
        """Lose what is not on disk; a write under way may reach it or not."""
        if not self.is_up:
            return
        self.ledger.seen["crashes"] += 1
        if self._job is not None and not self.is_disk_failing and self.rng.random() < 0.5:
            self._store.write(self._job)
        self.is_up = False
        self.incarnation += 1
        self._store.close()
        self.on_crash(self)

    def lose_disk(self) -> None:
        """Die, and find an empty disk at the next start."""
        if self.is_up:
            self.crash()
        self.ledger.seen["disks lost"] += 1
        shutil.rmtree(self.config.directory, ignore_errors=True)
        self.is_lost = True

    def kick(self) -> None:
        """Take a turn soon."""
        if not self._is_turn_due:
            self._is_turn_due = True
            self.agenda.after(self.rng.random() * 0.002, self._turn, self.incarnation)

    def _tick(self, incarnation: int) -> None:
        if incarnation != self.incarnation:
            return
        if self.is_running:
            self.raft.tick()
            self.kick()
        self.agenda.after(0.05, self._tick, incarnation)

    def _turn(self, incarnation: int) -> None:
        if incarnation != self.incarnation:
            return
        self._is_turn_due = False
        if not self.is_running:
            return
        if self.raft.role == Role.LEADER and self.raft.term != self._led_term:
            self._led_term = self.raft.term
            self.ledger.lead(self.raft)
        if self.raft.configuration is not self._known:
            self._known = self.raft.configuration
            self.ledger.belong(self.raft)
        self.raft.turn()
        self.ledger.identify(self.raft)
        for then, is_proven in self.raft.take_answers():
            then(is_proven)
        if self._store.is_dirty and self._job is None:
            self._job = self._store.take()
            delay_s = self.rng.expovariate(1 / self.write_s)
            self.agenda.after(delay_s, self._written, incarnation)

    def _written(self, incarnation: int) -> None:
        if incarnation != self.incarnation:
            return
        if self.paused_until_s > self.agenda.now_s:
            self.agenda.after(self.paused_until_s - self.agenda.now_s, self._written, incarnation)
            return
        assert self._job is not None
        if self.is_disk_failing:
            self.ledger.seen["disk failures"] += 1
            self.crash()
            return
        job, self._job = self._job, None
        self._store.write(job)
        self.raft.written(job)
        if self.is_lost and job.last and job.standing.cluster_id:
            self.is_lost = bool(job.standing.amnesia_until)
            self.ledger.seen["disks filled"] += not self.is_lost
        self.kick()
