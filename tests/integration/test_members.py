"""Masters that come, go, lose their disks and return, as real processes changed from a shell."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from master.ctl.children import Child, free_ports
from tests.clusters import Cluster, running_cluster, wait_for


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running_cluster(3, 0, tmp_path / "cluster") as cluster:
        yield cluster


def start_newcomer(cluster: Cluster, name: str, *arguments: str) -> str:
    """Return the address of a master that waits to be added, or does as the arguments say."""
    embedded = cluster.embedded
    address = f"127.0.0.1:{free_ports(1)[0]}"
    words = [
        *("--listen", address),
        *("--data-dir", str(embedded.directory / name)),
        *("--credentials", embedded.target.credentials),
        *(arguments or ("--join", ",".join(embedded.target.masters))),
    ]
    child = Child(name, "master", words, embedded.directory / f"{name}.log")
    embedded.masters.append(child)
    child.start()
    if not arguments:
        says(child, "belongs to no cluster and waits until it is added")
    return address


def says(child: Child, text: str) -> None:
    wait_for(lambda: text in child.tail(10_000), f"{child.name} to say {text!r}")


def restart(child: Child) -> None:
    """Start a master again, with nothing in its log of what it said before."""
    child.log.unlink()
    child.start()


def do(cluster: Cluster, *words: str) -> str:
    """Return what a command printed that must succeed."""
    ran = cluster.quorate("masters", *words)
    assert ran.returncode == 0, ran.stderr + cluster.embedded.tails()
    return ran.stdout


def look(cluster: Cluster) -> dict[str, dict[str, Any]]:
    return {view["address"]: view for view in cluster.ask("masters")}


def voters(cluster: Cluster) -> set[str]:
    return {address for address, view in look(cluster).items() if view["member"] == "voter"}


def leader(cluster: Cluster) -> str:
    def find() -> str | None:
        ran = cluster.quorate("masters", "-o", "json")
        views = look(cluster) if ran.returncode == 0 else {}
        return next((a for a, view in views.items() if view["role"] == "leader"), None)

    return wait_for(find, "a leader")


def child_of(cluster: Cluster, address: str) -> Child:
    place = cluster.embedded.addresses.index(address)
    return cluster.embedded.masters[place]


def check_remembers(cluster: Cluster, name: str, milli: int) -> None:
    weights = {role["role"]: role["weight_milli"] for role in cluster.ask("roles")}
    assert weights[name] == milli


def test_cluster_grows_to_five_and_shrinks_again(cluster: Cluster) -> None:
    cluster.quorate("weight", "before", "7")
    new = []
    for name in ("m4", "m5"):
        address = start_newcomer(cluster, name)
        new.append(address)
        assert "when it has caught up" in do(cluster, "add", address)
        assert do(cluster, "promote", address, "--wait", "20") == f"{address}: promoted; it votes\n"
    assert voters(cluster) == {*cluster.embedded.addresses, *new}
    do(cluster, "transfer", new[0])
    assert leader(cluster) == new[0]
    for address in (*cluster.embedded.addresses[:2], new[0]):
        do(cluster, "remove", address)
    assert voters(cluster) == {cluster.embedded.addresses[2], new[1]}
    check_remembers(cluster, "before", 7000)
    assert len({view["cluster_id"] for view in look(cluster).values()}) == 1


def test_removed_master_knows_it_and_can_be_added_again(cluster: Cluster) -> None:
    led = leader(cluster)
    present, away = (a for a in cluster.embedded.addresses if a != led)
    child_of(cluster, away).kill()
    do(cluster, "remove", away)
    restart(child_of(cluster, away))
    says(child_of(cluster, away), "this master was removed from the cluster; stop it")
    do(cluster, "remove", present)
    says(child_of(cluster, present), "this master was removed from the cluster; stop it")
    shown = {view["address"]: view["member"] for view in cluster.ask("masters")}
    assert shown == {led: "voter", present: "removed", away: "removed"}
    assert cluster.quorate("log", "status").stdout.count(" removed ") == 2
    do(cluster, "add", away)
    do(cluster, "promote", away, "--wait", "20")
    assert voters(cluster) == {led, away}


def test_killed_master_is_replaced(cluster: Cluster) -> None:
    killed = next(a for a in cluster.embedded.addresses if a != leader(cluster))
    child_of(cluster, killed).kill()
    new = start_newcomer(cluster, "m4")
    printed = do(cluster, "replace", killed, new, "--wait", "20").splitlines()
    assert [line.split(": ")[1].split(";")[0] for line in printed] == [
        "added",
        "promoted",
        "removed",
    ]
    assert voters(cluster) == {*cluster.embedded.addresses, new} - {killed}


def test_newcomer_that_names_one_follower_is_told_who_leads(cluster: Cluster) -> None:
    follower = next(a for a in cluster.embedded.addresses if a != leader(cluster))
    new = start_newcomer(cluster, "m4", "--join", follower)
    do(cluster, "add", new)
    do(cluster, "promote", new, "--wait", "20")
    assert voters(cluster) == {*cluster.embedded.addresses, new}


def test_newcomer_that_names_nobody_of_the_cluster_is_reported_with_why(cluster: Cluster) -> None:
    new = start_newcomer(cluster, "m4", "--join", "127.0.0.1:9")
    reason = f"{new} knows only 127.0.0.1:9, none of whom has said yet that "
    ran = cluster.quorate("masters", "add", new)
    assert ran.returncode == 0
    assert f"{new}: does not answer the leader yet: {reason}" in ran.stderr
    ran = cluster.quorate("masters", "promote", new)
    assert (ran.returncode, f"the leader: {reason}" in ran.stderr) == (1, True)
    assert f"start {new} with --join {leader(cluster)}" in ran.stderr
    assert f"{new} does not answer the leader: {reason}" in cluster.quorate("masters").stderr
    assert look(cluster)[new]["trouble"].startswith(reason)


def test_agents_and_schedulers_follow_masters_that_are_all_replaced(tmp_path: Path) -> None:
    with running_cluster(3, 1, tmp_path / "cluster") as cluster:
        run = cluster.run("loyal", "echo ready; until [ -e go ]; do sleep 0.1; done; exit 5")
        before = cluster.running("loyal-0")
        embedded = cluster.embedded
        for place, old in enumerate(embedded.addresses):
            new = start_newcomer(cluster, f"m{place + 4}")
            do(cluster, "replace", old, new, "--wait", "20")
            others = [name for name in embedded.target.masters if name != old]
            embedded.target = replace(embedded.target, masters=(*others, new))
            embedded.masters[place].kill()
        wait_for(lambda: connected(cluster), "the agent and the framework to be connected")
        assert cluster.running("loyal-0")["pid"] == before["pid"]
        assert cluster.quorate("run", "--", "echo", "hi").stdout == "hi\n"
        sandboxes = embedded.directory.glob(f"a*/sandboxes/{before['framework_id']}/loyal-0.*")
        (next(sandboxes) / "go").touch()
        assert run.wait(60) == 5


def connected(cluster: Cluster) -> bool:
    views = [*cluster.ask("agents"), *cluster.ask("frameworks")]
    return len(views) == 2 and {view["state"] for view in views} == {"connected"}


def test_change_that_would_do_harm_is_refused(cluster: Cluster) -> None:
    first, second, third = cluster.embedded.addresses
    ran = cluster.quorate("masters", "promote", "127.0.0.1:1")
    assert (ran.returncode, "is no learner; add it first" in ran.stderr) == (1, True)
    ran = cluster.quorate("masters", "remove", "127.0.0.1:1")
    assert (ran.returncode, "no master 127.0.0.1:1; the masters are" in ran.stderr) == (1, True)
    ran = cluster.quorate("masters", "add", "nowhere")
    assert (ran.returncode, "is not an address" in ran.stderr) == (1, True)
    silent = next(a for a in (first, second, third) if a != leader(cluster))
    child_of(cluster, silent).kill()
    other = next(a for a in (first, second, third) if a not in (silent, leader(cluster)))

    def is_refused() -> bool:
        ran = cluster.quorate("masters", "remove", other)
        assert ran.returncode == 1
        return f"of whom {silent} do not answer" in ran.stderr

    assert is_refused()


def test_master_that_lost_its_directory_is_filled_again(cluster: Cluster) -> None:
    cluster.quorate("weight", "kept", "3")
    lost = next(a for a in cluster.embedded.addresses if a != leader(cluster))
    child = child_of(cluster, lost)
    child.kill()
    shutil.rmtree(cluster.embedded.directory / child.name)
    restart(child)
    says(child, "counts for nothing until")
    says(child, "this master counts: its log is whole")
    do(cluster, "transfer", lost)
    check_remembers(cluster, "kept", 3000)


def test_two_lost_directories_found_no_second_cluster(cluster: Cluster) -> None:
    cluster.quorate("weight", "kept", "3")
    kept = leader(cluster)
    cluster_id = look(cluster)[kept]["cluster_id"]
    lost = [child_of(cluster, a) for a in cluster.embedded.addresses if a != kept]
    for child in (*lost, child_of(cluster, kept)):
        child.kill()
    for child in lost:
        shutil.rmtree(cluster.embedded.directory / child.name)
        restart(child)
        says(child, "counts for nothing until")
    restart(child_of(cluster, kept))
    wait_for(
        lambda: all(v["term"] > 0 or v["is_reachable"] for v in look_silently(cluster)), "answers"
    )
    for child in lost:
        assert "this master leads" not in child.tail(10_000)
    ids = {view["cluster_id"] for view in look_silently(cluster)}
    assert ids <= {"", cluster_id}


def look_silently(cluster: Cluster) -> list[dict[str, Any]]:
    """Return what the masters say of themselves though none leads."""
    import json

    return list(json.loads(cluster.quorate("masters", "-o", "json").stdout))


def test_master_of_another_cluster_of_the_same_name_is_refused(cluster: Cluster) -> None:
    other = start_newcomer(cluster, "other", "--log-format", "console")
    stranger = cluster.embedded.masters[-1]
    says(stranger, "this master leads")
    do(cluster, "add", other)
    says(stranger, "a master of another cluster was refused")
    roles = {address: view["role"] for address, view in look(cluster).items()}
    leading = next(a for a in cluster.embedded.addresses if roles.get(a) == "leader")
    says(child_of(cluster, leading), "belongs to the cluster with id")
    ran = cluster.quorate("masters", "promote", other)
    assert (ran.returncode, "does not answer" in ran.stderr) == (1, True)
    ids = {view["cluster_id"] for view in look(cluster).values()}
    assert len(ids) == 2
    do(cluster, "remove", other)


def test_survivor_of_a_lost_majority_goes_on(cluster: Cluster) -> None:
    cluster.quorate("weight", "kept", "3")
    for child in cluster.embedded.masters:
        child.kill()
    address = cluster.embedded.addresses[0]
    survivor = child_of(cluster, address)
    directory = str(cluster.embedded.directory / survivor.name)
    ran = cluster.quorate("log", "recover", "--data-dir", directory)
    assert (ran.returncode, "nothing was changed" in ran.stderr) == (1, True)
    assert "last entry" in ran.stdout
    assert cluster.embedded.addresses[2] in ran.stdout
    sure = ("--voters", address, "--i-know-that-data-may-be-lost")
    restart(survivor)
    says(survivor, "master started")
    ran = cluster.quorate("log", "recover", "--data-dir", directory, *sure)
    assert (ran.returncode, "is in use by another process" in ran.stderr) == (1, True)
    survivor.kill()
    ran = cluster.quorate("log", "recover", "--data-dir", directory, *sure)
    assert ran.returncode == 0, ran.stderr
    survivor.start()
    assert leader(cluster) == address
    check_remembers(cluster, "kept", 3000)
    new = start_newcomer(cluster, "m4")
    do(cluster, "add", new)
    do(cluster, "promote", new, "--wait", "20")
    assert voters(cluster) == {address, new}


def test_master_is_added_while_the_leader_is_killed(cluster: Cluster) -> None:
    new = start_newcomer(cluster, "m4")
    old = child_of(cluster, leader(cluster))
    target = cluster.embedded.target
    adding = subprocess.Popen(
        [
            *(sys.executable, "-m", "master.ctl", "masters", "replace"),
            *(cluster.embedded.addresses[old_place(cluster, old)], new),
            *("--wait", "20", "--masters", ",".join(target.masters)),
            *("--credentials", target.credentials),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    says(cluster.embedded.masters[-1], "the members are others now")
    old.kill()
    output, _ = adding.communicate(timeout=60)
    assert adding.returncode == 0, output + cluster.embedded.tails()
    expected = {*cluster.embedded.addresses, new} - {
        cluster.embedded.addresses[old_place(cluster, old)]
    }
    wait_for(lambda: voters(cluster) == expected, "one configuration")


def old_place(cluster: Cluster, child: Child) -> int:
    return cluster.embedded.masters.index(child)
