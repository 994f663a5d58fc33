"""Print the cluster dashboard as the JSON that Grafana imports."""

import json
import sys

from observability.dashboards.cluster import cluster_dashboard

sys.stdout.write(json.dumps(cluster_dashboard(), indent=2) + "\n")
