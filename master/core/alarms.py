"""What time alone gives the leading master to do."""

from enum import IntEnum


class AlarmKind(IntEnum):
    """What is looked at when an alarm rings; the smaller goes first of those of one time."""

    AGENT_SILENT = 1
    AGENT_REMOVAL = 2
    FRAMEWORK_ABSENT = 3
    OFFER_OLD = 4
    REFUSAL_ENDS = 5
    LAUNCH_UNANSWERED = 6
    KILL_UNANSWERED = 7
    UPDATE_UNANSWERED = 8
    ALLOCATION = 9
    ANSWER_UNFINISHED = 10
    LEASE_ENDS = 11
    FRAMEWORK_IDLE = 12
    AGENT_DRAIN = 13
    RESERVATION_ENDS = 14
    BACK_OFF_ENDS = 15
    DEMAND_WAITS = 16
    ABSENCE = 17
    VOLUME_UNANSWERED = 18
    OPERATION_UNANSWERED = 19
    INVERSE = 20
    WINDOW = 21
    RESIZE_UNANSWERED = 22
    VIEWS_DUE = 23
    RECLAIM_DUE = 24
    BOOKING_TURNS = 25
    BOOKINGS_DUE = 26
