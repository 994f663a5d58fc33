"""A process that writes a log, says what is durable, and dies where it is told to.

`python -m tests.faults.storing DIRECTORY POINT [FILE CALL]`: kills itself at POINT (`-`: nowhere);
with FILE and CALL it makes that system call fail once it has written for a while.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rlog.store
from protocol.errors import StorageLost
from rlog.dump import WholeDump
from rlog.journal import Job
from rlog.messages import Entry
from rlog.rows import Snapshot
from rlog.store import Store

CHUNK = bytes(range(256)) * 1024
POINTS = (
    "before the first chunk",
    "after the first chunk",
    "before the switch",
    "inside the switch",
    "after the switch",
    "inside a compaction",
    "after a compaction",
    "inside a sweep",
    "before the map grows",
    "after the map grew",
    "inside an install",
    "after an install",
)
STEPS_MAX = 400


@dataclass
class Claims:
    """What a process said is durable before it died."""

    durable: int = 0
    snapshot: int = 0

    def add(self, lines: Iterable[str]) -> None:
        """Take what another process said."""
        for line in lines:
            what, index = line.split()
            setattr(self, what, max(getattr(self, what), int(index)))

    @classmethod
    def read(cls, lines: Iterable[str]) -> "Claims":
        """Return the claims of one process."""
        claims = cls()
        claims.add(lines)
        return claims


class Mortal(Store):
    """A store that is killed at one point of its life."""

    point = ""

    def reach(self, point: str) -> None:
        """Die here if this is the place."""
        if point == self.point:
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, job: Job) -> None:
        """Write, and look around before, in the middle and after."""
        compacts = job.position.base_index > getattr(self, "_compacted", job.position.base_index)
        self._compacted = job.position.base_index
        self.reach("before the first chunk" if job.chunks else "")
        self.reach("before the switch" if job.snapshot is not None else "")
        self._is_switching = job.snapshot is not None and not job.is_install
        self._is_installing_now, self._is_compacting = job.is_install, compacts
        super().write(job)
        self.reach("after the first chunk" if job.chunks else "")
        self.reach("after the switch" if self._is_switching else "")
        self.reach("after a compaction" if compacts else "")
        self.reach("after an install" if job.is_install else "")

    def _sweep(self, txn: Any, live: frozenset[int]) -> None:
        self.reach("inside the switch" if self._is_switching else "")
        self.reach("inside an install" if self._is_installing_now else "")
        self.reach("inside a compaction" if self._is_compacting else "")
        before = txn.stat(self._tables.snapshots)["entries"]
        super()._sweep(txn, live)
        self.reach("inside a sweep" if txn.stat(self._tables.snapshots)["entries"] < before else "")

    def _make_room(self, size: int) -> None:
        before = self._env.info()["map_size"]
        used = self._tables.used_bytes + 3 * size + rlog.store.MAP_SPARE_BYTES
        self.reach("before the map grows" if used > before else "")
        super()._make_room(size)
        self.reach("after the map grew" if self._env.info()["map_size"] > before else "")


def main() -> int:
    """Write and take snapshots until it is over; 3: the disk failed."""
    directory, point, *failing = sys.argv[1:]
    store = Mortal(directory, "a:1", "red", map_bytes=5 << 20)
    store.point = point
    try:
        for step in range(STEPS_MAX):
            live(store, step)
            if failing and step == STEPS_MAX // 4:
                Path(failing[0]).write_text(failing[1])
    except StorageLost as error:
        print(type(error).__name__, error, flush=True)
        return 3
    return 0


def live(store: Store, step: int) -> None:
    """Append some; now and then snapshot and compact, or begin at a leader's snapshot."""
    for _ in range(20):
        index = store.last + 1
        store.add(Entry(index, 1, b"%d" % index * 100))
    finish(store, lambda: print("durable", store.durable, flush=True))
    store.set_committed(store.last)
    if step % 50 == 20:
        whole = WholeDump(CHUNK * 6)
        store.put_snapshot(snapshot_of(store.last, whole), whole.outline, whole)
        finish(store, lambda: print("snapshot", store.snapshot.index, flush=True))
        store.compact(store.snapshot.index - 5)
        finish(store, lambda: None)
    if step % 50 == 40:
        whole, index = WholeDump(CHUNK * 3), store.last + 1000
        for number, chunk in enumerate(whole.take(3)):
            store.spool(index, number, chunk)
        finish(store, lambda: None)
        store.install(snapshot_of(index, whole), whole.outline.checksums)
        finish(store, lambda: print("snapshot", store.snapshot.index, flush=True))


def snapshot_of(index: int, whole: WholeDump) -> Snapshot:
    """Return the outside of a snapshot."""
    return Snapshot(index, 1, 0, ("a:1",), whole.outline.size, whole.outline.crc)


def finish(store: Store, say: Callable[[], None]) -> None:
    """Write all, then say so."""
    while store.is_dirty:
        job = store.take()
        store.write(job)
        store.done(job)
    say()


if __name__ == "__main__":
    sys.exit(main())
