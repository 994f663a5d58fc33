"""A log of many events folded at a start; of very many: `python -m tests.faults.long_replay`."""

import asyncio
from pathlib import Path

from tests.faults.long_replay import CALLERS, COMPACTIONS, replay

SHORT, LONG = 50_000, 150_000
GROWTH_BYTES_MAX = 12 << 20  # what is in flight; the longer log has 18 MB more


def test_folding_three_times_as_many_events_takes_no_more_memory(tmp_path: Path) -> None:
    found = []
    for events in (SHORT, LONG):
        directory = tmp_path / str(events)
        directory.mkdir()
        found.append(asyncio.run(replay(directory, events)))
    print(*found, sep="\n")
    assert all(each.compacted >= COMPACTIONS for each in found)
    assert all(each.compacted <= CALLERS * COMPACTIONS for each in found)
    assert found[1].peak_bytes - found[0].peak_bytes < GROWTH_BYTES_MAX
