"""Many agents that are silent at once: held, brought back, or given up on an operator's word."""

from collections.abc import Iterator

import pytest

from tests.clusters import SLEEPER, Cluster, is_alive, running_cluster, wait_for

AGENTS = 4
SILENT = 3
SETTINGS = ("agent_timeout_s=1",)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("absence")
    with running_cluster(1, AGENTS, directory, SETTINGS) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    yield shared
    shared.quorate("agent", "release", "--for", "0")
    shared.settle()
    shared.end_runs()


def run_on_silent(cluster: Cluster, name: str) -> dict[str, object]:
    """Return a running task on one of the agents that will be silent."""
    last = f"a{AGENTS}"
    assert cluster.quorate("agent", "deactivate", last).returncode == 0
    cluster.run(name, SLEEPER, "--cpus", "0.1", "--mem", "32MiB")
    task = cluster.running(f"{name}-0")
    assert cluster.quorate("agent", "activate", last).returncode == 0
    return task


def kill_agents(cluster: Cluster) -> None:
    for child in cluster.embedded.agents[:SILENT]:
        child.kill()


def await_held(cluster: Cluster) -> None:
    def look() -> bool:
        said = cluster.quorate("agents").stderr
        return f"{SILENT} of {AGENTS} agents fell silent at once: none is given up" in said

    wait_for(look, "the guard to hold them")


def states(cluster: Cluster) -> list[str]:
    return sorted(view["state"] for view in cluster.ask("agents"))


def test_agents_that_fall_silent_at_once_keep_their_tasks(cluster: Cluster) -> None:
    before = run_on_silent(cluster, "kept")
    kill_agents(cluster)
    await_held(cluster)
    wait_for(
        lambda: "none of them is given up" in cluster.embedded.masters[0].log.read_text(),
        "the leader to say so",
    )
    assert states(cluster) == ["connected", *SILENT * ["disconnected"]]
    cluster.settle()
    after = cluster.running("kept-0")
    assert (after["pid"], after["launch"]) == (before["pid"], before["launch"])
    assert after["sequence"] == before["sequence"], "nobody was told anything"
    assert cluster.quorate("agents").stderr == ""


def test_operator_who_knows_better_has_them_given_up(cluster: Cluster) -> None:
    task = run_on_silent(cluster, "given-up")
    kill_agents(cluster)
    await_held(cluster)
    ran = cluster.quorate("agent", "release", "--for", "600")
    assert ran.returncode == 0, ran.stderr
    wait_for(
        lambda: states(cluster) == ["connected", *SILENT * ["unreachable"]], "them to be given up"
    )
    told = cluster.task("given-up-0")
    assert told is not None
    assert (told["state"], told["reason"]) == ("UNREACHABLE", "AGENT_UNREACHABLE")
    assert "however many they are" in cluster.quorate("agents").stderr
    cluster.settle()
    assert cluster.running("given-up-0")["pid"] == task["pid"]
    assert is_alive([int(str(task["pid"]))])
