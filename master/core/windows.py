"""Windows of time that come again: pure computation, with the time as an argument."""

from croniter import croniter
from croniter.croniter import CroniterError

SECOND_NS = 1_000_000_000
FIELDS = 5  # minute, hour, day of month, month, day of week, in UTC


def check_cron(cron: str) -> str | None:
    """Return why a cron expression cannot be used, None when it can."""
    if len(cron.split()) != FIELDS:
        return f"it has {len(cron.split())} fields, {FIELDS} are expected, such as 0 22 * * mon-fri"
    try:
        croniter(cron, 0).get_next(float)
    except (CroniterError, ValueError, KeyError) as error:
        return f"{error}"[:200]
    return None


def window_at(cron: str, duration_ns: int, now_ns: int) -> tuple[int, int]:
    """Return begin and end of the window that is open, or else of the next one."""
    seconds = now_ns // SECOND_NS
    before_ns = round(croniter(cron, seconds + 1).get_prev(float)) * SECOND_NS
    if before_ns + duration_ns > now_ns:
        return before_ns, before_ns + duration_ns
    next_ns = round(croniter(cron, seconds).get_next(float)) * SECOND_NS
    return next_ns, next_ns + duration_ns
