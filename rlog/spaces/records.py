"""What spaces are made of, and how much of each there may be."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice

from rlog.spaces.messages import Revision

SECOND_NS = 1_000_000_000


class SpaceReason(IntEnum):
    """Why a space says no: the names that callers see."""

    BAD_NAME = 1
    BAD_DURATION = 2
    OTHER_OWNER = 3
    CONFLICT = 4  # a key has another version than the condition says
    FENCED = 5  # the lease ended, or is held under another token
    HELD = 6  # the lease is somebody else's
    OVER_QUOTA = 7
    TOO_MANY = 8
    COMPACTED = 9  # changes that long ago are not kept
    UNKNOWN_SPACE = 10
    WRONG_POSITION = 11  # a journal goes on elsewhere, or ends before
    UPGRADE_UNFINISHED = 12  # not all members would understand what it writes


@dataclass(frozen=True, slots=True)
class SpaceLimits:
    """Bounds of spaces; they may differ between leaders, so `apply` never sees them."""

    spaces_max: int = 1000  # of one owner
    keys_max: int = 10_000
    bytes_max: int = 16 << 20  # of a space's keys, values and records
    value_bytes_max: int = 256 << 10  # a transaction is an entry of the log: at most 896 KiB
    transaction_bytes_max: int = 512 << 10
    changes_max: int = 256  # of one transaction, and as many conditions
    name_chars_max: int = 512  # of a space, a key, a lease
    leases_max: int = 100
    journals_max: int = 100
    records_max: int = 1024  # of one append
    ttl_ns_min: int = SECOND_NS // 10  # a round trip and an fsync must fit in many times
    ttl_ns_max: int = 86_400 * SECOND_NS


# What is remembered for callers who ask again; the same on every replica, so no setting.
# A caller asks again for 10 s, in which a principal may ask 2,000 times a second after a burst of
# 4,000: a token that is forgotten earlier would let a request happen twice. Many are forgotten at
# once, since the first key of a dict is found past all that were deleted before it.
TOKENS_MAX = 25_000
TOKENS_FORGOTTEN = 1_000
HISTORY_MAX = 1000
HISTORY_BYTES_MAX = 1 << 20


@dataclass(slots=True)
class Stored:
    """One key's value; its version is the revision that wrote it."""

    value: bytes
    version: int
    lease: str = ""


@dataclass(slots=True)
class Lease:
    """Held until it ends; its token is a revision, so a later holder's is higher."""

    holder: str
    token: int
    ttl_ns: int
    keys: dict[str, None] = field(default_factory=dict)  # expunged when it ends


@dataclass(slots=True)
class Journal:
    """Records by position; those before `first` were truncated."""

    epoch: int = 0  # the revision of the newest claim: only its writer may append
    writer: str = ""
    first: int = 1
    next: int = 1
    records: dict[int, bytes] = field(default_factory=dict)
    gaps: list[tuple[int, int]] = field(default_factory=list)  # first and one past the last


@dataclass(slots=True)
class Space:
    """What one owner keeps under one name."""

    owner: str
    revision: int = 0  # counts what changed; never reused
    items: dict[str, Stored] = field(default_factory=dict)
    size_bytes: int = 0
    leases: dict[str, Lease] = field(default_factory=dict)
    journals: dict[str, Journal] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)  # what was answered, oldest first
    history: list[Revision] = field(default_factory=list)  # all after `compacted`
    history_bytes: int = 0
    compacted: int = 0  # the last revision that the history does not hold any more


@dataclass(slots=True)
class Spaces:
    """All spaces by name."""

    by_name: dict[str, Space] = field(default_factory=dict)
    floor: int = 0  # no space begins below: revisions of one that was removed are not reused


def new_space(spaces: Spaces, owner: str) -> Space:
    """Return an empty space that begins above every revision of those that are gone."""
    return Space(owner, revision=spaces.floor, compacted=spaces.floor)


def skip_revisions(spaces: Spaces, count: int) -> None:
    """Leave out revisions that a lost log may have given; what was watched must be read anew."""
    spaces.floor += count
    for space in spaces.by_name.values():
        space.revision += count
        space.compacted = space.revision
        space.history.clear()
        space.history_bytes = 0
        for journal in space.journals.values():
            _skip_positions(journal, count)


def _skip_positions(journal: Journal, count: int) -> None:
    """Leave a gap where the lost log may have had records, and none where there is one already."""
    begin, journal.next = journal.next, journal.next + count
    if begin == journal.first:
        journal.first = journal.next
    elif journal.gaps and journal.gaps[-1][1] == begin:
        journal.gaps[-1] = (journal.gaps[-1][0], journal.next)
    elif count:
        journal.gaps.append((begin, journal.next))


def remember(space: Space, token: str, answer: int) -> None:
    """Know a request again when it is repeated."""
    if not token:
        return
    space.tokens[token] = answer
    if len(space.tokens) > TOKENS_MAX:
        for oldest in tuple(islice(space.tokens, TOKENS_FORGOTTEN)):
            del space.tokens[oldest]


RECORD_BYTES = 64  # what a record counts for beside its content: even empty ones end


def weigh_record(record: bytes) -> int:
    """Return what a record counts for in its space."""
    return RECORD_BYTES + len(record)


def weigh_records(records: Sequence[bytes]) -> int:
    """Return what records count for together."""
    return RECORD_BYTES * len(records) + sum(map(len, records))


def weigh(key: str, value: bytes) -> int:
    """Return what a key counts for in its space with its value."""
    return weigh_key(key) + len(value)


def weigh_key(key: str) -> int:
    """Return what a key counts for in its space by itself: its bytes."""
    return len(key) if key.isascii() else len(key.encode())
