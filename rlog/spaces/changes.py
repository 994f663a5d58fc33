"""Transactions: conditions and fences that must hold, and changes that then happen together."""

from protocol.decision import Refused
from rlog.spaces.messages import Change, Fence, Revision, SpaceChanged, SpaceOpened, Transact
from rlog.spaces.records import (
    HISTORY_BYTES_MAX,
    HISTORY_MAX,
    Space,
    SpaceLimits,
    SpaceReason,
    Spaces,
    Stored,
    new_space,
    remember,
    weigh,
    weigh_key,
)


def find_space(spaces: Spaces, name: str, principal: str) -> Space | Refused | None:
    """Return a space that the principal owns; None: there is none yet."""
    space = spaces.by_name.get(name)
    if space is not None and space.owner != principal:
        text = f"space {name} is kept by {space.owner or 'nobody in particular'}, not {principal}"
        return Refused(SpaceReason.OTHER_OWNER, text)
    return space


def open_space(
    spaces: Spaces, name: str, principal: str, limits: SpaceLimits
) -> tuple[SpaceOpened, ...] | Refused:
    """Return what makes the space be there, for this principal.

    Refuses: BAD_NAME, OTHER_OWNER, TOO_MANY.
    """
    if refused := check_name("space", name, limits):
        return refused
    found = find_space(spaces, name, principal)
    if isinstance(found, Refused):
        return found
    if found is not None:
        return ()
    count = sum(space.owner == principal for space in spaces.by_name.values())
    if count >= limits.spaces_max:
        text = f"{principal or 'everybody'} has {count} spaces, at most {limits.spaces_max}"
        return Refused(SpaceReason.TOO_MANY, text)
    return (SpaceOpened(name, principal),)


def decide_transact(
    spaces: Spaces, call: Transact, principal: str, limits: SpaceLimits
) -> tuple[tuple[SpaceOpened | SpaceChanged, ...], int] | Refused:
    """Return the events and the revision that all changes then have, or why none of it happens.

    Refuses: BAD_NAME, OTHER_OWNER, TOO_MANY, CONFLICT, FENCED, OVER_QUOTA.
    """
    opened = open_space(spaces, call.space, principal, limits)
    if isinstance(opened, Refused):
        return opened
    space = spaces.by_name.get(call.space) or new_space(spaces, principal)
    if call.token and call.token in space.tokens:
        return (), space.tokens[call.token]
    weight = _weigh_all(call.changes)
    refused = (
        _check_shape(call, weight, limits)
        or check_fences(space, call.fences)
        or _check_conditions(space, call)
        or _check_leases(space, call)
        or _check_quota(space, call, weight, limits)
    )
    if refused:
        return refused
    if not call.changes:
        return (), space.revision
    return (*opened, SpaceChanged(call.space, call.token, call.changes)), space.revision + 1


def apply_opened(spaces: Spaces, event: SpaceOpened) -> None:
    spaces.by_name[event.space] = new_space(spaces, event.owner)


def apply_changed(spaces: Spaces, event: SpaceChanged) -> None:
    space = spaces.by_name[event.space]
    change_space(space, event.changes)
    remember(space, event.token, space.revision)


def change_space(space: Space, changes: tuple[Change, ...]) -> None:
    """Make one revision of these changes."""
    space.revision += 1
    items, revision = space.items, space.revision
    weight = 0  # of all, as the history counts them
    for change in changes:
        key, value = change.key, change.value
        of_key = weigh_key(key)
        weight += of_key + len(value)
        stored = items.pop(key, None)
        if stored is not None:
            space.size_bytes -= of_key + len(stored.value)
            if stored.lease:
                space.leases[stored.lease].keys.pop(key, None)
        if not change.is_expunged:
            items[key] = Stored(value, revision, change.lease)
            space.size_bytes += of_key + len(value)
            if change.lease:
                space.leases[change.lease].keys[key] = None
    _remember(space, changes, weight)


