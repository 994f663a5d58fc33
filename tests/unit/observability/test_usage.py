"""Usage sums: counters that never fall, whatever containers come and go."""

from prometheus_client import CollectorRegistry

from observability.labels import OTHER, LabelSet
from observability.projections import FRAMEWORKS_MAX
from observability.usage import Sample, UsageLedger


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_usage_counts_growth_only() -> None:
    registry, ledger = CollectorRegistry(), UsageLedger()
    registry.register(ledger)
    ledger.record("a1", {})
    ledger.record("a1", {("web", "prod"): Sample(cpu_ns=5_000_000_000)})
    ledger.record("a1", {("web", "prod"): Sample(cpu_ns=2_000_000_000)})
    ledger.record("a1", {("web", "prod"): Sample(cpu_ns=3_000_000_000)})
    assert value(registry, "quorate_framework_cpu_seconds_total", framework="web") == 6.0
    assert value(registry, "quorate_role_cpu_seconds_total", role="prod") == 6.0


def test_usage_is_counted_once_though_the_agent_is_lost_and_returns() -> None:
    registry, ledger = CollectorRegistry(), UsageLedger()
    registry.register(ledger)
    for cpu_ns in (5_000_000_000, 7_000_000_000):
        ledger.record("a1", {("web", "prod"): Sample(cpu_ns=cpu_ns)})
    ledger.forget("a1")
    ledger.record("a1", {("web", "prod"): Sample(cpu_ns=8_000_000_000)})
    assert value(registry, "quorate_framework_cpu_seconds_total", framework="web") == 2.0


def test_usage_under_one_label_is_summed() -> None:
    registry, ledger = CollectorRegistry(), UsageLedger()
    registry.register(ledger)
    rows = {(f"f{number}", "prod"): Sample(memory_bytes=1) for number in range(FRAMEWORKS_MAX + 5)}
    ledger.record("a1", rows)
    assert value(registry, "quorate_framework_memory_bytes", framework=OTHER) == 5


def test_usage_of_a_lost_agent_is_not_shown_as_held_memory() -> None:
    registry, ledger = CollectorRegistry(), UsageLedger()
    registry.register(ledger)
    ledger.record("a1", {("web", "prod"): Sample(memory_bytes=10)})
    ledger.record("a2", {("web", "prod"): Sample(memory_bytes=5)})
    ledger.forget("a1")
    assert value(registry, "quorate_framework_memory_bytes", framework="web") == 5


def test_labels_are_bounded() -> None:
    labels = LabelSet(2)
    assert [labels.label(name) for name in ("a", "b", "c", "a")] == ["a", "b", OTHER, "a"]


def test_cores_in_use_are_those_of_the_last_interval() -> None:
    registry, ledger = CollectorRegistry(), UsageLedger()
    registry.register(ledger)
    for second, cpu_ns in ((10, 0), (15, 10_000_000_000), (20, 12_500_000_000)):
        rows = {("web", "prod"): Sample(cpu_ns=cpu_ns, memory_bytes=7)}
        ledger.record("a1", rows, stamp_ns=second * 1_000_000_000)
    assert value(registry, "quorate_resources_used", resource="cpus") == 0.5
    assert value(registry, "quorate_resources_used", resource="mem") == 7
