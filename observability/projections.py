"""Cluster state as gauges: read once per scrape from a view that the daemon hands in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from observability.labels import LabelSet

BYTE_SCALARS = ("mem", "disk")  # whole bytes; every other scalar counts thousandths
ROLES_MAX = 100
FRAMEWORKS_MAX = 200

Amounts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Share:
    """What one role holds; `share_millionths` is its dominant share before weighting."""

    role: str
    weight_milli: int
    share_millionths: int
    allocated: Amounts
    wanted: Amounts = field(default_factory=dict)  # asked for and not offered
    wanted_tasks: int = 0


@dataclass(frozen=True, slots=True)
class Holding:
    """What the frameworks of one name hold."""

    framework: str
    allocated: Amounts


@dataclass(frozen=True, slots=True)
class ClusterTotals:
    """A leader's picture of the cluster; amounts as in protocol.resources."""

    capacity: Amounts = field(default_factory=dict)
    offered: Amounts = field(default_factory=dict)
    allocated: Amounts = field(default_factory=dict)
    reserved: Amounts = field(default_factory=dict)
    tasks: Mapping[str, int] = field(default_factory=dict)
    agents: Mapping[str, int] = field(default_factory=dict)
    frameworks: Mapping[str, int] = field(default_factory=dict)
    volumes: Mapping[str, int] = field(default_factory=dict)
    shares: tuple[Share, ...] = ()
    holdings: tuple[Holding, ...] = ()
    offers_outstanding: int = 0
    offers_taken: int = 0
    tasks_asked_back: int = 0
    placements: Mapping[str, int] = field(default_factory=dict)
    frameworks_backed_off: int = 0
    agents_held: int = 0


def amount_in_units(name: str, amount: int) -> float:
    """Cores, bytes or whole units, as Prometheus wants them."""
    return float(amount) if name in BYTE_SCALARS else amount / 1000


class ClusterCollector(Collector):
    """Serves `ClusterTotals` as gauges; nothing while this master does not lead."""

    def __init__(self, totals: Callable[[], ClusterTotals | None]) -> None:
        self._totals = totals
        self._roles = LabelSet(ROLES_MAX)
        self._frameworks = LabelSet(FRAMEWORKS_MAX)

    def collect(self) -> Iterator[Metric]:
        totals = self._totals()
        if totals is None:
            return
        yield from self._resources(totals)
        for name, text, counts in (
            ("quorate_tasks", "Tasks the masters remember, by state.", totals.tasks),
            ("quorate_agents", "Agents by state.", totals.agents),
            ("quorate_frameworks", "Frameworks by state.", totals.frameworks),
            ("quorate_volumes", "Volumes by state.", totals.volumes),
        ):
            family = GaugeMetricFamily(name, text, labels=["state"])
            for state, count in counts.items():
                family.add_metric([state], count)
            yield family
        yield from self._counts(totals)
        yield from self._fairness(totals.shares)
        yield amounts_by_label(
            "quorate_framework_allocated",
            "Resources held by frameworks of one name.",
            "framework",
            ((self._frameworks.label(h.framework), h.allocated) for h in totals.holdings),
        )

    def _counts(self, totals: ClusterTotals) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "quorate_offers_outstanding",
            "Offers that nobody answered yet.",
            value=totals.offers_outstanding,
        )
        yield CounterMetricFamily(
            "quorate_offers_taken",
            "Offers that were shared, and accepted by another framework first.",
            value=totals.offers_taken,
        )
        transactions = CounterMetricFamily(
            "quorate_transactions", "Placements of transactions in open roles.", labels=["outcome"]
        )
        for outcome, count in totals.placements.items():
            transactions.add_metric([outcome], count)
        yield transactions
        yield GaugeMetricFamily(
            "quorate_tasks_asked_back",
            "Preemptible tasks that are to end for a role with less than its share.",
            value=totals.tasks_asked_back,
        )
        yield GaugeMetricFamily(
            "quorate_frameworks_backed_off",
            "Frameworks that are offered nothing for a while, as they used nothing of it.",
            value=totals.frameworks_backed_off,
        )
        yield GaugeMetricFamily(
            "quorate_agents_held",
            "Silent agents that are not given up because too many fell silent at once.",
            value=totals.agents_held,
        )

    def _resources(self, totals: ClusterTotals) -> Iterator[Metric]:
        for kind, text, amounts in (
            ("capacity", "Resources of all agents in contact.", totals.capacity),
            ("offered", "Resources lent in offers that nobody answered yet.", totals.offered),
            ("allocated", "Resources held by tasks.", totals.allocated),
            ("reserved", "Resources kept for roles, in use or not.", totals.reserved),
        ):
            family = GaugeMetricFamily(f"quorate_resources_{kind}", text, labels=["resource"])
            for name, amount in amounts.items():
                family.add_metric([name], amount_in_units(name, amount))
            yield family

    def _fairness(self, shares: Iterable[Share]) -> Iterator[Metric]:
        weights = GaugeMetricFamily("quorate_role_weight", "Fair-share factor.", labels=["role"])
        dominant = GaugeMetricFamily(
            "quorate_role_dominant_share",
            "Largest fraction of any resource that the role holds.",
            labels=["role"],
        )
        tasks = GaugeMetricFamily(
            "quorate_role_wanted_tasks",
            "Tasks that the role's frameworks ask for and that no offer covers.",
            labels=["role"],
        )
        rows = list(shares)
        for share in rows[:ROLES_MAX]:
            tasks.add_metric([self._roles.label(share.role)], share.wanted_tasks)
            weights.add_metric([self._roles.label(share.role)], share.weight_milli / 1000)
            dominant.add_metric([self._roles.label(share.role)], share.share_millionths / 1e6)
        yield weights
        yield dominant
        yield tasks
        yield amounts_by_label(
            "quorate_role_wanted",
            "Resources that the role's frameworks ask for and that no offer covers.",
            "role",
            ((self._roles.label(share.role), share.wanted) for share in rows),
        )
        yield amounts_by_label(
            "quorate_role_allocated",
            "Resources held by a role's tasks.",
            "role",
            ((self._roles.label(share.role), share.allocated) for share in rows),
        )


def amounts_by_label(
    name: str, text: str, label: str, rows: Iterable[tuple[str, Amounts]]
) -> GaugeMetricFamily:
    """One gauge per (label value, resource); rows of one value are summed."""
    sums: dict[tuple[str, str], float] = {}
    for value, amounts in rows:
        for resource, amount in amounts.items():
            key = (value, resource)
            sums[key] = sums.get(key, 0.0) + amount_in_units(resource, amount)
    family = GaugeMetricFamily(name, text, labels=[label, "resource"])
    for (value, resource), total in sums.items():
        family.add_metric([value, resource], total)
    return family
