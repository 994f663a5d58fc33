"""Usage is added up per framework and role."""

from agent.statistics import sum_usages
from protocol.messages.agent import FrameworkUsage
from protocol.messages.values import ContainerUsage


def test_usage_is_summed_per_framework_and_role() -> None:
    usages = (
        (("f2", "a"), ContainerUsage(cpu_ns=1, memory_bytes=10, stamp_ns=5)),
        (("f1", "a"), ContainerUsage(cpu_ns=2, memory_bytes=20, stamp_ns=7)),
        (("f2", "a"), ContainerUsage(cpu_ns=4, memory_bytes=30, pids=2, stamp_ns=6)),
    )
    assert sum_usages(usages, {}) == (
        FrameworkUsage("f1", "a", ContainerUsage(cpu_ns=2, memory_bytes=20, stamp_ns=7), 1),
        FrameworkUsage("f2", "a", ContainerUsage(cpu_ns=5, memory_bytes=40, pids=2, stamp_ns=6), 2),
    )


def test_usage_of_nothing_is_nothing() -> None:
    assert sum_usages((), {}) == ()


def test_what_ended_stays_in_the_sum() -> None:
    usages = [(("fw-1", "web"), ContainerUsage(cpu_ns=5))]
    ended = {("fw-1", "web"): 7, ("fw-2", "web"): 3}
    sums = {row.framework_id: row.usage.cpu_ns for row in sum_usages(usages, ended)}
    assert sums == {"fw-1": 12, "fw-2": 3}
