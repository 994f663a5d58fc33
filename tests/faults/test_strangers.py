"""Daemons and commands with a wrong secret, cluster, peer list or directory: told in one line."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from master.ctl.children import free_ports
from master.ctl.cluster import EmbeddedCluster
from tests.faults.crowd import run_canary
from tests.faults.guests import (
    agent_arguments,
    check_refused,
    count_lines,
    guest,
    master_arguments,
    run_quorate,
    write_credentials,
)
from tests.faults.stage import play, staged, until, until_whole


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    with staged(tmp_path_factory.mktemp("strangers"), masters=3, agents=1) as started:
        yield started


@asynccontextmanager
async def unharmed(cluster: EmbeddedCluster) -> AsyncIterator[None]:
    """See that nobody dies of what happens within, and that tasks run afterwards."""
    before = [child.pid for child in cluster.children]
    yield
    await until_whole(cluster)
    await run_canary(cluster)
    assert [child.pid for child in cluster.children if child.is_running] == before
    assert count_lines(cluster.children, "Traceback") == 0


def free_address() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


def test_agent_with_a_wrong_secret_is_refused(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    async def scene() -> None:
        wrong = write_credentials(tmp_path / "wrong", "agent of-another-cluster")
        async with unharmed(cluster):
            words = agent_arguments(cluster, cluster.directory / "wrong", credentials=wrong)
            async with guest(cluster, "wrong", "agent", *words) as agent:
                await agent.says("the principal or its secret is wrong")
                await until(lambda: count_lines(cluster.masters, "WRONG_SECRET") > 0, "it is told")
        print(f"{count_lines(cluster.masters, 'WRONG_SECRET')} lines on three masters")

    play(scene())


def test_commands_with_a_wrong_secret_are_refused(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    async def scene() -> None:
        lines = ("operator of-another-cluster operator", "framework of-another-cluster framework")
        wrong = write_credentials(tmp_path / "wrong", *lines)
        text = "the principal or its secret is wrong"
        async with unharmed(cluster):
            for words in (["agents"], ["ps"], ["kill", "x"]):
                check_refused(run_quorate(cluster, *words, credentials=wrong), 1, text)
            ran = run_quorate(cluster, "run", "--", "true", credentials=wrong)
            check_refused(ran, 1, text)

    play(scene())


def test_framework_with_an_agents_secret_is_refused(
    cluster: EmbeddedCluster, tmp_path: Path
) -> None:
    async def scene() -> None:
        secrets = Path(cluster.target.credentials).read_text().splitlines()
        secret = next(line.split()[1] for line in secrets if line.startswith("agent "))
        path = write_credentials(tmp_path / "agents", f"agent {secret}")
        async with unharmed(cluster):
            ran = run_quorate(cluster, "run", "--", "true", credentials=path)
            check_refused(ran, 1, "may not act as framework")
            ran = run_quorate(cluster, "agents", credentials=path)
            check_refused(ran, 1, "may not act as operator")

    play(scene())


def test_master_with_a_wrong_secret_is_refused(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    async def scene() -> None:
        wrong = write_credentials(tmp_path / "wrong", "master of-another-cluster replica")
        address = free_address()
        peers = ",".join((address, *cluster.addresses[1:]))
        words = master_arguments(
            cluster, cluster.directory / "m4", listen=address, peers=peers, credentials=wrong
        )
        before = count_lines(cluster.masters, "WRONG_SECRET")
        async with unharmed(cluster), guest(cluster, "m4", "master", *words) as master:
            await master.says("the principal or its secret is wrong")
            await until(
                lambda: count_lines(cluster.masters, "WRONG_SECRET") > before, "they say so too"
            )

    play(scene())


def test_master_with_a_wrong_peer_list_is_refused(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        address = free_address()
        peers = ",".join((address, *cluster.addresses))
        words = master_arguments(cluster, cluster.directory / "m5", listen=address, peers=peers)
        async with unharmed(cluster), guest(cluster, "m5", "master", *words) as master:
            await master.says("is not among the voters here")
            told = "a replica that is no voter was refused"
            await until(lambda: count_lines(cluster.masters, told) > 0, "they say so too")
            await run_canary(cluster)
            # it tries on all the while, and that is said once
            assert count_lines(cluster.masters, told) <= len(cluster.masters)
            said = master.child.tail(10_000).splitlines()
            assert sum("is not among the voters" in line for line in said) <= len(cluster.masters)

    play(scene())


@pytest.mark.parametrize("module", ["agent", "master"])
def test_daemon_of_another_cluster_is_refused(cluster: EmbeddedCluster, module: str) -> None:
    async def scene() -> None:
        directory = cluster.directory / f"other-{module}"
        if module == "agent":
            words = agent_arguments(cluster, directory, cluster="other")
        else:
            address = free_address()
            peers = ",".join((address, *cluster.addresses[1:]))
            words = master_arguments(
                cluster, directory, listen=address, peers=peers, cluster="other"
            )
        async with unharmed(cluster), guest(cluster, directory.name, module, *words) as stranger:
            await stranger.says("belongs to cluster 'quorate', not 'other'")
            await until(lambda: count_lines(cluster.masters, "WRONG_CLUSTER") > 0, "it is told")

    play(scene())


def test_second_agent_on_a_work_directory_ends(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        words = agent_arguments(cluster, cluster.directory / "a1")
        async with unharmed(cluster), guest(cluster, "second", "agent", *words) as agent:
            await agent.ends(2, f"in use by the agent with pid {cluster.agents[0].pid}")

    play(scene())


def test_second_master_on_a_data_directory_ends(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        words = master_arguments(cluster, cluster.directory / "m1")
        async with unharmed(cluster), guest(cluster, "twin", "master", *words) as master:
            await master.ends(1, f"is in use by another process (pid {cluster.masters[0].pid})")

    play(scene())


def test_master_with_the_data_directory_of_another_ends(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        owner = cluster.masters[2]
        owner.kill()
        try:
            address = free_address()
            peers = ",".join((*cluster.addresses[:2], address))
            words = master_arguments(cluster, cluster.directory / "m3", listen=address, peers=peers)
            async with guest(cluster, "thief", "master", *words) as master:
                await master.ends(1, f"belongs to {cluster.addresses[2]}")
        finally:
            owner.start()
        async with unharmed(cluster):
            await until_whole(cluster)

    play(scene())


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("run", "--cpus", "nan", "--", "true"), "nan"),
        (("run", "--cpus", "-1", "--", "true"), "-1"),
        (("run", "--cpus", "inf", "--", "true"), "inf"),
        (("run", "--mem=-5MiB", "--", "true"), "-5MiB"),
        (("run", "--mem", "99999999999TiB", "--", "true"), "99999999999TiB"),
        (("run", "--instances", "0", "--", "true"), "--instances 0"),
        (("run", "--ports", "-1", "--", "true"), "--ports -1"),
        (("agent", "--insecure", "--resources", "cpus:nan;mem:1GiB"), "nan"),
        (("agent", "--insecure", "--resources", "cpus:-2;mem:1GiB"), "-2"),
        (("agent", "--insecure", "--resources", "cpus:1;ports:[9-1]"), "9-1"),
    ],
)
def test_amounts_that_are_none_are_refused(
    cluster: EmbeddedCluster, words: tuple[str, ...], text: str, tmp_path: Path
) -> None:
    if words[0] == "agent":
        words = (*words, "--work-dir", str(tmp_path / "work"))
    check_refused(run_quorate(cluster, *words), 2, text)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("kill", "nobody"), "no running task nobody"),
        (("kill", "fw-99/nobody"), "no running task fw-99/nobody"),
        (("logs", "nobody"), "no task nobody"),
        (("teardown", "fw-99"), "no framework fw-99"),
    ],
)
def test_unknown_ids_are_refused(
    cluster: EmbeddedCluster, words: tuple[str, ...], text: str
) -> None:
    check_refused(run_quorate(cluster, *words), 1, text)


def test_over_claim_is_refused_by_saying_what_is_offered(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        async with unharmed(cluster):
            words = ("run", "--timeout", "4", "--cpus", "64", "--", "true")
            code, said = run_quorate(cluster, *words)
            print(said)
            assert code == 1
            assert "no agent offers cpus:64 (the most is 4)" in said.splitlines()[-1]

    play(scene())
