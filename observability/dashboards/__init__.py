"""Grafana dashboards as code: `python -m observability.dashboards` prints one as JSON to import."""
