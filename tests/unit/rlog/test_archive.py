"""Archives: what of a directory is surely committed."""

from pathlib import Path

import pytest

from rlog.archive import open_archive
from rlog.membership import configuration_command, noop_command
from rlog.messages import Entry
from rlog.store import Store

ONE, TWO = ("m1:7000",), ("m1:7000", "m2:7000")


@pytest.mark.parametrize(
    ("founded", "changed", "committed"),
    [(ONE, (), 4), (TWO, (), 1), (ONE, TWO, 1), (TWO, ONE, 4)],
)
def test_all_is_committed_that_a_sole_voter_holds(
    founded: tuple[str, ...], changed: tuple[str, ...], committed: int, tmp_path: Path
) -> None:
    store = Store(str(tmp_path), "m1:7000", "red")
    store.found(founded)
    store.set_term(1, "m1:7000")
    for index in (1, 2, 3, 4):
        is_change = index == 3 and changed
        command = configuration_command(changed) if is_change else noop_command()
        store.add(Entry(index, 1, command))
    store.set_committed(1)
    while store.is_dirty:
        job = store.take()
        store.write(job)
        store.done(job)
    store.close()
    with open_archive(str(tmp_path)) as archive:
        assert archive.committed == committed
