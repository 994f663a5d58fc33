"""What is read of spaces: values, names, and what has changed since."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias, TypeVar

from protocol.decision import Refused
from rlog.spaces.changes import find_space
from rlog.spaces.journals import read
from rlog.spaces.messages import (
    Changes,
    DescribeSpace,
    Fetch,
    Fetched,
    Item,
    JournalView,
    LeaseView,
    ListNames,
    Names,
    ReadChanges,
    ReadRecords,
    Records,
    Revision,
    SpaceDescribed,
)
from rlog.spaces.records import Space, SpaceReason, Spaces, new_space, weigh

NAMES_MAX = KEYS_MAX = 1000  # in one answer
THINGS_MAX = 1000  # leases, and journals, in one answer
QUESTIONS = (Fetch, ListNames, ReadChanges, ReadRecords, DescribeSpace)
Question: TypeAlias = Fetch | ListNames | ReadChanges | ReadRecords | DescribeSpace
BYTES_MAX = 512 << 10  # the same by size, beyond the first
BYTES_PER_CHAR = 4  # at most
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SpaceView:
    """A space by its outside."""

    space: str
    owner: str
    revision: int
    keys: int
    size_bytes: int
    leases: int
    journals: int


def view_spaces(spaces: Spaces) -> tuple[SpaceView, ...]:
    """Return all spaces, in the order of their names."""
    return tuple(
        SpaceView(
            space=name,
            owner=space.owner,
            revision=space.revision,
            keys=len(space.items),
            size_bytes=space.size_bytes,
            leases=len(space.leases),
            journals=len(space.journals),
        )
        for name, space in sorted(spaces.by_name.items())
    )


def view(
    spaces: Spaces, request: Question, principal: str
) -> Fetched | Names | Changes | Records | SpaceDescribed | Refused:
    """Return the answer to a question; a space that there is not is empty.

    Refuses: OTHER_OWNER, COMPACTED.
    """
    found = find_space(spaces, request.space, principal)
    if isinstance(found, Refused):
        return found
    space = found or new_space(spaces, principal)
    match request:
        case Fetch():
            return _fetch(space, request)
        case ListNames():
            return _list(space, request)
        case ReadChanges():
            return _read_changes(space, request)
        case ReadRecords():
            return read(space, request)
        case DescribeSpace():
            return _describe(space, request)


def _fetch(space: Space, request: Fetch) -> Fetched:
    """Return as many as an answer holds; the other keys must be asked for again."""
    items: list[Item] = []
    size = considered = 0
    for key in request.keys[:KEYS_MAX]:
        stored = space.items.get(key)
        if stored is not None:
            size += weigh(key, stored.value)
            if items and size > BYTES_MAX:
                break
            items.append(Item(key, stored.value, stored.version, stored.lease))
        considered += 1
    return Fetched(request.call, tuple(items), space.revision, considered)


def _list(space: Space, request: ListNames) -> Names:
    names = sorted(
        key for key in space.items if key.startswith(request.prefix) and key > request.after
    )
    page = tuple(names[:NAMES_MAX])
    return Names(request.call, page, len(names) > NAMES_MAX, space.revision)


def _describe(space: Space, request: DescribeSpace) -> SpaceDescribed:
    leases = [
        LeaseView(name, lease.holder, lease.token, lease.ttl_ns, len(lease.keys))
        for name, lease in sorted(space.leases.items())[:THINGS_MAX]
    ]
    journals = [
        JournalView(name, each.writer, each.epoch, each.first, each.next, len(each.records))
        for name, each in sorted(space.journals.items())[:THINGS_MAX]
    ]
    return SpaceDescribed(
        request.call,
        _fitting(leases, lambda view: len(view.name) + len(view.holder)),
        _fitting(journals, lambda view: len(view.name) + len(view.writer)),
    )


def _fitting(views: Sequence[T], weigh_chars: Callable[[T], int]) -> tuple[T, ...]:
    """Return the first of these: as many as are no more than half an answer."""
    sizes = accumulate(BYTES_PER_CHAR * weigh_chars(view) for view in views)
    return tuple(view for view, size in zip(views, sizes, strict=True) if size <= BYTES_MAX // 2)


def _read_changes(space: Space, request: ReadChanges) -> Changes | Refused:
    """Return whole revisions in order, as many as an answer holds."""
    if request.after < space.compacted:
        text = (
            f"changes up to revision {space.compacted} are not kept; read all and go on from there"
        )
        return Refused(SpaceReason.COMPACTED, text)
    revisions: list[Revision] = []
    size, until = 0, min(request.after, space.revision)
    for each in space.history[request.after - space.compacted :]:
        changes = tuple(c for c in each.changes if c.key.startswith(request.prefix))
        size += sum(weigh(change.key, change.value) for change in changes)
        if revisions and size > BYTES_MAX:
            break
        until = each.number
        if changes:
            revisions.append(Revision(each.number, changes))
    return Changes(request.call, tuple(revisions), until)
