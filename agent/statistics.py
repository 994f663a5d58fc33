"""Statistics: what the running containers use, added up for each framework."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

import structlog

from agent.checkpoint import CheckpointLoop
from agent.containerizer.containerizer import Containerizer
from agent.probes import AgentProbe
from agent.session import Session
from protocol.messages.agent import AgentUsage, FrameworkUsage
from protocol.messages.values import ContainerUsage

log = structlog.get_logger()

Owner = tuple[str, str]  # framework id and role

SAMPLES_PER_TURN = 16  # each reads a few small files; the loop must not stand still meanwhile


@dataclass(slots=True)
class Statistics:
    """Samples every container each `interval_s` and keeps the last sample.

    What an ended container used in all stays in its framework's sum until the framework has
    nothing left running here, so that sums over time miss no end.
    """

    containerizer: Containerizer
    loop: CheckpointLoop
    session: Session
    probe: AgentProbe
    interval_s: float
    last: dict[int, ContainerUsage] = field(default_factory=dict)  # by launch
    ended_cpu_ns: dict[Owner, int] = field(default_factory=dict)
    ended: dict[int, None] = field(default_factory=dict)  # launches in those sums

    def note_exit(self, launch: int, cpu_ns: int) -> None:
        """Count what a container used that has ended."""
        record = self.loop.state.tasks.get(launch)
        if record is not None and launch not in self.ended:
            owner = (record.framework_id, record.role)
            self.ended_cpu_ns[owner] = self.ended_cpu_ns.get(owner, 0) + cpu_ns
            self.ended[launch] = None

    async def run(self) -> None:
        """Sample for ever."""
        while True:
            await asyncio.sleep(self.interval_s)
            try:
                await self.sample()
            except Exception:
                log.exception("sampling what containers use failed")

    async def sample(self) -> None:
        """Sample once, and tell the master and the probe."""
        state = self.loop.state
        records = [record for record in state.tasks.values() if record.is_started]
        running = [record for record in records if not record.is_ended]
        last: dict[int, ContainerUsage] = {}
        owners: dict[int, Owner] = {}
        for number, record in enumerate(running, start=1):
            usage = self.containerizer.usage(str(record.launch))
            if usage is not None and record.launch not in self.ended:
                last[record.launch] = usage
                owners[record.launch] = (record.framework_id, record.role)
            if number % SAMPLES_PER_TURN == 0:
                await asyncio.sleep(0)
        self.last = last
        frameworks = sum_usages(
            ((owners[launch], usage) for launch, usage in last.items()), self.ended_cpu_ns
        )
        self._forget_ended(owners.values())
        self.probe.tasks(len(state.live), len(state.unacknowledged))
        self.probe.usage(frameworks)
        self.session.send_usage(AgentUsage(frameworks))

    def _forget_ended(self, running: Iterable[Owner]) -> None:
        """Drop sums that were told and that nothing running adds to; they begin again at 0."""
        kept = set(running)
        for owner in [owner for owner in self.ended_cpu_ns if owner not in kept]:
            del self.ended_cpu_ns[owner]
        for launch in [launch for launch in self.ended if launch not in self.loop.state.tasks]:
            del self.ended[launch]


def sum_usages(
    usages: Iterable[tuple[Owner, ContainerUsage]], ended_cpu_ns: Mapping[Owner, int]
) -> tuple[FrameworkUsage, ...]:
    """One sum per framework and role, sorted; its stamp is that of the newest sample."""
    by_owner: dict[Owner, list[ContainerUsage]] = {owner: [] for owner in ended_cpu_ns}
    for owner, usage in usages:
        by_owner.setdefault(owner, []).append(usage)
    return tuple(
        FrameworkUsage(
            *owner,
            add_usages((*samples, ContainerUsage(cpu_ns=ended_cpu_ns.get(owner, 0)))),
            len(samples),
        )
        for owner, samples in sorted(by_owner.items())
    )


def add_usages(samples: Iterable[ContainerUsage]) -> ContainerUsage:
    """The sum of samples, stamped with the newest."""
    samples = tuple(samples)
    sums = {
        name: sum(getattr(sample, name) for sample in samples)
        for name in (entry.name for entry in fields(ContainerUsage))
    }
    sums["stamp_ns"] = max((sample.stamp_ns for sample in samples), default=0)
    return ContainerUsage(**sums)
