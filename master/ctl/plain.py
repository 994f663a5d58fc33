"""Any record of the log as plain JSON values: the schema's names, resources as people read them."""

import dataclasses
import re
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from master.ctl.objects import plain_resources
from master.ctl.target import MisuseError
from protocol.resources import Resources

SECOND_NS = 1_000_000_000
EPOCH = datetime.fromtimestamp(0, UTC)
FRACTION = re.compile(r"[.,](\d+)")


def plain(value: Any) -> Any:
    """Return a record and all it holds as dicts, lists, text and numbers."""
    if isinstance(value, Resources):
        return plain_resources(value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return value


def format_time(stamp_ns: int) -> str:
    """Return a wall time as ISO 8601 in UTC, to the microsecond."""
    seconds, rest_ns = divmod(stamp_ns, SECOND_NS)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(option: str, text: str, *, is_last: bool = False) -> int:
    """Return the wall time in ns that an option names as ISO 8601.

    `is_last`: the last ns of what a time with a fraction stands for, so that an event is within
    the time that was printed of it.
    Raises: MisuseError.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MisuseError(
            f"{option}: {text!r} is neither an entry nor a time such as 2026-01-31T12:00:00Z"
        ) from None
    since = moment.astimezone(UTC) - EPOCH
    stamp_ns = (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1000
    fraction = FRACTION.search(text)
    if is_last and fraction is not None:
        stamp_ns += max(1000, 10 ** (9 - len(fraction[1]))) - 1
    return stamp_ns
