"""When a member writes its state down: the rarer the bigger it is, and not when the others do."""

from rlog.config import LogConfig
from rlog.rows import Snapshot

STRETCH_BYTES = 64 << 20  # of state: what may well be written per `snapshot_entries`
STRETCH_MAX = 10  # so that a restart never folds more than ten times as much


def is_due(
    config: LogConfig,
    members: tuple[str, ...],
    newest: Snapshot,
    applied: int,
    written_bytes: int,
) -> bool:
    """Whether it is time for one, with entries up to `applied` and so many bytes of them.

    Members would write at the same entries, and every commit would wait for a majority of disks
    and processors that are busy with it: so each has its own place in the period.
    """
    earliest = newest.index + (config.snapshot_entries + 1) // 2
    if applied < earliest and written_bytes < config.snapshot_bytes:
        return False
    place = members.index(config.name) if config.name in members else 0
    stretch = min(STRETCH_MAX, max(1, newest.size // STRETCH_BYTES))
    if applied >= _next(newest.index, config.snapshot_entries * stretch, place, len(members)):
        return True
    share = 1 + place / (2 * max(1, len(members)))  # other periods than theirs, so that they part
    return written_bytes >= config.snapshot_bytes * stretch * share


def _next(index: int, period: int, place: int, members: int) -> int:
    """Return the first entry that is a member's, one in each period, half of one away at least."""
    ours = period * place // max(1, members)
    earliest = index + (period + 1) // 2
    return earliest + (ours - earliest) % period
