"""One member of a replicated log at work: raft, store and links, a turn of the loop at a time."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog

from protocol.errors import Broken, CorruptLog, DiskFull, Diverged, NotLeader, StorageLost
from protocol.handshake import Admit, LinkIdentity
from protocol.peer import Receiver
from rlog.config import LogConfig
from rlog.dump import Dumper, InlineDumper
from rlog.journal import Job
from rlog.log import Committed, LogReader
from rlog.membership import Configuration
from rlog.messages import RaftMessage
from rlog.notices import Notices
from rlog.probes import LogProbe, SilentLogProbe
from rlog.raft import Raft
from rlog.raft_member import Role
from rlog.room import RoomWatch
from rlog.store import Store
from rlog.taking import SnapshotTaking
from rlog.transport import Transport
from rlog.view import MemberView

HAND_OVER_S = 0.01  # between looks whether a follower can take over

log = structlog.get_logger()


class ReplicatedLog(MemberView):
    """A `Log` over several masters; `receiver` takes their links on this master's server.

    Whatever happens asks for a turn; a turn does all that is due and starts one write of the
    journal, in a thread, if none is under way. Its end asks for the next turn.
    """

    def __init__(
        self,
        config: LogConfig,
        identity: LinkIdentity,
        rng: random.Random,
        probe: LogProbe | None = None,
        dumper: Dumper | None = None,
    ) -> None:
        """`dumper` writes the reader's state down; without one it is done inline."""
        super().__init__()
        self._config = config
        self._dumper = dumper or InlineDumper()
        self._rng = rng
        self._probe = probe or SilentLogProbe()
        self._transport = Transport(config, identity, self, rng)
        self._room = RoomWatch(config.directory, self._resume)
        self._reader: LogReader
        self._executor: ThreadPoolExecutor
        self._writing: asyncio.Future[None] | None = None
        self._ticking: asyncio.TimerHandle | None = None
        self._is_turn_due = self._is_tick_due = False
        self._is_stopping = False
        self._told_leader = ("", 0)
        self.notices = Notices(config)

    @property
    def receiver(self) -> Receiver:
        """What the server hands links of role REPLICA to."""
        return self._transport.incoming

    @property
    def admit(self) -> Admit:
        """Whom the server lets in as a replica."""
        return self._transport.incoming.admit

    @property
    def name(self) -> str:
        """This member, as the others know it."""
        return self._config.name

    @property
    def is_leader(self) -> bool:
        """Whether `append` works."""
        return self.is_open and not self._is_stopping and self._raft.is_leading

    @property
    def configuration(self) -> Configuration:
        """Who belongs now."""
        founded = Configuration(0, self._config.voters)
        return self._raft.configuration if self.is_open else founded

    @property
    def reachable(self) -> frozenset[str]:
        """The other members to which a link is open."""
        return self._transport.reachable

    @property
    def window_free(self) -> int:
        """How many more appends are welcome now."""
        return self._raft.window_free if self.is_leader else 0

    def append(self, payload: bytes) -> int:
        """Return the index that holds `payload` once committed.

        Raises: NotLeader, Overloaded, TooLarge.
        """
        if not self.is_leader:
            raise NotLeader(self.leader if self.leader != self.name else "")
        index = self._raft.append(payload)
        self.kick()
        return index

    def read_barrier(self, then: Callable[[bool], None]) -> None:
        """Call `then(True)` once a read of everything applied is proven linearizable."""
        if not self.is_leader:
            asyncio.get_running_loop().call_soon(then, False)
            return
        self._raft.read_barrier(then)
        self.kick()

    def replay(self) -> tuple[bytes | None, int, Iterable[Committed]]:
        """Return the newest snapshot, its index, and all payloads after it up to `applied`."""
        return self._raft.replay()

    async def start(self, reader: LogReader) -> None:
        """Open the store, restore `reader`, and begin to take part.

        Raises: Broken with a text for the operator.
        """
        self._reader = reader
        store = Store(self._config.directory, self._config.name, self._config.cluster)
        try:
            self._take_part(store)
        except Exception:
            await self._transport.stop()
            self._store = None
            store.close()
            raise
        self._tick()

    def _take_part(self, store: Store) -> None:
        config, loop = self._config, asyncio.get_running_loop()
        voters = store.found(tuple(sorted(config.voters)))
        self._raft = Raft(config, store, voters, self._transport, clock_s=loop.time, rng=self._rng)
        self._raft.reader = self._reader
        self.notices.begin(self._raft)
        self._raft.taking = SnapshotTaking(store, self._dumper, self.kick, loop.time)
        self._raft.restore()
        self._store = store
        self._executor = ThreadPoolExecutor(1, "journal")
        if self.configuration.voters == (self.name,):
            self._raft.campaign()

    async def stop(self) -> None:
        """Hand leadership over if held, write what is pending, and close."""
        if self.is_open:
            self._is_stopping = True
            await self._hand_over()
        self._room.cancel()
        await self._transport.stop()
        if self._ticking is not None:
            self._ticking.cancel()  # or a single voter would elect itself again
        if self.is_open:
            self._raft.step_down()
            self._turn()
        while self._writing is not None:
            await asyncio.wait([self._writing])
        self.abandon()

    def abandon(self) -> None:
        """Let go of everything without a word or a write, as a killed process does.

        No write may be under way in a thread; in simulation there are no threads.
        """
        store, self._store = self._store, None
        if self._ticking is not None:
            self._ticking.cancel()
        if store is not None:
            self._raft.taking.abandon()
            self._executor.shutdown(wait=False)
            store.close()

    # What the links tell

    def connected(self, name: str) -> None:
        """Note that messages to `name` arrive from now on."""
        if self.is_open:
            self._raft.connected(name)
            self.kick()

    def disconnected(self, name: str) -> None:
        """Note that messages to `name` do not arrive."""
        if self.is_open:
            self._raft.disconnected(name)

    def receive(self, name: str, message: RaftMessage) -> None:
        """Take a message of a member."""
        if not self.is_open:
            return
        try:
            self._raft.receive(name, message)
        except Broken as error:
            self._break(error)
        else:
            self.kick()

    # Turns

    def kick(self) -> None:
        """Take a turn soon."""
        if not self._is_turn_due:
            self._is_turn_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _tick(self) -> None:
        """Let what has arrived be read before anybody is judged silent.

        A process that stood still finds its timers due before its sockets are read.
        """
        self._ticking = asyncio.get_running_loop().call_later(0, self._judge)

    def _judge(self) -> None:
        self._is_tick_due = True
        self._turn()
        if self.is_open:
            loop = asyncio.get_running_loop()
            self._ticking = loop.call_later(self._config.heartbeat_s / 2, self._tick)

    def _turn(self) -> None:
        self._is_turn_due = False
        if not self.is_open:
            return
        try:
            if self._is_tick_due:
                self._is_tick_due = False
                self._raft.tick()
            self._raft.turn()
            self._transport.flush()  # or the writing thread may take the interpreter first
            self._write()
            if self._raft.is_behind:
                self.kick()
        except Broken as error:
            self._break(error)
        except Exception as error:
            log.exception("a turn of the log failed")
            self._break(Diverged(f"a turn of the log failed: {error!r}"))
        else:
            self._report()
        self._answer_reads()

    def _answer_reads(self) -> None:
        for then, is_proven in self._raft.take_answers():
            try:
                then(is_proven)
            except Exception:
                log.exception("a callback of a read failed")

    def _report(self) -> None:
        self.notices.look(self._raft)
        self._tell_committed()
        leader = (self._raft.leader, self._raft.term)
        if leader != self._told_leader:
            self._told_leader = leader
            self._probe.leader_changed(*leader)

    # The disk

    def _write(self) -> None:
        """Start one write of all that is not on disk, unless one is under way."""
        store = self._store
        if self._writing is not None or store is None or not store.is_dirty:
            return
        job = store.take()
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(self._executor, store.write, job)
        self._writing.add_done_callback(partial(self._written, job, time.perf_counter()))

    def _written(self, job: Job, began_s: float, writing: asyncio.Future[None]) -> None:
        self._writing = None
        error = writing.exception()
        if self._store is None:
            return
        if self._is_broken:
            self.abandon()
        elif error is not None:
            self._break(error if isinstance(error, Broken) else StorageLost(repr(error)))
        else:
            self._fsync_s = time.perf_counter() - began_s  # the loop counts milliseconds
            self._probe.fsynced(self._fsync_s, len(job.entries))
            snapshot = self._raft.written(job)
            if snapshot is not None:
                is_ours = not job.is_install
                tell = self._probe.snapshot_taken if is_ours else self._probe.snapshot_installed
                tell(snapshot.index, snapshot.size)
            self._turn()

    def _break(self, error: Broken) -> None:
        """Promise nothing more: what waits for the disk never leaves, nobody is answered."""
        if self._is_broken:
            return
        if isinstance(error, DiskFull) and not self._is_stopping:
            self._suspend(error)
            return
        self._is_broken = True
        if isinstance(error, CorruptLog):
            error = type(error)(f"{self._config.directory}: {error}")
        log.error("the log cannot go on", reason=str(error))
        self._raft.step_down()
        if self._writing is None:
            self.abandon()
        self._reader.broken(error)

    def _suspend(self, error: DiskFull) -> None:
        """Be no member until there is room: what waits for the disk never leaves."""
        log.error("the disk is full, this member takes no part", reason=str(error))
        self._raft.step_down()
        self._answer_reads()
        self._reader.follow("")
        self._report()
        self.abandon()
        self._room.begin()

    def _resume(self) -> None:
        """Begin again with what is on disk, as after a crash; memory is trusted in nothing."""
        config = self._config
        try:
            store = Store(config.directory, config.name, config.cluster)
            try:
                store.prove_room()
                self._take_part(store)
            except BaseException:
                self._store = None
                store.close()
                raise
        except DiskFull:
            self._room.begin()
        except Broken as error:
            self._break(error)
        except Exception as error:
            self._break(Diverged(f"the log cannot be opened again: {error!r}"))
        else:
            log.info("the disk has room, this member takes part again", index=store.last)
            for name in sorted(self.reachable):
                self._raft.connected(name)
            self._tick()

    # Orderly stop

    async def _hand_over(self) -> None:
        """Let a follower that has everything lead at once, rather than after a timeout."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._config.election_timeout_s
        is_asked = False
        while self.is_open and self._raft.role == Role.LEADER and self._raft.peers:
            is_asked = is_asked or self._raft.hand_over()
            if loop.time() > until_s:
                return
            await asyncio.sleep(HAND_OVER_S)
