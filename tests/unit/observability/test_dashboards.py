"""Dashboards, alerts and the handbook speak only of metrics that exist."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from observability.agent_metrics import AgentMetrics
from observability.dashboards.cluster import cluster_dashboard, expressions
from observability.master_metrics import MasterMetrics
from observability.projections import ClusterTotals, Holding, Share
from protocol.messages.agent import FrameworkUsage

ROOT = Path(__file__).parents[3]
NAME = re.compile(r"\bquorate_[a-z_]+[a-z]")
TOTALS = ClusterTotals(
    capacity={"cpus": 4000, "mem": 1 << 30},
    allocated={"cpus": 1500},
    offered={"cpus": 500},
    reserved={"cpus": 250},
    volumes={"ready": 3},
    tasks={"RUNNING": 2},
    agents={"connected": 1},
    frameworks={"connected": 1},
    shares=(Share("web", 2000, 375_000, {"cpus": 1500}),),
    holdings=(Holding("shop", {"cpus": 1500}),),
    offers_outstanding=1,
)


def master_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    metrics = MasterMetrics(registry, lambda: TOTALS, lambda framework: f"name of {framework}")
    metrics.usage("a1", (FrameworkUsage("fw-1", "web"),))
    return registry


@pytest.fixture(scope="module")
def known() -> set[str]:
    agent = CollectorRegistry()
    AgentMetrics(agent)
    families = [*master_registry().collect(), *agent.collect()]
    names = {family.name for family in families}
    for family in families:
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        names |= {family.name + suffix for suffix in suffixes.get(family.type, ())}
    return names


def test_dashboard_queries_metrics_that_exist(known: set[str]) -> None:
    asked = {name for expression in expressions() for name in NAME.findall(expression)}
    assert asked - known == set()


def test_alerts_query_metrics_that_exist(known: set[str]) -> None:
    rules = (ROOT / "observability/alerts/quorate.yml").read_text()
    asked = {
        name
        for line in rules.splitlines()
        if "annotations" not in line and "description" not in line
        for name in NAME.findall(line)
    }
    assert asked - known == set()


def test_handbook_names_metrics_that_exist(known: set[str]) -> None:
    text = (ROOT / "docs/operations.md").read_text()
    assert set(NAME.findall(text)) - known == set()


def test_dashboard_is_json_with_unique_panels() -> None:
    dashboard = json.loads(json.dumps(cluster_dashboard()))
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    assert all("gridPos" in panel for panel in dashboard["panels"])


def test_cluster_gauges_are_in_units_of_people() -> None:
    registry = master_registry()
    get = registry.get_sample_value
    assert get("quorate_resources_capacity", {"resource": "cpus"}) == 4.0
    assert get("quorate_resources_capacity", {"resource": "mem"}) == 1 << 30
    assert get("quorate_role_dominant_share", {"role": "web"}) == 0.375
    assert get("quorate_framework_allocated", {"framework": "shop", "resource": "cpus"}) == 1.5


def test_cluster_gauges_are_silent_on_a_follower() -> None:
    registry = CollectorRegistry()
    MasterMetrics(registry, lambda: None, str)
    assert registry.get_sample_value("quorate_offers_outstanding") is None
