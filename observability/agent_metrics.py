"""Metrics of an agent: launches, tasks, and what its containers use together."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from observability.log_metrics import LATENCY_BUCKETS_S, LoopMetrics
from observability.usage import NS_PER_S, Sample
from protocol.messages.agent import FrameworkUsage


class AgentMetrics(LoopMetrics):
    """Hears an agent's probe and the probe of its local log."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, "quorate_agent_checkpoint")
        self._launch = Histogram(
            "quorate_agent_launch_seconds",
            "From accepting a launch to a running container, fetching included.",
            buckets=(*LATENCY_BUCKETS_S, 15, 60, 300),
            registry=registry,
        )
        self._launches = Counter(
            "quorate_agent_launches", "Launches by outcome.", ["outcome"], registry=registry
        )
        self._fetch = Histogram(
            "quorate_agent_fetch_seconds", "Fetching the URIs of one task.", registry=registry
        )
        self._ended = Counter(
            "quorate_agent_tasks_ended",
            "Tasks that ended, by state and reason.",
            ["state", "reason"],
            registry=registry,
        )
        self._tasks = Gauge(
            "quorate_agent_tasks", "Tasks the agent remembers.", ["state"], registry=registry
        )
        self._statuses = Counter(
            "quorate_agent_statuses_sent", "Statuses sent, repetitions too.", registry=registry
        )
        self._epoch = Gauge(
            "quorate_agent_registered_epoch",
            "Epoch of the master that knows this agent; 0 without one.",
            registry=registry,
        )
        self._sandboxes = Counter(
            "quorate_agent_sandboxes_removed",
            "Sandboxes of ended tasks removed.",
            registry=registry,
        )
        self._measure_usage(registry)
        self._before: dict[tuple[str, str], Sample] = {}

    def _measure_usage(self, registry: CollectorRegistry) -> None:
        """What containers use, all together."""
        self._memory = Gauge(
            "quorate_agent_memory_bytes", "Memory of all containers.", registry=registry
        )
        self._pids = Gauge(
            "quorate_agent_pids", "Processes and threads in containers.", registry=registry
        )
        self._containers = Gauge(
            "quorate_agent_containers", "Running containers.", registry=registry
        )
        self._cpu = Counter(
            "quorate_agent_cpu_seconds", "CPU used by containers.", registry=registry
        )
        self._throttled = Counter(
            "quorate_agent_throttled_seconds", "Time refused by CPU quotas.", registry=registry
        )

    def container_started(self, elapsed_s: float) -> None:
        self._launch.observe(elapsed_s)
        self._launches.labels("started").inc()

    def launch_failed(self, step: str) -> None:
        self._launches.labels(f"failed_{step}").inc()

    def fetched(self, uris: int, elapsed_s: float) -> None:
        del uris
        self._fetch.observe(elapsed_s)

    def task_ended(self, state: str, reason: str) -> None:
        self._ended.labels(state, reason).inc()

    def tasks(self, live: int, unacknowledged: int) -> None:
        self._tasks.labels("live").set(live)
        self._tasks.labels("unacknowledged").set(unacknowledged)

    def statuses_sent(self, count: int) -> None:
        self._statuses.inc(count)

    def registered(self, epoch: int) -> None:
        self._epoch.set(epoch)

    def sandboxes_removed(self, count: int) -> None:
        self._sandboxes.inc(count)

    def usage(self, frameworks: Sequence[FrameworkUsage]) -> None:
        now: dict[tuple[str, str], Sample] = {}
        memory = pids = containers = 0
        for row in frameworks:
            key = (row.framework_id, row.role)
            now[key] = Sample(cpu_ns=row.usage.cpu_ns, throttled_ns=row.usage.throttled_ns)
            before = self._before.get(key, Sample())
            self._cpu.inc(max(0, row.usage.cpu_ns - before.cpu_ns) / NS_PER_S)
            self._throttled.inc(max(0, row.usage.throttled_ns - before.throttled_ns) / NS_PER_S)
            memory += row.usage.memory_bytes
            pids += row.usage.pids
            containers += row.containers
        self._before = now
        self._memory.set(memory)
        self._pids.set(pids)
        self._containers.set(containers)
