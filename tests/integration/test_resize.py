"""Running tasks that are resized by the operator's command, in real containers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cgroups.mounts import parse_mounts
from agent.containerizer.isolation import name_tree
from tests.clusters import SLEEPER, Cluster, running_cluster, wait_for

MIB = 1 << 20
HOG = "import time; hog = bytearray(200 << 20); print('ready', flush=True); time.sleep(1000)"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(1, 1, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    yield shared
    shared.end_runs()


def is_limited(cluster: Cluster) -> bool:
    [agent] = cluster.ask("agents")
    return any("cgroups-v1" in part for part in agent["isolation"])


def read_limit(cluster: Cluster, launch: int, controller: str, file: str) -> int:
    mounts = parse_mounts(Path("/proc/self/mountinfo").read_text())
    tree = name_tree(str(cluster.embedded.directory / "a1"))
    path = Path(mounts.v1[controller]) / "quorate" / tree / str(launch) / file
    return int(path.read_text())


def test_task_is_resized_without_a_restart(cluster: Cluster) -> None:
    cluster.run("grows", SLEEPER, "--cpus", "0.2", "--mem", "64MiB")
    task = cluster.running("grows-0")
    ran = cluster.quorate("task", "resize", "grows-0", "--cpus", "0.5", "--mem", "96MiB")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"{task['framework_id']}/grows-0: cpus:0.5;mem:96MiB\n"
    after = cluster.running("grows-0")
    assert (after["pid"], after["launch"]) == (task["pid"], task["launch"])
    assert after["resources"] == {"cpus_milli": 500, "mem_bytes": 96 * MIB}
    assert (after["reason"], after["wanted"]) == ("RESIZED", None)
    [agent] = cluster.ask("agents")
    assert agent["allocated"] == {"cpus_milli": 500, "mem_bytes": 96 * MIB}
    if is_limited(cluster):
        launch = int(task["launch"])
        assert read_limit(cluster, launch, "memory", "memory.limit_in_bytes") == 96 * MIB
        assert read_limit(cluster, launch, "cpu", "cpu.cfs_quota_us") == 50_000
    shrunk = cluster.quorate("task", "resize", "grows-0", "--mem", "64MiB")
    assert shrunk.returncode == 0, shrunk.stderr
    if is_limited(cluster):
        assert read_limit(cluster, launch, "memory", "memory.limit_in_bytes") == 64 * MIB


def test_resize_that_cannot_fit_says_what_there_is(cluster: Cluster) -> None:
    cluster.run("greedy", SLEEPER, "--cpus", "0.2", "--mem", "64MiB")
    task = cluster.running("greedy-0")
    plan = cluster.quorate("task", "resize", "greedy-0", "--cpus", "1000", "--plan")
    assert plan.returncode == 0, plan.stderr
    assert "would be refused" in plan.stdout
    ran = cluster.quorate("task", "resize", "greedy-0", "--cpus", "1000")
    assert ran.returncode == 1
    assert "asks for cpus 999.8 more" in ran.stderr
    assert cluster.quorate("task", "resize", "greedy-0").returncode == 2
    assert cluster.quorate("task", "resize", "greedy-0", "--cpus", "much").returncode == 2
    assert cluster.running("greedy-0")["resources"] == task["resources"]


def test_task_that_uses_more_than_it_would_have_keeps_what_it_has(cluster: Cluster) -> None:
    if not is_limited(cluster):
        pytest.skip("no memory control group of version 1 may be made here")
    run = cluster.run("hog", f'exec python3 -c "{HOG}"', "--cpus", "0.5", "--mem", "300MiB")
    task = cluster.running("hog-0")
    wait_for(lambda: "ready" in cluster.quorate("logs", "hog-0").stdout, "the hog to have it all")
    ran = cluster.quorate("task", "resize", "hog-0", "--mem", "64MiB", "--cpus", "0.2")
    assert ran.returncode == 1
    assert "refused by its agent: it uses" in ran.stderr
    after = cluster.running("hog-0")
    assert (after["pid"], after["resources"]) == (task["pid"], task["resources"])
    assert after["reason"] == "RESIZE_REFUSED"
    launch = int(task["launch"])
    assert read_limit(cluster, launch, "memory", "memory.limit_in_bytes") == 300 * MIB
    assert read_limit(cluster, launch, "cpu", "cpu.cfs_quota_us") == 50_000
    assert run.poll() is None


def test_resized_task_is_taken_back_by_an_agent_that_was_killed(cluster: Cluster) -> None:
    cluster.run("kept", SLEEPER, "--cpus", "0.2", "--mem", "64MiB")
    task = cluster.running("kept-0")
    assert cluster.quorate("task", "resize", "kept-0", "--cpus", "0.4").returncode == 0
    cluster.embedded.agents[0].kill()
    cluster.settle()
    after = cluster.running("kept-0")
    assert (after["pid"], after["resources"]["cpus_milli"]) == (task["pid"], 400)
    ran = cluster.quorate("task", "resize", "kept-0", "--cpus", "0.3")
    assert ran.returncode == 0, ran.stderr


def test_task_may_use_more_than_is_set_aside_up_to_its_limits(cluster: Cluster) -> None:
    limits = ("--cpus-limit", "0.8", "--mem-limit", "300MiB")
    cluster.run("bursts", f'exec python3 -c "{HOG}"', "--cpus", "0.2", "--mem", "64MiB", *limits)
    task = cluster.running("bursts-0")
    assert task["limits"] == {"cpus_milli": 800, "mem_bytes": 300 * MIB}
    [agent] = cluster.ask("agents")
    assert agent["allocated"] == {"cpus_milli": 200, "mem_bytes": 64 * MIB}
    wait_for(
        lambda: "ready" in cluster.quorate("logs", "bursts-0").stdout, "the hog to have it all"
    )
    if is_limited(cluster):
        launch = int(task["launch"])
        assert read_limit(cluster, launch, "memory", "memory.limit_in_bytes") == 300 * MIB
        assert read_limit(cluster, launch, "memory", "memory.soft_limit_in_bytes") == 64 * MIB
        assert read_limit(cluster, launch, "cpu", "cpu.cfs_quota_us") == 80_000
    refused = cluster.quorate("run", "--mem", "64MiB", "--mem-limit", "32MiB", "--", "true")
    assert refused.returncode != 0
    assert "less than it asks for" in refused.stderr
