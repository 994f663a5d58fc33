"""One simulated member: the real Raft and the real store, and a disk that nobody can rely on."""

import random
import shutil
from collections.abc import Callable

from structlog.testing import capture_logs

from protocol.errors import CorruptLog
from rlog.config import LogConfig
from rlog.journal import Job
from rlog.membership import Configuration
from rlog.messages import RaftMessage
from rlog.raft import Raft
from rlog.raft_member import Network, Role
from rlog.repair import prepare
from rlog.room import LOOK_S
from rlog.store import Store
from rlog.taking import SnapshotTaking
from tests.simulation.raft.agenda import Agenda
from tests.simulation.raft.clock import Clock
from tests.simulation.raft.damage import flip_in_file, flip_in_row
from tests.simulation.raft.dumps import SlowDumper
from tests.simulation.raft.ledger import Ledger
from tests.simulation.raft.reader import Reader

WRITE_S = 0.004  # mean time of a write


class Member:
    """A process that starts, runs, and dies with all that it had not written."""

    def __init__(
        self, config: LogConfig, agenda: Agenda, rng: random.Random, ledger: Ledger
    ) -> None:
        self.config, self.agenda, self.rng, self.ledger = config, agenda, rng, ledger
        self.clock = Clock(agenda)
        self.network: Network
        self.raft: Raft
        self.reader: Reader
        self.incarnation = 0  # of the process, or of its part in the log
        self.is_up = False  # the process runs
        self.is_open = False  # and its log is open: it has room
        self.is_lost = False  # its disk, and it has not been filled since
        self.is_damaged = False  # its disk, and nobody has looked through it since
        self.is_disk_failing = False
        self.full_until_s = 0.0
        self.write_s = WRITE_S
        self.paused_until_s = 0.0
        self.on_crash: Callable[[Member], None] = lambda member: None
        self.list_remembering: Callable[[], list[Raft]] = list  # whose disks are all right
        self.on_refusal: Callable[[Member], None] = lambda member: None
        self.on_room: Callable[[Member], None] = lambda member: None
        self._job: Job | None = None
        self._is_turn_due = False
        self._led_term = 0
        self._known: Configuration | None = None

    @property
    def is_running(self) -> bool:
        """Whether it does anything now."""
        return self.is_open and self.paused_until_s <= self.agenda.now_s

    @property
    def is_forgetful(self) -> bool:
        """Whether what it promised may be gone, so that the others must remember for it."""
        return self.is_lost or self.is_damaged

    def start(self) -> None:
        """Begin with what is on disk; set that aside, or refuse to begin, when it is damaged."""
        if self.is_damaged:
            try:
                is_new = self._prepare()
            except CorruptLog:
                self.ledger.seen["damage refused at start"] += 1
                self.on_refusal(self)
                return
            if is_new:
                self.ledger.seen["damage set aside at start"] += 1
                self.ledger.anew.add(self.config.name)
                self.is_lost = True
            self.is_damaged = False  # or what flipped is nowhere where anything is kept
        self.is_up, self.is_disk_failing, self.paused_until_s = True, False, 0.0
        self.reader = Reader(self)
        self._take_part(self._open())

    def _prepare(self) -> bool:
        """Do what a daemon does first; half of the operators let it repair what it may."""
        config, is_repairing = self.config, self.rng.random() < 0.5
        with capture_logs():  # what is set aside is told as an error; here it is meant
            return prepare(config.directory, config.name, config.cluster, is_repairing=is_repairing)

    def _open(self) -> Store:
        tail_max = self.rng.choice((4, 16, 64))
        path, name = self.config.directory, self.config.name
        return Store(path, name, map_bytes=1 << 20, tail_max=tail_max)

    def _take_part(self, store: Store) -> None:
        self.incarnation += 1
        self._job, self._is_turn_due, self._store = None, False, store
        self.raft = Raft(
            self.config,
            store,
            store.found(self.config.voters),
            self.network,
            clock_s=self.clock.read,
            rng=self.rng,
        )
        self.raft.reader = self.reader
        self.raft.taking = SnapshotTaking(store, SlowDumper(self), self.kick, self.clock.read)
        self.reader.restore(store.load_snapshot(), store.snapshot.index)
        self.is_open = True
        self.agenda.after(self.rng.random() * 0.02, self._tick, self.incarnation)

    def crash(self) -> None:
        """Lose what is not on disk; a write under way may reach it or not."""
        if not self.is_up:
            return
        self.ledger.seen["crashes"] += 1
        is_writable = self.is_open and not self.is_disk_failing and not self._is_full
        if self._job is not None and is_writable and self.rng.random() < 0.5:
            self._store.write(self._job)
        self._close()
        self.is_up = False
        self.on_crash(self)

    def _close(self) -> None:
        self.incarnation += 1
        if self.is_open:
            self.is_open, self._job = False, None
            self._store.close()

    # What happens to the disk

    def lose_disk(self) -> None:
        """Die, and find an empty disk at the next start."""
        self.crash()
        self.ledger.seen["disks lost"] += 1
        shutil.rmtree(self.config.directory, ignore_errors=True)
        self.is_lost, self.is_damaged = True, False

    def damage(self) -> None:
        """Flip a bit: under the running process, or of a file at rest while it is down."""
        if self.is_open and self.rng.random() < 0.5:
            self.is_damaged = bool(flip_in_row(self._store, self.rng)) or self.is_damaged
        else:
            self.crash()
            self.is_damaged = flip_in_file(self.config.directory, self.rng) or self.is_damaged
        self.ledger.seen["bits flipped"] += self.is_damaged

    @property
    def _is_full(self) -> bool:
        return self.agenda.now_s < self.full_until_s

    def _suspend(self) -> None:
        """Stand aside as `ReplicatedLog` does; the process and its links live on."""
        self.ledger.seen["stood aside"] += 1
        self.raft.step_down()
        self._answer_reads()
        self.reader.follow("")
        self._close()
        self.agenda.after(LOOK_S, self._look_for_room, self.incarnation)

    def _look_for_room(self, incarnation: int) -> None:
        if incarnation != self.incarnation:
            return
        if self._is_full or not self._is_awake():
            self.agenda.after(LOOK_S, self._look_for_room, incarnation)
            return
        self._guard(self._come_back)

    def _come_back(self) -> None:
        store = self._open()
        try:
            store.prove_room()
            self._take_part(store)
        except CorruptLog:
            store.close()
            raise
        self.ledger.seen["came back"] += 1
        self.on_room(self)

    def _is_awake(self) -> bool:
        return self.paused_until_s <= self.agenda.now_s

    # Turns

    def kick(self) -> None:
        """Take a turn soon."""
        if not self._is_turn_due:
            self._is_turn_due = True
            self.agenda.after(self.rng.random() * 0.002, self._turn, self.incarnation)

    def receive(self, source: str, message: RaftMessage) -> None:
        """Take a message, unless the log is closed."""
        if self.is_open:
            self._guard(lambda: self.raft.receive(source, message))
            self.kick()

    def _guard(self, act: Callable[[], None]) -> None:
        """Do something with the log; damage that it meets ends the process."""
        try:
            act()
        except CorruptLog:
            if not self.is_damaged:
                raise
            self.ledger.seen["damage found at work"] += 1
            self.crash()

    def _tick(self, incarnation: int) -> None:
        if incarnation != self.incarnation:
            return
        if self.is_running:
            self._guard(self.raft.tick)
            self.kick()
        self.agenda.after(0.05, self._tick, incarnation)

    def _turn(self, incarnation: int) -> None:
        if incarnation != self.incarnation:
            return
        self._is_turn_due = False
        if self.is_running:
            self._guard(self._do_turn)

    def _do_turn(self) -> None:
        if self.raft.role == Role.LEADER and self.raft.term != self._led_term:
            self._led_term = self.raft.term
            self.ledger.lead(self.raft)
        if self.raft.configuration is not self._known:
            self._known = self.raft.configuration
            self.ledger.belong(self.raft)
        if self._known.index > self.raft.committed:
            self.ledger.believe(self.raft)
        self.raft.turn()
        if self.raft.role == Role.LEADER:
            self.ledger.count(self.raft, self.list_remembering())
        self.ledger.identify(self.raft)
        self._answer_reads()
        if self._store.is_dirty and self._job is None:
            self._job = self._store.take()
            delay_s = self.rng.expovariate(1 / self.write_s)
            self.agenda.after(delay_s, self._written, self.incarnation)

    def _answer_reads(self) -> None:
        for then, is_proven in self.raft.take_answers():
            then(is_proven)

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
        elif self._is_full:
            self._suspend()
        else:
            job, self._job = self._job, None
            self._store.write(job)
            self._guard(lambda: self._note_written(job))

    def _note_written(self, job: Job) -> None:
        self.raft.written(job)
        if self.is_lost and job.last and job.standing.cluster_id:
            self.is_lost = bool(job.standing.amnesia_until)
            self.ledger.seen["disks filled"] += not self.is_lost
        self.kick()
