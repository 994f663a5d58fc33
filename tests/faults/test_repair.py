"""Masters whose data files were damaged: filled by the others, or refused where nobody could."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from master.ctl.asking import ask, ask_for_list, quieten
from master.ctl.children import Child, free_ports
from master.ctl.cluster import EmbeddedCluster
from master.ctl.compact import compact_masters
from protocol.messages.operator import (
    AddMaster,
    Done,
    ListRoles,
    MasterView,
    OperatorMessage,
    RemoveMaster,
    SetWeight,
    TransferLeadership,
)
from rlog.repair import KEPT
from tests.faults.disks import fill, small_disk
from tests.faults.stage import find_leader, play, see_masters, staged, until, until_answered
from tests.unit.rlog.test_repair import TRIO, refused, write_log
from tests.unit.rlog.test_repair import damage as damage_log

ROLE = "kept-by-every-master"  # long enough to be found in a file
SET_ASIDE = "the data file is damaged and was set aside; the others fill this one anew"
IS_WHOLE = "this master counts: its log is whole"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    quieten()
    with staged(tmp_path_factory.mktemp("repair"), agents=0) as started:
        play(do(started, SetWeight(role=ROLE, weight_milli=3000)))
        play(until_all_hold_all(started))
        yield started


async def do(cluster: EmbeddedCluster, request: OperatorMessage) -> None:
    """Have something done, whoever leads by then."""

    async def is_done() -> bool:
        return await ask(cluster.target, request, Done) is not None

    await until_answered(is_done, str(request))


async def until_all_hold_all(cluster: EmbeddedCluster) -> None:
    async def are_equal() -> bool:
        views = (await see_masters(cluster)).values()
        return len({view.applied for view in views}) == 1

    await until_answered(are_equal, "all masters hold the same")


async def until_says(master: Child, text: str) -> None:
    await until(lambda: text in master.tail(10_000), f"{master.name} says {text!r}")


async def until_remembered(cluster: EmbeddedCluster) -> None:
    """Return once the leader says that it knows the role."""

    async def is_known() -> bool:
        roles = await ask_for_list(cluster.target, ListRoles())
        weights = {role.role: role.weight_milli for role in roles}
        assert weights[ROLE] == 3000
        return True

    await until_answered(is_known, "a leader tells its roles")


def restart(master: Child) -> None:
    """Start a master again, with nothing in its log of what it said before."""
    master.log.unlink()
    master.start()


def data_of(cluster: EmbeddedCluster, master: Child) -> Path:
    return cluster.directory / master.name / "data.mdb"


def damage(path: Path) -> None:
    """Flip a bit of every copy of what a file holds of the role, where it lies."""
    with path.open("r+b") as file:
        places = [found.start() for found in re.finditer(ROLE.encode(), file.read())]
        assert places
        for place in places:
            file.seek(place)
            file.write(bytes((ord(ROLE[0]) ^ 1,)))


def count_kept(cluster: EmbeddedCluster, master: Child) -> int:
    return len(list(data_of(cluster, master).parent.glob(f"{KEPT}*")))


def test_damaged_master_is_filled_by_the_others(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        place = (await find_leader(cluster) + 1) % 3
        master = cluster.masters[place]
        master.kill()
        damage(data_of(cluster, master))
        await do(cluster, SetWeight(role="set-meanwhile", weight_milli=2000))
        restart(master)
        await until_says(master, SET_ASIDE)
        await until_says(master, IS_WHOLE)
        assert count_kept(cluster, master) == 1
        await do(cluster, TransferLeadership(address=cluster.addresses[place]))
        await until_remembered(cluster)
        views = await see_masters(cluster)
        assert len({view.cluster_id for view in views.values()}) == 1

    play(scene())


def test_damage_that_is_met_at_work_is_repaired_by_the_same_process(
    cluster: EmbeddedCluster,
) -> None:
    compact_masters(cluster.target, "")

    async def scene(newcomer: Child, address: str) -> None:
        master = cluster.masters[await find_leader(cluster)]
        pid = master.pid
        damage(data_of(cluster, master))
        newcomer.start()
        await until_says(newcomer, "belongs to no cluster and waits until it is added")
        await do(cluster, AddMaster(address=address))  # it must be sent the snapshot
        await until_says(master, "the log cannot go on")
        await until_says(master, SET_ASIDE)
        await until_says(master, IS_WHOLE)
        assert (master.pid, master.exit_code) == (pid, None)
        await until_says(newcomer, IS_WHOLE)
        await until_remembered(cluster)
        await do(cluster, RemoveMaster(address=address))

    newcomer, address = make_newcomer(cluster)
    try:
        play(scene(newcomer, address))
    finally:
        newcomer.kill()


def make_newcomer(cluster: EmbeddedCluster) -> tuple[Child, str]:
    address = f"127.0.0.1:{free_ports(1, 20_000)[0]}"
    words = [
        *("--listen", address, "--join", ",".join(cluster.addresses)),
        *("--data-dir", str(cluster.directory / "newcomer")),
        *("--credentials", cluster.target.credentials),
    ]
    return Child("newcomer", "master", words, cluster.directory / "newcomer.log"), address


def test_two_damaged_of_three_elect_nobody_and_lose_nothing(cluster: EmbeddedCluster) -> None:
    async def scene() -> None:
        await until_all_hold_all(cluster)
        cluster_id = next(iter((await see_masters(cluster)).values())).cluster_id
        whole, *damaged = cluster.masters
        for master in cluster.masters:
            master.kill()
        kept = {master: count_kept(cluster, master) for master in damaged}
        sound = {master: data_of(cluster, master).read_bytes() for master in damaged}
        for master in damaged:
            damage(data_of(cluster, master))
        for master in cluster.masters:
            restart(master)
        for master in damaged:
            await until_says(master, SET_ASIDE)
            await until_says(master, "this master counts for nothing until")
            await until(partial(has_links, master), "links to both")
        for view in (await until_all_answer(cluster)).values():
            assert view.role != "leader"
            assert view.cluster_id in ("", cluster_id)
        for master in cluster.masters:
            assert "this master leads" not in master.tail(10_000)
            master.kill()
        for master in damaged:
            assert count_kept(cluster, master) == kept[master] + 1
            data_of(cluster, master).write_bytes(sound[master])
        for master in cluster.masters:
            restart(master)
        await until_remembered(cluster)
        await until_says(whole, "master started")

    play(scene())


def has_links(master: Child) -> bool:
    return master.tail(10_000).count("link open") >= 2


async def until_all_answer(cluster: EmbeddedCluster) -> dict[str, MasterView]:
    found: dict[str, MasterView] = {}

    async def do_answer() -> bool:
        found.update(await see_masters(cluster))
        return all(found[address].is_reachable for address in cluster.addresses)

    await until_answered(do_answer, "all masters answer")
    return found


def test_full_disk_keeps_the_damaged_file_where_it_is(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2) as disk:
        directory = write_log(disk / "log", *TRIO)
        damage_log(directory)
        fill(disk / "rest")
        assert "bytes are needed beside it, and 0 are free" in refused(directory)


def test_lone_damaged_master_refuses_and_changes_nothing(tmp_path: Path) -> None:
    async def scene(cluster: EmbeddedCluster) -> None:
        await do(cluster, SetWeight(role=ROLE, weight_milli=3000))
        (master,) = cluster.masters
        master.kill()
        damage(data_of(cluster, master))
        before = data_of(cluster, master).read_bytes()
        restart(master)
        await until(lambda: master.exit_code is not None, "the master ends")
        assert master.exit_code == 1
        (line,) = [each for each in master.tail().splitlines() if "quorate master:" in each]
        assert "fails its checksum; not repaired: without it no majority" in line
        assert line.endswith("a lone one needs its backup")
        assert data_of(cluster, master).read_bytes() == before

    with staged(tmp_path / "cluster", masters=1, agents=0) as cluster:
        play(scene(cluster))
