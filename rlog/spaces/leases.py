"""Leases: who holds a name for a while, under a token that tells later holders from earlier."""

from protocol.decision import Refused
from rlog.spaces.changes import change_space, check_name, fenced, find_space, open_space
from rlog.spaces.messages import (
    AcquireLease,
    Change,
    LeaseAcquired,
    LeaseEnded,
    ReleaseLease,
    RemoveSpace,
    RenewLease,
    SpaceOpened,
    SpaceRemoved,
)
from rlog.spaces.records import Lease, SpaceLimits, SpaceReason, Spaces, new_space


def decide_acquire(
    spaces: Spaces, call: AcquireLease, principal: str, limits: SpaceLimits
) -> tuple[tuple[SpaceOpened | LeaseAcquired, ...], int] | Refused:
    """Return the events and the token; who holds it already, under the same name, is renewed.

    Refuses: BAD_NAME, BAD_DURATION, OTHER_OWNER, HELD, TOO_MANY.
    """
    opened = open_space(spaces, call.space, principal, limits)
    if isinstance(opened, Refused):
        return opened
    for what, name in (("lease", call.name), ("holder", call.holder)):
        if refused := check_name(what, name, limits):
            return refused
    if not limits.ttl_ns_min <= call.ttl_ns <= limits.ttl_ns_max:
        text = f"{call.ttl_ns} ns to live, {limits.ttl_ns_min} to {limits.ttl_ns_max} are allowed"
        return Refused(SpaceReason.BAD_DURATION, text)
    space = spaces.by_name.get(call.space) or new_space(spaces, principal)
    lease = space.leases.get(call.name)
    if lease is not None and lease.holder != call.holder:
        return Refused(SpaceReason.HELD, f"lease {call.name} is held by {lease.holder}")
    if lease is not None and lease.ttl_ns == call.ttl_ns:
        return (), lease.token
    if lease is None and len(space.leases) >= limits.leases_max:
        text = f"space {call.space} has {len(space.leases)} leases, at most {limits.leases_max}"
        return Refused(SpaceReason.TOO_MANY, text)
    token = space.revision + 1 if lease is None else lease.token
    acquired = LeaseAcquired(call.space, call.name, call.holder, call.ttl_ns)
    return (*opened, acquired), token


def decide_renew(spaces: Spaces, call: RenewLease, principal: str) -> Lease | Refused:
    """Return the lease that goes on. Refuses: OTHER_OWNER, FENCED."""
    return _find_held(spaces, call, principal)


def decide_release(
    spaces: Spaces, call: ReleaseLease, principal: str
) -> tuple[LeaseEnded, ...] | Refused:
    """End a lease. Refuses: OTHER_OWNER, FENCED when it has ended."""
    lease = _find_held(spaces, call, principal)
    return lease if isinstance(lease, Refused) else (LeaseEnded(call.space, call.name),)


def decide_remove(
    spaces: Spaces, call: RemoveSpace, principal: str
) -> tuple[SpaceRemoved, ...] | Refused:
    """Remove a space with all that is in it. Refuses: UNKNOWN_SPACE, OTHER_OWNER."""
    found = find_space(spaces, call.space, principal)
    if isinstance(found, Refused):
        return found
    if found is None:
        return Refused(SpaceReason.UNKNOWN_SPACE, f"there is no space {call.space[:64]!r}")
    return (SpaceRemoved(call.space),)


def apply_acquired(spaces: Spaces, event: LeaseAcquired) -> None:
    space = spaces.by_name[event.space]
    lease = space.leases.get(event.name)
    if lease is not None:
        lease.ttl_ns = event.ttl_ns
        return
    change_space(space, ())
    space.leases[event.name] = Lease(event.holder, space.revision, event.ttl_ns)


def apply_ended(spaces: Spaces, event: LeaseEnded) -> None:
    space = spaces.by_name[event.space]
    keys = tuple(space.leases[event.name].keys)
    change_space(space, tuple(Change(key, is_expunged=True) for key in keys))
    del space.leases[event.name]


def apply_removed(spaces: Spaces, event: SpaceRemoved) -> None:
    space = spaces.by_name.pop(event.space)
    spaces.floor = max(spaces.floor, space.revision)


def _find_held(spaces: Spaces, call: RenewLease | ReleaseLease, principal: str) -> Lease | Refused:
    space = find_space(spaces, call.space, principal)
    if isinstance(space, Refused):
        return space
    lease = space.leases.get(call.name) if space else None
    if lease is None or lease.token != call.token:
        return fenced(call.name, call.token)
    return lease
