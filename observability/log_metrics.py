"""Metrics of the log and of the loop over it; every daemon has them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY_BUCKETS_S = (
    0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
)  # fmt: skip
BATCH_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 4000)


class LoopMetrics:
    """Hears the probes of a loop and of its log; `prefix` tells daemons of one kind from others."""

    def __init__(self, registry: CollectorRegistry, prefix: str) -> None:
        self._commit = Histogram(
            f"{prefix}_commit_seconds",
            "From append to commit, of this process' own batches.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._fsync = Histogram(
            f"{prefix}_fsync_seconds",
            "One write transaction of the log, fsync included.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._snapshots = Counter(
            f"{prefix}_snapshots", "Snapshots, by origin.", ["origin"], registry=registry
        )
        self._snapshot_bytes = Gauge(
            f"{prefix}_snapshot_bytes", "Size of the newest snapshot.", registry=registry
        )
        self._batch = Histogram(
            "quorate_loop_batch_commands",
            "Commands decided in one turn of the loop.",
            buckets=BATCH_BUCKETS,
            registry=registry,
        )
        self._events = Counter("quorate_loop_events", "Events logged.", registry=registry)
        self._queued = Gauge("quorate_loop_queued", "Commands waiting.", registry=registry)
        self._refused = Counter(
            "quorate_loop_refused", "Commands refused, by reason.", ["reason"], registry=registry
        )
        self._overloaded = Counter(
            "quorate_loop_overloaded", "Commands turned away unheard.", registry=registry
        )
        self._faulted = Counter(
            "quorate_loop_faults", "Errors of our own, by stage.", ["stage"], registry=registry
        )
        self._refolded = Counter(
            "quorate_loop_refolds", "Times the state was folded anew.", registry=registry
        )

    def fsynced(self, latency_s: float, entries: int) -> None:
        del entries
        self._fsync.observe(latency_s)

    def batch(self, commands: int, events: int) -> None:
        self._batch.observe(commands)
        self._events.inc(events)

    def queued(self, commands: int) -> None:
        self._queued.set(commands)

    def committed(self, latency_s: float) -> None:
        self._commit.observe(latency_s)

    def refused(self, reason: str) -> None:
        self._refused.labels(reason).inc()

    def overloaded(self) -> None:
        self._overloaded.inc()

    def faulted(self, stage: str) -> None:
        self._faulted.labels(stage).inc()

    def refolded(self, elapsed_s: float) -> None:
        del elapsed_s
        self._refolded.inc()

    def snapshot_taken(self, index: int, size_bytes: int) -> None:
        del index
        self._snapshots.labels("taken").inc()
        self._snapshot_bytes.set(size_bytes)

    def snapshot_installed(self, index: int, size_bytes: int) -> None:
        del index
        self._snapshots.labels("installed").inc()
        self._snapshot_bytes.set(size_bytes)

    def leader_changed(self, leader: str, term: int) -> None:
        """A log of one member always leads: nothing to tell."""

    def serving(self, term: int) -> None:
        """As above."""


class LogMetrics(LoopMetrics):
    """Hears of leadership besides."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry, "quorate_log")
        self._changes = Counter(
            "quorate_log_leader_changes", "Leaders that this replica saw.", registry=registry
        )
        self._is_leader = Gauge(
            "quorate_log_is_leader", "1 while this replica serves as the leader.", registry=registry
        )
        self._term = Gauge("quorate_log_term", "Term last taken over.", registry=registry)

    def leader_changed(self, leader: str, term: int) -> None:
        del term
        if leader:
            self._changes.inc()

    def serving(self, term: int) -> None:
        self._is_leader.set(1 if term else 0)
        if term:
            self._term.set(term)
