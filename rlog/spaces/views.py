"""What is read of spaces: values, names, and what has changed since."""

from dataclasses import dataclass
from typing import TypeAlias

from protocol.decision import Refused
from rlog.spaces.changes import find_space
from rlog.spaces.journals import read
from rlog.spaces.messages import (
    Changes,
    Fetch,
    Fetched,
    Item,
    ListNames,
    Names,
    ReadChanges,
    ReadRecords,
    Records,
    Revision,
)
from rlog.spaces.records import Space, SpaceReason, Spaces, new_space, weigh

NAMES_MAX = KEYS_MAX = 1000  # in one answer
QUESTIONS = (Fetch, ListNames, ReadChanges, ReadRecords)
Question: TypeAlias = Fetch | ListNames | ReadChanges | ReadRecords
BYTES_MAX = 512 << 10  # the same by size, beyond the first


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
) -> Fetched | Names | Changes | Records | Refused:
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
