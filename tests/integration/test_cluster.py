"""Three masters and two agents as real processes, with parts of them killed."""

from collections.abc import Iterator

import pytest

from tests.clusters import SLEEPER, Cluster, is_alive, running_cluster, wait_for


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(3, 2, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: Cluster) -> Iterator[Cluster]:
    yield shared
    shared.settle()
    shared.end_runs()


def identity(task: dict[str, object]) -> tuple[object, ...]:
    return tuple(task[key] for key in ("framework_id", "task_id", "launch", "pid", "state"))


def test_run_prints_what_the_command_prints(cluster: Cluster) -> None:
    ran = cluster.quorate("run", "--", "echo", "hi")
    assert (ran.returncode, ran.stdout) == (0, "hi\n")


def test_run_ends_with_the_exit_status_of_its_command(cluster: Cluster) -> None:
    ran = cluster.quorate("run", "--name", "three", "--shell", "--", "exit 3")
    assert ran.returncode == 3
    task = cluster.task("three-0")
    assert task is not None
    assert (task["state"], task["exit_code"]) == ("FAILED", 3)


def test_tasks_run_on_when_the_leader_is_killed(cluster: Cluster) -> None:
    cluster.run("survivor", SLEEPER)
    before = cluster.running("survivor-0")
    leader = cluster.leader()
    cluster.embedded.masters[leader].kill()
    assert cluster.leader() != leader
    assert identity(cluster.running("survivor-0")) == identity(before)
    assert is_alive([before["pid"]])


def test_scheduler_goes_on_under_a_new_leader(cluster: Cluster) -> None:
    run = cluster.run("loyal", "echo ready; until [ -e go ]; do sleep 0.1; done; exit 5")
    task = cluster.running("loyal-0")
    cluster.embedded.masters[cluster.leader()].kill()
    sandboxes = cluster.embedded.directory.glob(f"a*/sandboxes/{task['framework_id']}/loyal-0.*")
    (next(sandboxes) / "go").touch()
    assert run.wait(20) == 5


def test_killed_master_catches_up_when_it_returns(cluster: Cluster) -> None:
    follower = (cluster.leader() + 1) % 3
    cluster.embedded.masters[follower].kill()
    cluster.quorate("weight", "catch-up", "3")
    cluster.settle()

    def look() -> bool:
        views = cluster.ask("masters")
        return len({view["applied"] for view in views if view["is_reachable"]}) == 1

    wait_for(look, "all masters to have applied the same")


def test_masters_that_are_all_killed_remember_everything(cluster: Cluster) -> None:
    cluster.run("remembered", SLEEPER)
    before = cluster.running("remembered-0")
    cluster.quorate("weight", "kept", "7")
    for child in cluster.embedded.masters:
        child.kill()
    cluster.settle()
    assert identity(cluster.running("remembered-0")) == identity(before)
    weights = {role["role"]: role["weight_milli"] for role in cluster.ask("roles")}
    assert weights["kept"] == 7000


def test_minority_of_masters_says_what_is_missing(cluster: Cluster) -> None:
    leader = cluster.leader()
    for place, child in enumerate(cluster.embedded.masters):
        if place != leader:
            child.kill()
    ran = cluster.quorate("ps")
    assert ran.returncode == 1
    assert "majority" in ran.stderr
    listed = cluster.quorate("masters")
    assert listed.stdout.count("unreachable") == 2


def test_agent_that_is_killed_finds_its_tasks_again(cluster: Cluster) -> None:
    cluster.run("orphan", SLEEPER)
    before = cluster.running("orphan-0")
    agents = {child.name: child for child in cluster.embedded.agents}
    agents[before["agent_hostname"]].kill()
    cluster.settle()
    assert identity(cluster.running("orphan-0")) == identity(before)


def test_leader_that_is_asked_to_end_hands_over(cluster: Cluster) -> None:
    leader = cluster.embedded.masters[cluster.leader()]
    leader.terminate()
    wait_for(lambda: not leader.is_running, "the leader to end")
    assert leader.exit_code == 0
    assert cluster.embedded.masters[cluster.leader()] is not leader


def test_teardown_kills_the_tasks_of_a_framework(cluster: Cluster) -> None:
    run = cluster.run("doomed", SLEEPER)
    task = cluster.running("doomed-0")
    cluster.quorate("teardown", "doomed")
    wait_for(lambda: not is_alive([task["pid"]]), "the task to end")
    assert run.wait(20) != 0
