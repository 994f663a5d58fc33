"""What operators and planners see: metrics, logs, dashboards and alert rules."""
