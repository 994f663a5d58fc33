"""What schedulers keep in the log: spaces of keys and leases, each its owner's alone."""

from dataclasses import dataclass
from typing import TypeAlias

from master.core.alarms import AlarmKind
from master.core.draft import Draft, Outcome
from master.core.settings import Settings
from master.core.state import State
from protocol.decision import Decision, Refused
from rlog.spaces import changes, journals, leases
from rlog.spaces.messages import (
    AcquireLease,
    Appended,
    AppendRecords,
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


@dataclass(frozen=True, slots=True)
class ChangeSpace:
    """A principal changes something of a space."""

    principal: str
    change: Change


def decide_change(state: State, command: ChangeSpace, now_ns: int, settings: Settings) -> Outcome:
    """Refuses: what `rlog.spaces` says, under the names of its reasons."""
    match command.change:
        case Transact():
            return _transact(state, command.change, command.principal, settings)
        case AcquireLease():
            return _acquire(state, command, command.change, Draft(now_ns, settings))
        case RenewLease():
            return _renew(state, command, command.change, Draft(now_ns, settings))
        case ReleaseLease():
            ended = leases.decide_release(state.spaces, command.change, command.principal)
            if isinstance(ended, Refused):
                return ended
            draft = Draft(now_ns, settings, events=list(ended))
            return draft.decision(Leased(command.change.call))
        case RemoveSpace():
            removed = leases.decide_remove(state.spaces, command.change, command.principal)
            if isinstance(removed, Refused):
                return removed
            draft = Draft(now_ns, settings, events=list(removed))
            return draft.decision(Transacted(command.change.call))
        case ClaimJournal() | AppendRecords() | TruncateJournal():
            return _journal(state, command.change, command.principal, settings)


def _transact(state: State, call: Transact, principal: str, settings: Settings) -> Outcome:
    found = changes.decide_transact(state.spaces, call, principal, settings.spaces)
    if isinstance(found, Refused):
        return found
    events, revision = found
    draft = Draft(state.now_ns, settings, events=list(events))
    return draft.decision(Transacted(call.call, revision))


def _journal(
    state: State,
    call: ClaimJournal | AppendRecords | TruncateJournal,
    principal: str,
    settings: Settings,
) -> Outcome:
    match call:
        case ClaimJournal():
            claim = journals.decide_claim(state.spaces, call, principal, settings.spaces)
            return claim if isinstance(claim, Refused) else Decision(claim[0], reply=claim[1])
        case AppendRecords():
            found = journals.decide_append(state.spaces, call, principal, settings.spaces)
            if isinstance(found, Refused):
                return found
            return Decision(found[0], reply=Appended(call.call, found[1]))
        case TruncateJournal():
            events = journals.decide_truncate(state.spaces, call, principal)
            if isinstance(events, Refused):
                return events
            return Decision(events, reply=Transacted(call.call))


def _acquire(state: State, command: ChangeSpace, call: AcquireLease, draft: Draft) -> Outcome:
    limits = draft.settings.spaces
    found = leases.decide_acquire(state.spaces, call, command.principal, limits)
    if isinstance(found, Refused):
        return found
    events, token = found
    draft.events.extend(events)
    draft.alarm(AlarmKind.LEASE_ENDS, (call.space, call.name), call.ttl_ns)
    return draft.decision(Leased(call.call, token))


def _renew(state: State, command: ChangeSpace, call: RenewLease, draft: Draft) -> Outcome:
    lease = leases.decide_renew(state.spaces, call, command.principal)
    if isinstance(lease, Refused):
        return lease
    draft.alarm(AlarmKind.LEASE_ENDS, (call.space, call.name), lease.ttl_ns)
    return draft.decision(Leased(call.call, lease.token))


def draft_alarms(draft: Draft, state: State) -> None:
    """Give every lease its whole time anew: nobody could renew while there was no leader."""
    for name, space in state.spaces.by_name.items():
        for lease_name, lease in space.leases.items():
            draft.alarm(AlarmKind.LEASE_ENDS, (name, lease_name), lease.ttl_ns)


def draft_end(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """End a lease that was not renewed; it may have been released before."""
    space = state.spaces.by_name.get(key[0])
    if space is not None and key[1] in space.leases:
        draft.events.append(LeaseEnded(*key))


def apply_opened(state: State, event: SpaceOpened) -> None:
    changes.apply_opened(state.spaces, event)


def apply_changed(state: State, event: SpaceChanged) -> None:
    changes.apply_changed(state.spaces, event)


def apply_removed(state: State, event: SpaceRemoved) -> None:
    leases.apply_removed(state.spaces, event)


def apply_acquired(state: State, event: LeaseAcquired) -> None:
    leases.apply_acquired(state.spaces, event)


def apply_ended(state: State, event: LeaseEnded) -> None:
    leases.apply_ended(state.spaces, event)


def apply_claimed(state: State, event: JournalClaimed) -> None:
    journals.apply_claimed(state.spaces, event)


def apply_appended(state: State, event: RecordsAppended) -> None:
    journals.apply_appended(state.spaces, event)


def apply_truncated(state: State, event: JournalTruncated) -> None:
    journals.apply_truncated(state.spaces, event)
