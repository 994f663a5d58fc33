"""A master's log of many events as a cluster would leave it, written without running one."""

from dataclasses import dataclass

from master.core.machine import Command
from master.registrar import Registrar
from protocol.decision import Decision
from protocol.messages.values import TaskState
from rlog.membership import founding_command, payload_command
from rlog.messages import Entry
from rlog.store import Store
from tests.bench.bench_core import Bench, accept_all, acknowledge_all, decline_all, update_all

AGENTS, FRAMEWORKS = 500, 5
ENTRIES_PER_JOB = 4096
TERM = 1


@dataclass(frozen=True, slots=True)
class Written:
    """What a log came to."""

    entries: int
    mean_bytes: float


class Historian(Bench):
    """A leader that writes each event as an entry of its own."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._registrar = Registrar()
        self.bytes = 0
        super().__init__(AGENTS, FRAMEWORKS)

    def submit(self, command: Command) -> None:
        """Decide, fold, and write."""
        self.state.now_ns = self.now_ns
        outcome = self.machine.decide(self.state, command, self.now_ns)
        assert isinstance(outcome, Decision), outcome
        for event in outcome.events:
            self.machine.apply(self.state, event)
            self._write(payload_command(self._registrar.encode(self.now_ns, (event,))))
        for soft in outcome.soft:
            self.machine.apply_soft(self.state, soft)

    def _write(self, command: bytes) -> None:
        store = self._store
        self.bytes += len(command)
        store.add(Entry(store.last + 1, TERM, command))
        if store.last % ENTRIES_PER_JOB == 0:
            self.flush()

    def flush(self) -> None:
        """Write what is in memory; all of it counts as committed."""
        self._store.set_committed(self._store.last)
        self._store.prove_room()


def write_history(path: str, name: str, entries: int) -> Written:
    """Write so many entries, or somewhat more, of tasks that are launched, run and finish."""
    store = Store(path, name, "quorate")
    store.found((name,))
    store.set_term(TERM, name)
    store.add(Entry(1, TERM, founding_command("bench")))
    historian = Historian(store)
    while store.last < entries:
        historian.tick()
        accept_all(historian)
        for sequence, state in enumerate((TaskState.RUNNING, TaskState.FINISHED), 1):
            update_all(historian, state, sequence)
            acknowledge_all(historian, sequence)
        decline_all(historian)
    historian.flush()
    store.close()
    return Written(store.last, historian.bytes / store.last)
