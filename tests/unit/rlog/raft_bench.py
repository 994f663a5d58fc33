"""Members of one log on a table: time, messages and disks move only when a test moves them."""

import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from protocol.errors import Broken
from rlog.config import LogConfig
from rlog.dump import InlineDumper
from rlog.journal import Job
from rlog.log import Capture, Committed
from rlog.membership import payload_command
from rlog.messages import AppendEntries, Entry, RaftMessage
from rlog.raft import Raft
from rlog.raft_member import Role
from rlog.rows import Standing
from rlog.store import Store
from rlog.taking import SnapshotTaking


class RecordingReader:
    """Remembers everything it was told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.payloads: list[bytes] = []
        self.state = b"state"

    def restore(self, snapshot: bytes | None, index: int) -> None:
        self.told.append(("restore", (snapshot, index)))
        self.payloads.clear()

    def committed(self, entries: Sequence[Committed]) -> None:
        self.told.extend(("committed", entry.index) for entry in entries)
        self.payloads.extend(entry.payload for entry in entries)

    def snapshot(self) -> Capture | None:
        return Capture(0, lambda: self.state)

    def lead(self, term: int) -> None:
        self.told.append(("lead", term))

    def follow(self, leader: str) -> None:
        self.told.append(("follow", leader))

    def broken(self, error: Broken) -> None:
        self.told.append(("broken", error))


class BenchMember:
    """One member, and what it has sent but nobody carried away yet."""

    def __init__(self, config: LogConfig, bench: "RaftBench") -> None:
        self.config = config
        self._bench = bench
        self.sent: list[tuple[str, RaftMessage]] = []
        self.is_founded = bench.is_founded
        self.open()

    def open(self) -> None:
        """Start from what is on disk."""
        config, bench = self.config, self._bench
        self.store = Store(config.directory, config.name, map_bytes=4 << 20, tail_max=8)
        if self.is_founded and not self.store.version and not self.store.standing.cluster_id:
            self.store.set_standing(Standing("bench"))
            self.store.done(self._write())
        self.raft = Raft(
            config,
            self.store,
            self.store.found(config.voters),
            self,
            clock_s=lambda: bench.now_s,
            rng=random.Random(1),
        )
        self.raft.reader = self.reader = RecordingReader()
        self.raft.taking = SnapshotTaking(
            self.store, InlineDumper(), lambda: None, lambda: bench.now_s
        )
        self.reader.restore(self.store.load_snapshot(), self.store.snapshot.index)
        for name in bench.names:
            if name != config.name:
                self.raft.connected(name)

    def crash(self) -> None:
        """Lose what is not on disk, and start again."""
        self.store.close()
        self.sent.clear()
        self.open()

    def reach(self, name: str) -> None:
        return

    def leave(self, name: str) -> None:
        return

    def send(self, name: str, message: RaftMessage) -> None:
        self.sent.append((name, message))

    def is_writable(self, name: str) -> bool:
        return True

    def wipe(self) -> None:
        """Lose the disk, and start again."""
        self.is_founded = False
        self.store.close()
        shutil.rmtree(self.config.directory)
        self.sent.clear()
        self.open()

    def flush(self) -> None:
        """Write everything."""
        while self.store.is_dirty:
            self.raft.written(self._write())

    def _write(self) -> Job:
        job = self.store.take()
        self.store.write(job)
        return job

    def work(self) -> None:
        """Take turns and write until nothing changes."""
        self.raft.turn()
        while self.store.is_dirty:
            self.flush()
            self.raft.turn()

    def take_sent(self, kind: type[Any] | None = None) -> list[Any]:
        """Return and forget what was sent, of one kind."""
        sent, self.sent = self.sent, []
        return [message for _, message in sent if kind is None or isinstance(message, kind)]

    def hear(self, name: str, *messages: RaftMessage) -> None:
        """Receive, without working."""
        for message in messages:
            self.raft.receive(name, message)


class RaftBench:
    """All members of one log."""

    def __init__(
        self, directory: Path, count: int = 3, *, is_founded: bool = True, **config: Any
    ) -> None:
        """`is_founded`: the members know their cluster, so that any majority may begin."""
        self.now_s = 100.0
        self.is_founded = is_founded
        self.directory = directory
        self.names = tuple("abcdefg"[:count])
        self.members: dict[str, BenchMember] = {}
        for name in self.names:
            self._open(LogConfig(name, self.names, str(directory / name), **config))

    def _open(self, config: LogConfig) -> BenchMember:
        member = self.members[config.name] = BenchMember(config, self)
        return member

    def join(self, name: str) -> BenchMember:
        """Start a newcomer that nobody has added yet."""
        joined = LogConfig(name, (), str(self.directory / name), join=self.names)
        self.names = (*self.names, name)
        for member in self.members.values():
            member.raft.connected(name)
        return self._open(joined)

    def __getitem__(self, name: str) -> BenchMember:
        return self.members[name]

    def close(self) -> None:
        """Let go of all stores."""
        for member in self.members.values():
            member.store.close()

    def deliver(self, *, among: str | None = None) -> bool:
        """Carry every message between these members; drop what leaves the circle."""
        circle = self.names if among is None else tuple(among)
        is_busy = False
        for name in circle:
            member = self.members[name]
            sent, member.sent = member.sent, []
            for target, message in sent:
                if target in circle:
                    is_busy = True
                    self.members[target].hear(name, message)
        return is_busy

    def settle(self, *, among: str | None = None) -> None:
        """Let members work and talk until nothing is left to say."""
        for _ in range(1000):
            for name in self.names if among is None else among:
                self.members[name].work()
            if not self.deliver(among=among):
                return
        raise AssertionError("they never stop talking")

    def heartbeat(self, *, among: str | None = None) -> None:
        """Let a heartbeat pass."""
        self.now_s += 0.11
        self.settle(among=among)

    def elect(self, name: str, *, among: str | None = None) -> BenchMember:
        """Make a member the leader of the next term."""
        self.now_s += 0.6  # nobody hears a leader any more
        self[name].raft.campaign()
        self.settle(among=among)
        assert self[name].raft.role == Role.LEADER
        return self[name]


def entries(first: int, end: int, term: int) -> tuple[Entry, ...]:
    """Return entries of one term."""
    return tuple(Entry(i, term, payload_command(b"%d" % i)) for i in range(first, end))


def append(term: int, previous: tuple[int, int], *what: Entry, committed: int = 0) -> AppendEntries:
    """Return a leader's message."""
    return AppendEntries(term, 1, committed, *previous, what)
