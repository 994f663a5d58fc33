"""The metrics pages of a real master and agent, after tasks ran and while one runs."""

import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from master.ctl.children import free_ports
from tests.clusters import wait_for
from tests.shell import run_quorate, running_quorate
from tests.unit.observability.test_alerts import promtool

GIB = 1 << 30
READ_S_MAX = 60
BUSY = "while :; do :; done"

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass(frozen=True)
class Pages:
    """Where a master and an agent show their metrics, and what they said at last."""

    master: str
    agent: str

    def read(self, address: str) -> str:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=READ_S_MAX) as page:
            content: bytes = page.read()
        return content.decode()

    def values(self, address: str) -> Values:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.read(address))
            for sample in family.samples
        }


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """A cluster in which one task has ended, one has failed, and one works."""
    home = tmp_path_factory.mktemp("home")
    found = [f"127.0.0.1:{port}" for port in free_ports(3)]
    at = ("--insecure", "--masters", found[0])
    master = ("--listen", found[0], "--metrics", found[1], "--data-dir", str(home / "m"))
    agent = (
        *("--work-dir", str(home / "a"), "--metrics", found[2], "--listen", "127.0.0.1:0"),
        *("--resources", "cpus:2;mem:1GiB", "--set", "usage_interval_s=0.2"),
    )
    with ExitStack() as stack:
        stack.enter_context(running_quorate(home, "master", "--insecure", *master))
        stack.enter_context(running_quorate(home, "agent", *at, *agent))
        shop = ("run", *at, "--role", "shop", "--shell")
        assert run_quorate(home, *shop, "--name", "good", "--", "true").returncode == 0
        assert run_quorate(home, *shop, "--name", "bad", "--", "exit 3").returncode == 3
        work = ("--role", "work", "--name", "busy", "--cpus", "0.5", "--mem", "128MiB")
        worker = stack.enter_context(
            running_quorate(home, "run", *at, *work, "--shell", "--", BUSY)
        )
        worker.wait_for_text("RUNNING")
        pages = Pages(found[1], found[2])
        used = key("quorate_resources_used", resource="cpus")
        wait_for(lambda: pages.values(pages.master).get(used, 0) > 0, "usage to be reported")
        yield pages
        worker.interrupt()


def test_pages_are_accepted_by_promtool(pages: Pages, tmp_path: Path) -> None:
    for address in (pages.master, pages.agent):
        checked = subprocess.run(
            [promtool(), "check", "metrics"],
            input=pages.read(address),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_master_counts_what_there_is_and_what_is_lent(pages: Pages) -> None:
    found = pages.values(pages.master)
    for resource, total, lent in (("cpus", 2.0, 0.5), ("mem", GIB, GIB / 8)):
        assert found[key("quorate_resources_capacity", resource=resource)] == total
        assert found[key("quorate_resources_allocated", resource=resource)] == lent
        assert found.get(key("quorate_resources_offered", resource=resource), 0) <= total - lent
        assert 0 <= found[key("quorate_resources_used", resource=resource)] < total
        for kind, name in (("role", "work"), ("framework", "busy")):
            labels = {kind: name, "resource": resource}
            assert found[key(f"quorate_{kind}_allocated", **labels)] == lent
    assert found[key("quorate_role_dominant_share", role="work")] == 0.25
    assert found[key("quorate_role_weight", role="work")] == 1
    assert found[key("quorate_agents", state="connected")] == 1
    for kind, name in (("role", "work"), ("framework", "busy")):
        assert found[key(f"quorate_{kind}_cpu_seconds_total", **{kind: name})] > 0
        assert found[key(f"quorate_{kind}_memory_bytes", **{kind: name})] > 0


def test_master_counts_what_became_of_offers_and_tasks(pages: Pages) -> None:
    found = pages.values(pages.master)
    made, accepted, declined, rescinded = (
        found[key("quorate_offers_total", outcome=outcome)]
        for outcome in ("made", "accepted", "declined", "rescinded")
    )
    assert accepted >= 3
    assert made >= accepted + declined + rescinded
    assert found[key("quorate_tasks", state="RUNNING")] == 1
    assert found[key("quorate_tasks", state="FINISHED")] == 1
    assert found[key("quorate_tasks", state="FAILED")] == 1


def test_both_measure_their_logs(pages: Pages) -> None:
    master, agent = pages.values(pages.master), pages.values(pages.agent)
    assert master[key("quorate_log_is_leader")] == 1
    assert master[key("quorate_log_leader_changes_total")] >= 1
    for found, log in ((master, "quorate_log"), (agent, "quorate_agent_checkpoint")):
        for what in ("commit", "fsync"):
            assert found[key(f"{log}_{what}_seconds_count")] > 0
            assert found[key(f"{log}_{what}_seconds_sum")] > 0


def test_agent_counts_what_it_runs(pages: Pages) -> None:
    found = pages.values(pages.agent)
    assert found[key("quorate_agent_tasks", state="live")] == 1
    assert found[key("quorate_agent_containers")] == 1
    assert found[key("quorate_agent_pids")] >= 1
    assert found[key("quorate_agent_memory_bytes")] > 0
    assert found[key("quorate_agent_cpu_seconds_total")] > 0
    assert found[key("quorate_agent_launch_seconds_count")] == 3
    ended = [
        value for (name, _), value in found.items() if name == "quorate_agent_tasks_ended_total"
    ]
    assert sum(ended) == 2
