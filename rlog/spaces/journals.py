"""Journals: records in order, appended by one writer at a time, read from any position."""

from itertools import takewhile

from protocol.decision import Refused
from rlog.spaces.changes import change_space, check_fences, check_name, find_space, open_space
from rlog.spaces.messages import (
    AppendRecords,
    Claimed,
    ClaimJournal,
    JournalClaimed,
    JournalTruncated,
    ReadRecords,
    Records,
    RecordsAppended,
    SpaceOpened,
    TruncateJournal,
)
from rlog.spaces.records import (
    Journal,
    Space,
    SpaceLimits,
    SpaceReason,
    Spaces,
    new_space,
    remember,
    weigh_record,
    weigh_records,
)

BYTES_MAX = 512 << 10  # of records in one answer, beyond the first


def decide_claim(
    spaces: Spaces, call: ClaimJournal, principal: str, limits: SpaceLimits
) -> tuple[tuple[SpaceOpened | JournalClaimed, ...], Claimed] | Refused:
    """Make the caller the journal's writer: whoever was it before is fenced from now on.

    Refuses: BAD_NAME, OTHER_OWNER, TOO_MANY.
    """
    opened = open_space(spaces, call.space, principal, limits)
    if isinstance(opened, Refused):
        return opened
    if refused := check_name("journal", call.name, limits) or _check_token(call.token, limits):
        return refused
    if refused := check_name("writer", call.writer, limits):
        return refused
    space = spaces.by_name.get(call.space) or new_space(spaces, principal)
    journal = space.journals.get(call.name) or Journal()
    if call.token and call.token in space.tokens:
        return (), Claimed(call.call, space.tokens[call.token], journal.next)
    if call.name not in space.journals and len(space.journals) >= limits.journals_max:
        count = len(space.journals)
        text = f"space {call.space} has {count} journals, at most {limits.journals_max}"
        return Refused(SpaceReason.TOO_MANY, text)
    claimed = JournalClaimed(call.space, call.name, call.writer, call.token)
    return (*opened, claimed), Claimed(call.call, space.revision + 1, journal.next)


def decide_append(
    spaces: Spaces, call: AppendRecords, principal: str, limits: SpaceLimits
) -> tuple[tuple[RecordsAppended, ...], int] | Refused:
    """Return the events and the position of the last record.

    Refuses: OTHER_OWNER, FENCED, WRONG_POSITION, TOO_MANY, OVER_QUOTA.
    """
    space = find_space(spaces, call.space, principal)
    if isinstance(space, Refused):
        return space
    if space is not None and call.token and call.token in space.tokens:
        return (), space.tokens[call.token]
    journal = _find_written(space, call)
    if isinstance(journal, Refused):
        return journal
    assert space is not None
    refused = (
        _check_token(call.token, limits)
        or check_fences(space, call.fences[: limits.changes_max + 1])
        or _check_size(space, call, limits)
    )
    if refused:
        return refused
    if call.position not in (0, journal.next):
        text = f"journal {call.name} goes on at position {journal.next}, not {call.position}"
        return Refused(SpaceReason.WRONG_POSITION, text)
    if not call.records:
        return (), journal.next - 1
    appended = RecordsAppended(call.space, call.name, call.token, call.records)
    return (appended,), journal.next - 1 + len(call.records)


def decide_truncate(
    spaces: Spaces, call: TruncateJournal, principal: str
) -> tuple[JournalTruncated, ...] | Refused:
    """Drop all records before a position; nothing to do when they are gone already.

    Refuses: OTHER_OWNER, FENCED, WRONG_POSITION.
    """
    space = find_space(spaces, call.space, principal)
    if isinstance(space, Refused):
        return space
    journal = _find_written(space, call)
    if isinstance(journal, Refused):
        return journal
    if call.first > journal.next:
        text = f"journal {call.name} goes on at {journal.next}; it cannot begin at {call.first}"
        return Refused(SpaceReason.WRONG_POSITION, text)
    is_news = call.first > journal.first
    return (JournalTruncated(call.space, call.name, call.first),) if is_news else ()


