"""What containers really use, summed per framework name and role from the agents' samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from observability.labels import LabelSet
from observability.projections import FRAMEWORKS_MAX, ROLES_MAX

NS_PER_S = 1_000_000_000


@dataclass(slots=True)
class Sample:
    """The newest sums of one framework and role on one agent."""

    cpu_ns: int = 0
    throttled_ns: int = 0
    memory_bytes: int = 0
    containers: int = 0

    def add(self, other: Sample) -> None:
        """Count another one in."""
        self.cpu_ns += other.cpu_ns
        self.throttled_ns += other.throttled_ns
        self.memory_bytes += other.memory_bytes
        self.containers += other.containers


class UsageLedger(Collector):
    """Turns the agents' running sums into counters that never fall.

    A sum over running containers shrinks when one ends; only growth is counted, so at most one
    sampling interval per ended container is missed.
    """

    def __init__(self) -> None:
        self._samples: dict[str, dict[tuple[str, str], Sample]] = {}
        self._cpu_ns: dict[tuple[str, str], int] = {}
        self._throttled_ns: dict[tuple[str, str], int] = {}
        self._stamps_ns: dict[str, int] = {}
        self._cores: dict[str, float] = {}  # in use on each agent over its last interval
        self._frameworks = LabelSet(FRAMEWORKS_MAX)
        self._roles = LabelSet(ROLES_MAX)

    def record(self, agent: str, rows: dict[tuple[str, str], Sample], stamp_ns: int = 0) -> None:
        """Replace what `agent` said before; keys are (framework name, role).

        The first word of an agent out of contact is where counting begins: part of it may have
        been counted before, by this master or another.
        """
        before = self._samples.get(agent)
        after: dict[tuple[str, str], Sample] = {}
        for (framework, role), sample in rows.items():
            key = (self._frameworks.label(framework), self._roles.label(role))
            after.setdefault(key, Sample()).add(sample)
        used_ns = 0
        for key, sample in after.items():
            old = sample if before is None else before.get(key, Sample())
            for sums, growth in (
                (self._cpu_ns, sample.cpu_ns - old.cpu_ns),
                (self._throttled_ns, sample.throttled_ns - old.throttled_ns),
            ):
                sums[key] = sums.get(key, 0) + max(0, growth)
            used_ns += max(0, sample.cpu_ns - old.cpu_ns)
        self._samples[agent] = after
        passed_ns = stamp_ns - self._stamps_ns.get(agent, 0)
        self._stamps_ns[agent] = stamp_ns
        self._cores[agent] = used_ns / passed_ns if before is not None and passed_ns > 0 else 0.0

    def forget(self, agent: str) -> None:
        """The agent is out of contact: what it uses is unknown."""
        self._samples.pop(agent, None)
        self._stamps_ns.pop(agent, None)
        self._cores.pop(agent, None)

    def collect(self) -> Iterator[Metric]:
        memory = self._sum_memory()
        used = GaugeMetricFamily(
            "quorate_resources_used", "What containers really use.", labels=["resource"]
        )
        used.add_metric(["cpus"], sum(self._cores.values()))
        used.add_metric(["mem"], sum(memory.values()))
        yield used
        for place, label in ((0, "framework"), (1, "role")):
            yield self._counter(f"quorate_{label}_cpu_seconds", "CPU used.", label, self._cpu_ns)
            yield self._counter(
                f"quorate_{label}_throttled_seconds",
                "Time refused by CPU quotas.",
                label,
                self._throttled_ns,
            )
            gauge = GaugeMetricFamily(
                f"quorate_{label}_memory_bytes", "Memory held by containers.", labels=[label]
            )
            for value, total in _by_label(memory, place).items():
                gauge.add_metric([value], total)
            yield gauge

    def _sum_memory(self) -> dict[tuple[str, str], int]:
        sums: dict[tuple[str, str], int] = {}
        for rows in self._samples.values():
            for key, sample in rows.items():
                sums[key] = sums.get(key, 0) + sample.memory_bytes
        return sums

    def _counter(
        self, name: str, text: str, label: str, sums: dict[tuple[str, str], int]
    ) -> CounterMetricFamily:
        family = CounterMetricFamily(name, text, labels=[label])
        for value, total in _by_label(sums, 0 if label == "framework" else 1).items():
            family.add_metric([value], total / NS_PER_S)
        return family


def _by_label(sums: dict[tuple[str, str], int], place: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for key, total in sums.items():
        found[key[place]] = found.get(key[place], 0) + total
    return found
