"""Masters whose data files were damaged: filled by the others, or refused where nobody could."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from master.ctl.children import Child
from rlog.repair import KEPT
from tests.clusters import Cluster, running_cluster, wait_for
from tests.faults.disks import fill, small_disk
from tests.unit.rlog.test_repair import TRIO, refused, write_log
from tests.unit.rlog.test_repair import damage as damage_log

ROLE = "kept-by-every-master"  # long enough to be found in a file
SET_ASIDE = "the data file is damaged and was set aside; the other masters fill this one anew"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running_cluster(3, 0, tmp_path / "cluster") as cluster:
        assert cluster.quorate("weight", ROLE, "3").returncode == 0
        until_all_hold_all(cluster)
        yield cluster


def until_all_hold_all(cluster: Cluster) -> None:
    def are_equal() -> bool:
        return len({view["applied"] for view in cluster.ask("masters")}) == 1

    wait_for(are_equal, "all to hold the same")


def directory_of(cluster: Cluster, master: Child) -> Path:
    return cluster.embedded.directory / master.name


def damage(cluster: Cluster, master: Child) -> None:
    """Flip a bit of every copy of what the master's file holds of the role."""
    path = directory_of(cluster, master) / "data.mdb"
    content = path.read_bytes()
    name = ROLE.encode()
    assert name in content
    path.write_bytes(content.replace(name, bytes((name[0] ^ 1,)) + name[1:]))


def restart(master: Child) -> None:
    """Start a master again, with nothing in its log of what it said before."""
    master.log.unlink()
    master.start()


def says(master: Child, text: str) -> None:
    wait_for(lambda: text in master.tail(10_000), f"{master.name} to say {text!r}")


def look(cluster: Cluster) -> list[dict[str, Any]]:
    """Return what the masters say of themselves, whether one leads or none."""
    import json

    ran = cluster.quorate("masters", "-o", "json")
    return list(json.loads(ran.stdout)) if ran.stdout else []


def weight(cluster: Cluster) -> int:
    return int({role["role"]: role["weight_milli"] for role in cluster.ask("roles")}[ROLE])


def test_damaged_master_is_filled_by_the_others(cluster: Cluster) -> None:
    place = (cluster.leader() + 1) % 3
    master = cluster.embedded.masters[place]
    master.kill()
    damage(cluster, master)
    assert cluster.quorate("weight", "set-meanwhile", "2").returncode == 0
    restart(master)
    says(master, SET_ASIDE)
    says(master, "this master counts: its log is whole")
    assert len(list(directory_of(cluster, master).glob(f"{KEPT}*"))) == 1
    ran = cluster.quorate("masters", "transfer", cluster.embedded.addresses[place])
    assert ran.returncode == 0, ran.stderr + cluster.embedded.tails()
    assert cluster.leader() == place
    assert weight(cluster) == 3000
    assert len({view["cluster_id"] for view in cluster.ask("masters")}) == 1
    verified = cluster.quorate("log", "verify", "--data-dir", str(directory_of(cluster, master)))
    assert (verified.returncode, verified.stderr) == (0, "")


def test_two_damaged_of_three_elect_nobody_and_lose_nothing(cluster: Cluster) -> None:
    masters = cluster.embedded.masters
    cluster_id = look(cluster)[0]["cluster_id"]
    for master in masters:
        master.kill()
    for master in masters[1:]:
        damage(cluster, master)
    for master in masters:
        restart(master)
    for master in masters[1:]:
        says(master, SET_ASIDE)
        says(master, "this master counts for nothing until")
    wait_for(lambda: all(view["is_reachable"] for view in look(cluster)), "all to answer")
    wait_for(lambda: masters[0].tail(10_000).count("link open") >= 2, "links to both")
    assert "leader" not in {view["role"] for view in look(cluster)}
    assert {view["cluster_id"] for view in look(cluster)} <= {"", cluster_id}
    assert all("this master leads" not in master.tail(10_000) for master in masters)
    for master in masters[1:]:
        assert len(list(directory_of(cluster, master).glob(f"{KEPT}*"))) == 1
    go_on_with(cluster, masters[0])
    assert weight(cluster) == 3000


def go_on_with(cluster: Cluster, survivor: Child) -> None:
    """Do what an operator does whose majority is lost."""
    for master in cluster.embedded.masters:
        master.kill()
    directory, address = directory_of(cluster, survivor), cluster.embedded.addresses[0]
    sure = ("--voters", address, "--i-know-that-data-may-be-lost")
    ran = cluster.quorate("log", "recover", "--data-dir", str(directory), *sure)
    assert ran.returncode == 0, ran.stderr
    restart(survivor)
    says(survivor, "this master leads")


def test_full_disk_keeps_the_damaged_file_where_it_is(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2) as disk:
        directory = write_log(disk / "log", *TRIO)
        damage_log(directory)
        fill(disk / "rest")
        assert "bytes are needed beside it, and 0 are free" in refused(directory)


def test_lone_damaged_master_refuses_and_changes_nothing(tmp_path: Path) -> None:
    with running_cluster(1, 0, tmp_path / "cluster") as cluster:
        assert cluster.quorate("weight", ROLE, "3").returncode == 0
        (master,) = cluster.embedded.masters
        master.kill()
        damage(cluster, master)
        data = directory_of(cluster, master) / "data.mdb"
        before = data.read_bytes()
        restart(master)
        wait_for(lambda: master.exit_code is not None, "an end")
        assert master.exit_code == 1
        (line,) = [each for each in master.tail().splitlines() if "quorate master:" in each]
        assert "fails its checksum; not repaired: without it no majority" in line
        assert line.endswith("a lone one needs its backup")
        assert data.read_bytes() == before
