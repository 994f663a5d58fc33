"""Metrics of a master: its loop, its links, offers, and what agents report of usage."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

from observability.log_metrics import LogMetrics
from observability.projections import ClusterCollector, ClusterTotals
from observability.usage import Sample, UsageLedger
from protocol.messages.agent import FrameworkUsage

OFFER_OUTCOMES = ("made", "accepted", "declined", "rescinded")


class MasterMetrics(LogMetrics):
    """Hears a master's probe; gauges of the cluster are read from `totals` at each scrape.

    `totals` answers None while this master does not lead; `framework_name` gives the name to
    label a framework's usage with.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        totals: Callable[[], ClusterTotals | None],
        framework_name: Callable[[str], str],
    ) -> None:
        super().__init__(registry)
        self._framework_name = framework_name
        self._ledger = UsageLedger()
        registry.register(self._ledger)
        registry.register(ClusterCollector(totals))
        self._messages = Counter(
            "quorate_messages_received", "Messages taken, by kind.", ["message"], registry=registry
        )
        self._sent = Counter(
            "quorate_items_sent", "Items sent, by message kind.", ["message"], registry=registry
        )
        self._offers = Counter(
            "quorate_offers", "Offers by what became of them.", ["outcome"], registry=registry
        )
        for outcome in OFFER_OUTCOMES:
            self._offers.labels(outcome)
        self._links = Gauge("quorate_links", "Open links, by role.", ["role"], registry=registry)

    def received(self, message: str) -> None:
        self._messages.labels(message).inc()

    def sent(self, message: str, items: int) -> None:
        self._sent.labels(message).inc(items)

    def offers(self, outcome: str, count: int) -> None:
        self._offers.labels(outcome).inc(count)

    def links(self, agents: int, frameworks: int) -> None:
        self._links.labels("agent").set(agents)
        self._links.labels("framework").set(frameworks)

    def usage(self, agent: str, frameworks: tuple[FrameworkUsage, ...]) -> None:
        rows: dict[tuple[str, str], Sample] = {}
        for row in frameworks:
            sample = rows.setdefault((self._framework_name(row.framework_id), row.role), Sample())
            sample.cpu_ns += row.usage.cpu_ns
            sample.throttled_ns += row.usage.throttled_ns
            sample.memory_bytes += row.usage.memory_bytes
            sample.containers += row.containers
        stamp_ns = max((row.usage.stamp_ns for row in frameworks), default=0)
        self._ledger.record(agent, rows, stamp_ns)

    def agent_lost(self, agent: str) -> None:
        self._ledger.forget(agent)
