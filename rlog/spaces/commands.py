"""What changes spaces: requests decided and events folded, for any machine that holds some."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from protocol.decision import Decision, Refused
from rlog.spaces import changes, journals, leases
from rlog.spaces.messages import (
    AcquireLease,
    Appended,
    AppendRecords,
    Claimed,
    ClaimJournal,
    JournalClaimed,
    JournalTruncated,
    LeaseAcquired,
    Leased,
    LeaseEnded,
    RecordsAppended,
    ReleaseLease,
    RemoveSpace,
    RenewLease,
    SpaceChanged,
    SpaceOpened,
    SpaceRemoved,
    Transact,
    Transacted,
    TruncateJournal,
)
from rlog.spaces.records import SpaceLimits, Spaces

Change: TypeAlias = (
    Transact
    | AcquireLease
    | RenewLease
    | ReleaseLease
    | RemoveSpace
    | ClaimJournal
    | AppendRecords
    | TruncateJournal
)
SpaceEvent: TypeAlias = (
    SpaceOpened
    | SpaceChanged
    | SpaceRemoved
    | LeaseAcquired
    | LeaseEnded
    | JournalClaimed
    | RecordsAppended
    | JournalTruncated
)
SpaceReply: TypeAlias = Transacted | Leased | Claimed | Appended


@dataclass(frozen=True, slots=True)
class ChangeSpace:
    """A principal changes something of a space."""

    principal: str
    change: Change


@dataclass(frozen=True, slots=True)
class LeaseRuns:
    """Soft: the lease ends at this time, unless this is said of it again."""

    space: str
    name: str
    until_ns: int


@dataclass(frozen=True, slots=True)
class SpaceTouched:
    """Effect: something of a space has changed, as those who wait for it want to know."""

    space: str


SpaceOutcome: TypeAlias = Decision[SpaceEvent, SpaceTouched, SpaceReply] | Refused


def decide(spaces: Spaces, command: ChangeSpace, now_ns: int, limits: SpaceLimits) -> SpaceOutcome:
    """Refuses: what the requests say, under the names of `SpaceReason`."""
    outcome = _decide(spaces, command, now_ns, limits)
    if isinstance(outcome, Refused) or not outcome.events:
        return outcome
    return replace(outcome, effects=(SpaceTouched(command.change.space),))


def _decide(spaces: Spaces, command: ChangeSpace, now_ns: int, limits: SpaceLimits) -> SpaceOutcome:
    call, principal = command.change, command.principal
    match call:
        case Transact():
            changed = changes.decide_transact(spaces, call, principal, limits)
            if isinstance(changed, Refused):
                return changed
            return Decision(changed[0], reply=Transacted(call.call, changed[1]))
        case AcquireLease() | RenewLease() | ReleaseLease():
            return _decide_lease(spaces, call, principal, now_ns, limits)
        case RemoveSpace():
            removed = leases.decide_remove(spaces, call, principal)
            if isinstance(removed, Refused):
                return removed
            return Decision(removed, reply=Transacted(call.call))
        case ClaimJournal() | AppendRecords() | TruncateJournal():
            return _decide_journal(spaces, call, principal, limits)


def _decide_lease(
    spaces: Spaces,
    call: AcquireLease | RenewLease | ReleaseLease,
    principal: str,
    now_ns: int,
    limits: SpaceLimits,
) -> SpaceOutcome:
    match call:
        case AcquireLease():
            acquired = leases.decide_acquire(spaces, call, principal, limits)
            if isinstance(acquired, Refused):
                return acquired
            runs = LeaseRuns(call.space, call.name, now_ns + call.ttl_ns)
            return Decision(acquired[0], (runs,), reply=Leased(call.call, acquired[1]))
        case RenewLease():
            lease = leases.decide_renew(spaces, call, principal)
            if isinstance(lease, Refused):
                return lease
            runs = LeaseRuns(call.space, call.name, now_ns + lease.ttl_ns)
            return Decision((), (runs,), reply=Leased(call.call, lease.token))
        case ReleaseLease():
            ended = leases.decide_release(spaces, call, principal)
            if isinstance(ended, Refused):
                return ended
            return Decision(ended, reply=Leased(call.call))


def _decide_journal(
    spaces: Spaces,
    call: ClaimJournal | AppendRecords | TruncateJournal,
    principal: str,
    limits: SpaceLimits,
) -> SpaceOutcome:
    match call:
        case ClaimJournal():
            claim = journals.decide_claim(spaces, call, principal, limits)
            return claim if isinstance(claim, Refused) else Decision(claim[0], reply=claim[1])
        case AppendRecords():
            appended = journals.decide_append(spaces, call, principal, limits)
            if isinstance(appended, Refused):
                return appended
            return Decision(appended[0], reply=Appended(call.call, appended[1]))
        case TruncateJournal():
            truncated = journals.decide_truncate(spaces, call, principal)
            if isinstance(truncated, Refused):
                return truncated
            return Decision(truncated, reply=Transacted(call.call))


def run_leases(spaces: Spaces, now_ns: int) -> Iterator[LeaseRuns]:
    """Give every lease its whole time anew: nobody could renew while there was no leader."""
    for name, space in spaces.by_name.items():
        for lease_name, lease in space.leases.items():
            yield LeaseRuns(name, lease_name, now_ns + lease.ttl_ns)


def end_lease(spaces: Spaces, key: tuple[str, ...]) -> tuple[LeaseEnded, ...]:
    """End a lease that was not renewed; it may have been released before."""
    name, lease_name = key
    space = spaces.by_name.get(name)
    return (LeaseEnded(name, lease_name),) if space and lease_name in space.leases else ()


APPLY: dict[type, Callable[[Spaces, Any], None]] = {
    SpaceOpened: changes.apply_opened,
    SpaceChanged: changes.apply_changed,
    SpaceRemoved: leases.apply_removed,
    LeaseAcquired: leases.apply_acquired,
    LeaseEnded: leases.apply_ended,
    JournalClaimed: journals.apply_claimed,
    RecordsAppended: journals.apply_appended,
    JournalTruncated: journals.apply_truncated,
}


def apply(spaces: Spaces, event: SpaceEvent) -> None:
    """Fold one event."""
    APPLY[type(event)](spaces, event)
