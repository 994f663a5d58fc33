"""Agents taken out of service by the operator's commands, with real tasks on them."""

from collections.abc import Iterator

import pytest

from tests.clusters import SLEEPER, Cluster, is_alive, running_cluster, wait_for

STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(1, 2, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    yield shared
    shared.settle()
    for view in shared.ask("agents"):
        if view["duty"] != "active":
            shared.quorate("agent", "activate", view["agent_id"])
    shared.end_runs()


def agent_of(cluster: Cluster, hostname: str) -> dict[str, object]:
    return next(view for view in cluster.ask("agents") if view["hostname"] == hostname)


def test_plan_of_a_drain_names_tasks_and_changes_nothing(cluster: Cluster) -> None:
    cluster.run("planned", SLEEPER)
    task = cluster.running("planned-0")
    ran = cluster.quorate("agent", "drain", task["agent_hostname"], "--plan")
    assert ran.returncode == 0, ran.stderr
    assert "1 task would be killed" in ran.stdout
    assert f"{task['framework_id']}/planned-0 RUNNING" in ran.stdout
    assert agent_of(cluster, task["agent_hostname"])["duty"] == "active"
    assert is_alive([task["pid"]])


def test_drain_kills_with_its_grace_and_says_how_far_it_is(cluster: Cluster) -> None:
    cluster.run("stubborn", STUBBORN)
    task = cluster.running("stubborn-0")
    host = task["agent_hostname"]
    ran = cluster.quorate("agent", "drain", host, "--grace", "0.2", "--wait", "60")
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == f"{task['agent_id']}: draining, 1 task left"
    assert lines[-1] == f"{task['agent_id']}: drained"
    ended = cluster.task("stubborn-0")
    assert ended is not None
    assert (ended["state"], ended["reason"]) == ("KILLED", "AGENT_DRAINING")
    assert not is_alive([task["pid"]])
    assert "drained" in cluster.quorate("agents").stdout


def test_task_runs_elsewhere_while_an_agent_is_deactivated(cluster: Cluster) -> None:
    assert cluster.quorate("agent", "deactivate", "a1").returncode == 0
    for number in range(3):
        cluster.run(f"elsewhere{number}", SLEEPER, "--cpus", "0.1")
        assert cluster.running(f"elsewhere{number}-0")["agent_hostname"] == "a2"
    assert cluster.quorate("agent", "activate", "a1").returncode == 0
    assert agent_of(cluster, "a1")["duty"] == "active"


def test_undrain_calls_a_drain_off_before_its_deadline(cluster: Cluster) -> None:
    cluster.run("spared", SLEEPER)
    task = cluster.running("spared-0")
    host = task["agent_hostname"]
    assert cluster.quorate("agent", "undrain", host).returncode == 1
    ran = cluster.quorate("agent", "drain", host, "--deadline", "600")
    assert ran.returncode == 0, ran.stderr
    assert agent_of(cluster, host)["duty"] == "draining"
    again = cluster.quorate("agent", "drain", host)
    assert again.returncode == 1
    assert "is draining already" in again.stderr
    waited = cluster.quorate("agent", "drain", host, "--wait", "0.1")
    assert waited.returncode == 1
    assert "1 task left; 0 of 1 frameworks said they leave, killed in" in waited.stdout
    assert cluster.quorate("agent", "undrain", host).returncode == 0
    assert cluster.running("spared-0")["pid"] == task["pid"]


def test_dead_agent_is_given_up_and_ends_its_tasks_if_it_returns(cluster: Cluster) -> None:
    cluster.run("ghost", SLEEPER)
    task = cluster.running("ghost-0")
    host = task["agent_hostname"]
    refused = cluster.quorate("agent", "gone", host)
    assert refused.returncode == 1
    assert "is connected" in refused.stderr
    child = next(each for each in cluster.embedded.agents if each.name == host)
    child.kill()
    wait_for(lambda: agent_of(cluster, host)["state"] != "connected", "the link to be lost")
    ran = cluster.quorate("agent", "gone", host)
    assert ran.returncode == 0, ran.stderr
    gone = cluster.task("ghost-0")
    assert gone is not None
    assert (gone["state"], gone["reason"]) == ("GONE", "AGENT_GONE")
    assert is_alive([task["pid"]])
    child.start()
    wait_for(lambda: not is_alive([task["pid"]]), "the task to be ended")
    assert "was declared gone by operator" in child.tail()
    assert [view["hostname"] for view in cluster.ask("agents")] != [host]
    child.terminate()
    wait_for(lambda: not child.is_running, "the agent to end")
    cluster.embedded.agents.remove(child)


def test_task_is_ended_when_its_time_is_over(cluster: Cluster) -> None:
    ran = cluster.quorate(
        "run", "--name", "timed", "--max-time", "0.5", "--shell", "--", "exec sleep 1000"
    )
    assert ran.returncode not in (0, 2)
    task = cluster.task("timed-0")
    assert task is not None
    assert (task["state"], task["reason"]) == ("FAILED", "COMPLETION_TIME")


POLITE = "trap 'echo asked; exit 3' USR1; echo ready; while :; do sleep 0.1; done"


def test_task_is_asked_to_end_by_the_signal_that_it_chose(cluster: Cluster) -> None:
    options = ("--kill-signal", "usr1", "--kill-grace", "600")
    cluster.run("polite", POLITE, *options)
    cluster.running("polite-0")
    wait_for(lambda: "ready" in cluster.quorate("logs", "polite-0").stdout, "its trap to be set")
    assert cluster.quorate("kill", "polite-0").returncode == 0

    def look() -> bool:
        task = cluster.task("polite-0")
        return task is not None and task["state"] == "KILLED"

    wait_for(look, "it to end")
    assert "asked" in cluster.quorate("logs", "polite-0").stdout
    assert cluster.quorate("run", "--kill-signal", "nope", "--", "true").returncode == 2
