"""Versions of what a log holds: what an entry asks of its reader, and whether everybody is there.

A machine's version is the newest that its program writes and reads. Version 1 has no mark. An entry
is of the lowest version that understands all of it, and a log of the highest of its entries.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from protocol.errors import NewerLog

FIRST, VERSION_MAX = 1, 127  # a byte; what follows is left for other marks
MARK = b"\xa8"  # begins a payload of a later version; no encoding of version 1 begins so

Since: TypeAlias = Mapping[type, Callable[[Any], int]]  # the version that an event needs, if not 1


class Slowest(NamedTuple):
    """The member that knows the lowest version; 0: it was not heard of yet."""

    name: str
    version: int


def nobody() -> Slowest:
    """Return that there is no other member."""
    return Slowest("", VERSION_MAX)


def needed_by(events: Iterable[object], since: Since) -> int:
    """Return the lowest version that understands all of these events."""
    if not since:
        return FIRST
    return max((since[type(e)](e) for e in events if type(e) in since), default=FIRST)


def mark(content: bytes, version: int) -> bytes:
    """Return the payload that says which version it is of."""
    return content if version == FIRST else MARK + bytes((version,)) + content


def unmark(payload: bytes, known: int) -> bytes:
    """Return what was marked. Raises: NewerLog when it is of a version that is not known here."""
    if not payload.startswith(MARK):
        return payload
    check_version(payload[1], known, "an entry")
    return payload[2:]


def check_version(version: int, known: int, what: str) -> None:
    """Raises: NewerLog when something of this version cannot be understood here."""
    if version > known:
        raise NewerLog(
            f"{what} of the log is of version {version}, and this program knows versions up to "
            f"{known}: it is older than what wrote the log; start the newer one"
        )


def object_to(needed: int, of_log: int, slowest: Slowest) -> str:
    """Return why nothing that needs a version may be written yet; empty when it may.

    What a log holds already, its members understand or have stopped at.
    """
    if needed <= max(of_log, slowest.version):
        return ""
    if slowest.version == 0:
        return (
            f"this needs version {needed} of the log, and {slowest.name} was not heard of since "
            f"this leader started; start or remove {slowest.name}"
        )
    return (
        f"this needs version {needed} of the log, and {slowest.name} knows versions up to "
        f"{slowest.version}; upgrade {slowest.name} first"
    )