def _remember(space: Space, changes: tuple[Change, ...], weight: int) -> None:
    space.history.append(Revision(space.revision, changes))
    space.history_bytes += weight
    while len(space.history) > HISTORY_MAX or space.history_bytes > HISTORY_BYTES_MAX:
        oldest = space.history.pop(0)
        space.compacted = oldest.number
        space.history_bytes -= _weigh_all(oldest.changes)


def _weigh_all(changes: tuple[Change, ...]) -> int:
    return sum(weigh(change.key, change.value) for change in changes)


def check_name(what: str, name: str, limits: SpaceLimits) -> Refused | None:
    """Refuse names that are empty, too long, or could not be shown."""
    if 0 < len(name) <= limits.name_chars_max and name.isprintable():
        return None
    text = f"{what} {name[:64]!r} must have 1 to {limits.name_chars_max} printable characters"
    return Refused(SpaceReason.BAD_NAME, text)


def _check_shape(call: Transact, weight: int, limits: SpaceLimits) -> Refused | None:
    parts = max(len(call.changes), len(call.conditions), len(call.fences))
    if parts > limits.changes_max:
        text = f"{parts} changes or conditions at once, at most {limits.changes_max}"
        return Refused(SpaceReason.TOO_MANY, text)
    if len(call.token) > limits.name_chars_max:
        return check_name("token", call.token, limits)
    keys: dict[str, None] = {}
    for change in call.changes:
        key = change.key
        if refused := check_name("key", key, limits):
            return refused
        if key in keys:
            return Refused(SpaceReason.CONFLICT, f"key {key} is changed twice at once")
        keys[key] = None
        if len(change.value) > limits.value_bytes_max:
            text = f"{key}: {len(change.value)} bytes, at most {limits.value_bytes_max}"
            return Refused(SpaceReason.OVER_QUOTA, text)
    if weight > limits.transaction_bytes_max:
        text = f"{weight} bytes at once, at most {limits.transaction_bytes_max}"
        return Refused(SpaceReason.OVER_QUOTA, text)
    return None


def check_fences(space: Space, fences: tuple[Fence, ...]) -> Refused | None:
    """Refuse unless all these leases are held under these tokens."""
    for fence in fences:
        lease = space.leases.get(fence.lease)
        if lease is None or lease.token != fence.token:
            return fenced(fence.lease, fence.token)
    return None


def fenced(lease: str, token: int) -> Refused:
    """Refuse who once held a lease."""
    return Refused(SpaceReason.FENCED, f"lease {lease[:64]} is not held under token {token}")


def _check_conditions(space: Space, call: Transact) -> Refused | None:
    for condition in call.conditions:
        stored = space.items.get(condition.key)
        version = stored.version if stored else 0
        if version != condition.version:
            text = f"{condition.key[:64]} has version {version}, not {condition.version}"
            return Refused(SpaceReason.CONFLICT, text)
    return None


def _check_leases(space: Space, call: Transact) -> Refused | None:
    for change in call.changes:
        if change.lease and change.lease not in space.leases:
            return Refused(SpaceReason.FENCED, f"nobody holds lease {change.lease[:64]}")
    return None


def _check_quota(space: Space, call: Transact, weight: int, limits: SpaceLimits) -> Refused | None:
    keys, size = len(space.items), space.size_bytes
    if keys + len(call.changes) <= limits.keys_max and size + weight <= limits.bytes_max:
        return None  # even if every key were new
    for change in call.changes:
        stored = space.items.get(change.key)
        if stored is not None:
            keys, size = keys - 1, size - weigh(change.key, stored.value)
        if not change.is_expunged:
            keys, size = keys + 1, size + weigh(change.key, change.value)
    is_growing = keys > len(space.items) or size > space.size_bytes
    if is_growing and keys > limits.keys_max:
        text = f"space {call.space} would have {keys} keys, at most {limits.keys_max}"
        return Refused(SpaceReason.OVER_QUOTA, text)
    if is_growing and size > limits.bytes_max:
        text = f"space {call.space} would have {size} bytes, at most {limits.bytes_max}"
        return Refused(SpaceReason.OVER_QUOTA, text)
    return None
