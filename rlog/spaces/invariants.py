"""What is true of every space."""

from rlog.spaces.records import (
    HISTORY_BYTES_MAX,
    HISTORY_MAX,
    TOKENS_MAX,
    Space,
    Spaces,
    weigh,
    weigh_record,
)


def check(spaces: Spaces) -> None:
    """Assert everything that must hold."""
    for space in spaces.by_name.values():
        _check_items(space)
        _check_history(space)
        _check_journals(space)
        assert len(space.tokens) <= TOKENS_MAX
        for lease in space.leases.values():
            assert 0 < lease.token <= space.revision
            assert all(key in space.items for key in lease.keys)


def _check_items(space: Space) -> None:
    weights = [weigh(key, stored.value) for key, stored in space.items.items()]
    records = [each for journal in space.journals.values() for each in journal.records.values()]
    assert space.size_bytes == sum(weights) + sum(weigh_record(each) for each in records)
    for key, stored in space.items.items():
        assert 0 < stored.version <= space.revision
        assert not stored.lease or key in space.leases[stored.lease].keys


def _check_journals(space: Space) -> None:
    """Every position between the first and the next has a record, or lies in a gap."""
    for journal in space.journals.values():
        assert 0 < journal.epoch <= space.revision
        ends = [journal.first, *(end for gap in journal.gaps for end in gap), journal.next]
        assert ends == sorted(ends)
        parts = zip(ends[::2], ends[1::2], strict=True)
        assert list(journal.records) == [each for part in parts for each in range(*part)]


def _check_history(space: Space) -> None:
    numbers = [revision.number for revision in space.history]
    assert numbers == list(range(space.compacted + 1, space.revision + 1))
    changes = [change for revision in space.history for change in revision.changes]
    assert space.history_bytes == sum(weigh(each.key, each.value) for each in changes)
    assert len(space.history) <= HISTORY_MAX
    assert space.history_bytes <= HISTORY_BYTES_MAX
