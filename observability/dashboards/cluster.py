"""The cluster dashboard: capacity, fairness, offers, the log, and usage against allocation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

PANEL_WIDTH = 8
PANEL_HEIGHT = 8
ROW_PANELS = 24 // PANEL_WIDTH
Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph: what it answers, its unit in Grafana's words, and (expression, legend) pairs."""

    title: str
    answers: str
    unit: str
    queries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


def capacity_panel(title: str, resource: str, unit: str) -> Panel:
    match = f'{{resource="{resource}"}}'
    return Panel(
        title,
        f"How much {resource} there is, is lent, is held and is really used.",
        unit,
        (
            (f"max(quorate_resources_capacity{match})", "capacity"),
            (f"max(quorate_resources_allocated{match})", "allocated"),
            (f"max(quorate_resources_offered{match})", "offered"),
            (f"sum(quorate_resources_used{match})", "used"),
        ),
    )


CAPACITY = Row(
    "Capacity",
    (
        capacity_panel("CPUs", "cpus", "none"),
        capacity_panel("Memory", "mem", "bytes"),
        Panel(
            "Tasks",
            "What the tasks are doing.",
            "none",
            (("max by (state) (quorate_tasks)", "{{state}}"),),
        ),
    ),
)
FAIRNESS = Row(
    "Fairness",
    (
        Panel(
            "Dominant share over weight",
            "Equal lines are a fair cluster; the lowest is served next.",
            "percentunit",
            (
                (
                    "max by (role) (quorate_role_dominant_share)"
                    " / max by (role) (quorate_role_weight)",
                    "{{role}}",
                ),
            ),
        ),
        Panel(
            "CPU used of allocated, by role",
            "Low lines hold more than they need.",
            "percentunit",
            (
                (
                    "sum by (role) (rate(quorate_role_cpu_seconds_total[5m]))"
                    ' / max by (role) (quorate_role_allocated{resource="cpus"})',
                    "{{role}}",
                ),
            ),
        ),
        Panel(
            "Memory used of allocated, by framework",
            "Low lines hold more than they need.",
            "percentunit",
            (
                (
                    "sum by (framework) (quorate_framework_memory_bytes)"
                    ' / max by (framework) (quorate_framework_allocated{resource="mem"})',
                    "{{framework}}",
                ),
            ),
        ),
    ),
)
OFFERS = Row(
    "Offers and membership",
    (
        Panel(
            "Offers",
            "Made, and how they ended.",
            "ops",
            (("sum by (outcome) (rate(quorate_offers_total[1m]))", "{{outcome}}"),),
        ),
        Panel(
            "Agents",
            "Which agents are in contact.",
            "none",
            (
                ("max by (state) (quorate_agents)", "{{state}}"),
                ("max(quorate_agents_held)", "silent and held"),
            ),
        ),
        Panel(
            "Frameworks",
            "Which frameworks are in contact.",
            "none",
            (("max by (state) (quorate_frameworks)", "{{state}}"),),
        ),
    ),
)
LOG = Row(
    "Replicated log",
    (
        Panel(
            "Commit latency",
            "From append to majority on disk.",
            "s",
            (
                (
                    "histogram_quantile(0.5, sum by (le)"
                    " (rate(quorate_log_commit_seconds_bucket[1m])))",
                    "median",
                ),
                (
                    "histogram_quantile(0.99, sum by (le)"
                    " (rate(quorate_log_commit_seconds_bucket[1m])))",
                    "99 %",
                ),
            ),
        ),
        Panel(
            "Fsync latency",
            "How long each master's disk takes, 99 %.",
            "s",
            (
                (
                    "histogram_quantile(0.99, sum by (le, instance)"
                    " (rate(quorate_log_fsync_seconds_bucket[1m])))",
                    "{{instance}}",
                ),
            ),
        ),
        Panel(
            "Leader changes",
            "A healthy cluster shows none.",
            "none",
            (("sum(increase(quorate_log_leader_changes_total[10m]))", "in 10 minutes"),),
        ),
    ),
)
AGENTS = Row(
    "Agents' containers",
    (
        Panel(
            "Throttled time",
            "CPU time that containers were refused by their quota.",
            "percentunit",
            (
                (
                    "topk(10, rate(quorate_agent_throttled_seconds_total[5m]))",
                    "{{instance}}",
                ),
            ),
        ),
        Panel(
            "Container memory",
            "What containers hold on each agent.",
            "bytes",
            (("topk(10, quorate_agent_memory_bytes)", "{{instance}}"),),
        ),
        Panel(
            "Launch latency",
            "From the master's order to a running task, 99 %.",
            "s",
            (
                (
                    "histogram_quantile(0.99, sum by (le)"
                    " (rate(quorate_agent_launch_seconds_bucket[5m])))",
                    "99 %",
                ),
            ),
        ),
    ),
)
ROWS = (CAPACITY, FAIRNESS, OFFERS, LOG, AGENTS)


def expressions() -> Iterator[str]:
    """Every query of the dashboard."""
    for row in ROWS:
        for panel in row.panels:
            for expression, _ in panel.queries:
                yield expression


def cluster_dashboard() -> Json:
    """The dashboard in Grafana's schema 39."""
    panels: list[Json] = []
    top = 0
    for row in ROWS:
        grid: Json = {"h": 1, "w": 24, "x": 0, "y": top}
        panels.append({"type": "row", "title": row.title, "gridPos": grid, "id": len(panels) + 1})
        for place, panel in enumerate(row.panels):
            panels.append(_panel_json(panel, place, top + 1, len(panels) + 1))
        top += 1 + PANEL_HEIGHT * -(-len(row.panels) // ROW_PANELS)
    return {
        "title": "Quorate cluster",
        "uid": "quorate-cluster",
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": panels,
    }


def _panel_json(panel: Panel, place: int, top: int, number: int) -> Json:
    return {
        "type": "timeseries",
        "id": number,
        "title": panel.title,
        "description": panel.answers,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": {
            "h": PANEL_HEIGHT,
            "w": PANEL_WIDTH,
            "x": PANEL_WIDTH * (place % ROW_PANELS),
            "y": top + PANEL_HEIGHT * (place // ROW_PANELS),
        },
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"expr": expression, "legendFormat": legend, "refId": chr(ord("A") + position)}
            for position, (expression, legend) in enumerate(panel.queries)
        ],
    }