def read(space: Space, request: ReadRecords) -> Records | Refused:
    """Return as many records as an answer holds, all of them next to each other.

    `position` is that of the first of them: a log restored from a backup may have left some out.
    """
    journal = space.journals.get(request.name) or Journal()
    begin = request.position or journal.first
    if begin < journal.first:
        text = f"records before position {journal.first} were truncated; read from there"
        return Refused(SpaceReason.COMPACTED, text)
    end = journal.next
    for gap_begin, gap_end in journal.gaps:
        if gap_begin <= begin < gap_end:
            begin = gap_end
        elif begin < gap_begin:
            end = gap_begin
            break
    found: list[bytes] = []
    size = 0
    for position in range(begin, end):
        size += weigh_record(journal.records[position])
        if found and size > BYTES_MAX:
            break
        found.append(journal.records[position])
    bounds = (journal.first, journal.next, journal.epoch)
    return Records(request.call, begin, tuple(found), *bounds)


def apply_claimed(spaces: Spaces, event: JournalClaimed) -> None:
    space = spaces.by_name[event.space]
    change_space(space, ())
    journal = space.journals.setdefault(event.name, Journal())
    journal.epoch, journal.writer = space.revision, event.writer
    remember(space, event.token, space.revision)


def apply_appended(spaces: Spaces, event: RecordsAppended) -> None:
    space = spaces.by_name[event.space]
    journal = space.journals[event.name]
    journal.records.update(enumerate(event.records, journal.next))
    journal.next += len(event.records)
    space.size_bytes += weigh_records(event.records)
    remember(space, event.token, journal.next - 1)


def apply_truncated(spaces: Spaces, event: JournalTruncated) -> None:
    space = spaces.by_name[event.space]
    journal = space.journals[event.name]
    gone = tuple(takewhile(event.first.__gt__, journal.records))
    space.size_bytes -= weigh_records([journal.records.pop(position) for position in gone])
    journal.first = event.first
    journal.gaps = [(max(b, event.first), e) for b, e in journal.gaps if e > event.first]
    if journal.gaps and journal.gaps[0][0] == journal.first:
        journal.first = journal.gaps.pop(0)[1]


def _find_written(space: Space | None, call: AppendRecords | TruncateJournal) -> Journal | Refused:
    journal = space.journals.get(call.name) if space else None
    if journal is None or journal.epoch != call.epoch:
        writer = f"; {journal.writer} claimed it under {journal.epoch}" if journal else ""
        text = f"journal {call.name[:64]} is not written under epoch {call.epoch}{writer}"
        return Refused(SpaceReason.FENCED, text)
    return journal


def _check_token(token: str, limits: SpaceLimits) -> Refused | None:
    return check_name("token", token, limits) if token else None


def _check_size(space: Space, call: AppendRecords, limits: SpaceLimits) -> Refused | None:
    if len(call.records) > limits.records_max:
        text = f"{len(call.records)} records at once, at most {limits.records_max}"
        return Refused(SpaceReason.TOO_MANY, text)
    largest = max(map(len, call.records), default=0)
    if largest > limits.value_bytes_max:
        text = f"a record of {largest} bytes, at most {limits.value_bytes_max}"
        return Refused(SpaceReason.OVER_QUOTA, text)
    weight = weigh_records(call.records)
    if weight > limits.transaction_bytes_max:
        text = f"{weight} bytes at once, at most {limits.transaction_bytes_max}"
        return Refused(SpaceReason.OVER_QUOTA, text)
    if weight and space.size_bytes + weight > limits.bytes_max:
        size = space.size_bytes + weight
        text = f"space {call.space} would have {size} bytes, at most {limits.bytes_max}: truncate"
        return Refused(SpaceReason.OVER_QUOTA, text)
    return None
