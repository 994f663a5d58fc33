"""A loop over a memory log, and what leaves it."""

from typing import Any

from rlog.commands import LoopLimits
from rlog.loop import Loop
from rlog.probes import SilentLoopProbe
from tests.unit.rlog.counter import (
    Command,
    Count,
    Counter,
    Event,
)
from tests.unit.rlog.memory_log import MemoryLog
from tests.unit.rlog.virtual_loop import VirtualLoop

NS = 1_000_000_000


class Recorder(SilentLoopProbe):
    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []
        self.faults: list[str] = []

    def batch(self, commands: int, events: int) -> None:
        self.batches.append((commands, events))

    def faulted(self, stage: str) -> None:
        self.faults.append(stage)


class House:
    """A loop over a memory log, with everything that leaves it written down in order."""

    def __init__(self, limits: LoopLimits | None = None) -> None:
        self.io = VirtualLoop()
        self.log = MemoryLog()
        self.machine = Counter()
        self.probe = Recorder()
        self.wall_ns = 1_000 * NS
        self.out: list[Any] = []
        self.loop: Loop[Count, Command, Event, int, int] = Loop(
            self.machine, self.log, self.perform, lambda: self.wall_ns, self.probe, limits=limits
        )
        self.loop.on_lead = lambda term: self.out.append(("lead", term))
        self.loop.on_follow = lambda leader: self.out.append(("follow", leader))
        self.loop.on_broken = lambda error: self.out.append(("broken", type(error)))
        self.io.call(self.log.attach, self.loop)

    def perform(self, effect: int) -> None:
        if effect == 13:
            raise RuntimeError("perform fails")
        self.out.append(("effect", effect))

    def submit(self, *commands: Command, size_bytes: int = 10) -> None:
        """All in one turn."""

        def act() -> None:
            for command in commands:
                self.loop.submit(command, self.done, size_bytes)

        self.io.call(act)

    def done(self, reply: object) -> None:
        self.out.append(("done", reply))

    def lead(self) -> None:
        self.io.call(self.log.gain)
        self.commit()
        self.taken()

    def commit(self, count: int | None = None) -> None:
        self.io.call(self.log.commit, count)

    def lose(self, leader: str = "m2:7000", surviving: int = 0) -> None:
        self.io.call(self.log.lose, leader, surviving)

    def taken(self) -> list[Any]:
        """What left since last asked."""
        taken, self.out = self.out, []
        return taken

    @property
    def total(self) -> int:
        return self.loop.state.total

    def folded(self) -> Count:
        """The state that a stranger would fold from what is committed."""
        content, _, entries = self.log.replay()
        state = self.machine.empty() if content is None else self.machine.load(content)
        for entry in entries:
            state.now_ns, events = self.machine.decode(entry.payload)
            for event in events:
                self.machine.apply(state, event)
        return state


def types_of(taken: list[Any]) -> list[Any]:
    return [type(reply) for verb, reply in taken if verb == "done"]
