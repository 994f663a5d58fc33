"""Logs made short while their members work, and files made small while they do not."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.errors import Broken, Fault, Overloaded
from rlog.archive import Outline, open_archive
from rlog.clearing import Cleared, Clearing
from rlog.compaction import compact, rewrite
from rlog.examine import examine
from rlog.membership import configuration_command, payload_command
from rlog.messages import Entry
from rlog.rows import Standing
from rlog.store import Store
from tests.unit.rlog.sites import NAMES, Cluster, Site, append

STATE = bytes(range(256)) * 40


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    for name in NAMES:
        made.add(name)
    yield made
    made.close()


def clear(cluster: Cluster, site: Site, times: int = 1) -> list[Cleared | Fault]:
    """Return what comes of asking so many times at once."""

    async def ask() -> list[Cleared | Fault]:
        outcomes: list[Cleared | Fault] = []
        clearing = Clearing(site.log)
        for _ in range(times):
            clearing.begin(outcomes.append)
        while len(outcomes) < times:  # noqa: ASYNC110 – told by a callback
            await asyncio.sleep(0.1)
        return outcomes

    found: list[Cleared | Fault] = cluster.run(ask(), site)
    return found


@pytest.mark.parametrize("is_leader", [True, False])
def test_member_drops_what_a_new_snapshot_covers_and_works_on(
    three: Cluster, is_leader: bool
) -> None:
    leader = three.wait_for_leader()
    for number in range(20):
        three.run(append(leader, b"%d" % number), leader)
        three.wait(0.1)
    three.wait(0.5)  # so that followers know what is committed
    site = next(s for s in three.sites.values() if (s is leader) == is_leader)
    (cleared,) = clear(three, site)
    assert isinstance(cleared, Cleared)
    assert site.log.raft is not None
    assert cleared.index == site.log.applied == site.log.raft.journal.base_index
    assert (cleared.dropped, cleared.kept) == (cleared.index, 0)
    three.run(append(leader, b"after"), leader)
    three.wait(0.5)
    assert [other.reader.payloads[-1] for other in three.sites.values()] == [b"after"] * 3
    (again,) = clear(three, site)
    assert isinstance(again, Cleared)
    assert (again.index, again.dropped) == (cleared.index + 1, 1)


def test_what_is_short_already_stays_as_it_is(three: Cluster) -> None:
    leader = three.wait_for_leader()
    (first,), (second,) = clear(three, leader), clear(three, leader)
    assert isinstance(first, Cleared)
    assert isinstance(second, Cleared)
    assert (second.index, second.dropped) == (first.index, 0)


def test_one_compaction_at_a_time(three: Cluster) -> None:
    second, first = clear(three, three.wait_for_leader(), times=2)
    assert isinstance(second, Overloaded)
    assert isinstance(first, Cleared)


# Of a stopped member


def write_log(directory: Path, entries: int) -> Outline:
    """Return what a directory holds in which all but the last two entries are committed."""
    store = Store(str(directory), "a", "red")
    store.found(("a", "b", "c"))
    store.set_standing(Standing("red-1"))
    store.set_term(2, "")
    for index in range(1, entries + 1):
        command = payload_command(b"x" * 4000)
        if index == entries - 3:
            command = configuration_command(("a", "b", "c"), ("d",))
        if index == entries - 1:
            command = configuration_command(("a", "b", "c", "d"))
        store.add(Entry(index, 2, command))
        store.write_all()
    store.set_committed(entries - 2)
    store.prove_room()
    store.close()
    return outline_of(directory)


def outline_of(directory: Path) -> Outline:
    with open_archive(str(directory)) as archive:
        return archive.outline


def test_stopped_member_keeps_its_state_and_what_is_not_committed(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    before = write_log(directory, 300)
    file_bytes = (directory / "data.mdb").stat().st_size
    assert compact(str(directory), before, STATE) == 298
    rewrite(str(directory))
    examine(str(directory))
    after = outline_of(directory)
    assert (after.position.term, after.position.committed, after.last) == (2, 298, 300)
    assert (after.snapshot.index, after.snapshot.cluster_id) == (298, "red-1")
    known = (after.snapshot.configuration_index, after.snapshot.voters, after.snapshot.learners)
    assert known == (297, ("a", "b", "c"), ("d",))
    assert (after.identity, after.founded) == (before.identity, before.founded)
    assert (directory / "data.mdb").stat().st_size < file_bytes / 10
    assert sorted(path.name for path in directory.iterdir()) == ["data.mdb", "lock", "lock.mdb"]
    store = Store(str(directory), "a", "red")
    assert store.load_snapshot() == STATE
    assert [entry.index for entry in store.range(299, 301)] == [299, 300]
    store.set_term(3, "b")
    store.write_all()
    store.close()
    examine(str(directory))
    rewrite(str(directory))
    examine(str(directory))


def test_directory_that_changed_since_it_was_read_is_left_alone(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    before = write_log(directory, 10)
    store = Store(str(directory), "a", "red")
    store.set_committed(9)
    store.prove_room()
    store.close()
    with pytest.raises(Broken, match="has changed since it was read"):
        compact(str(directory), before, STATE)
    assert outline_of(directory).snapshot.index == 0


def test_directory_in_use_is_not_rewritten(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    outline = write_log(directory, 10)
    store = Store(str(directory), "a", "red")
    with pytest.raises(Broken, match="in use by another process"):
        rewrite(str(directory))
    with pytest.raises(Broken, match="in use by another process"):
        compact(str(directory), outline, STATE)
    store.close()
