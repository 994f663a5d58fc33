"""Why the master says no: the names that callers see in refusals."""

from enum import IntEnum


class Reason(IntEnum):
    """Each is the name on the wire; the text beside it names thing, value and limit."""

    BAD_ID = 1
    BAD_NAME = 2
    BAD_ROLE = 3
    BAD_RESOURCES = 4
    BAD_COMMAND = 5
    BAD_DESCRIPTION = 6
    BAD_DURATION = 7
    BAD_WEIGHT = 8
    TOO_MANY = 9
    UNKNOWN_FRAMEWORK = 10
    FRAMEWORK_REMOVED = 11
    OTHER_PRINCIPAL = 12
    NOT_ITS_ROLE = 13
    UNKNOWN_OFFER = 14
    FOREIGN_OFFER = 15
    REPEATED_OFFER = 16
    MIXED_OFFERS = 17
    NO_OFFERS = 18
    OVER_CLAIMED = 19
    DUPLICATE_TASK = 20
    UNKNOWN_TASK = 21
    TASK_ENDED = 22
    AGENT_NOT_LINKED = 23
    RESOURCES_IN_USE = 24
    REPLACED = 25  # said to the older of two schedulers with one framework id
    TORN_DOWN = 26  # said to a scheduler whose framework was ended by an operator
    QUOTA_BROKEN = 27  # it contradicts itself, or the quotas above or below
    QUOTA_OVERCOMMITS = 28
    QUOTA_EXCEEDED = 29
    UNKNOWN_AGENT = 30
    AGENT_GONE = 31  # said to agents that return, too: they end their tasks
    AGENT_CONNECTED = 32
    AGENT_DRAINING = 33
    AGENT_UNREACHABLE = 34
    UNKNOWN_RESERVATION = 35
    STATIC_RESERVATION = 36  # only the agent's configuration changes it
    OTHER_RESERVATION = 37  # the name is taken, for other terms
    RESERVATION_ENDING = 38
    UNKNOWN_VOLUME = 39
    DUPLICATE_VOLUME = 40
    VOLUME_IN_USE = 41
    VOLUME_BUSY = 42  # its agent has not confirmed the change before
    DUPLICATE_OPERATION = 43
    OFFER_TAKEN = 44  # it was shared, and another framework accepted first
    BAD_POLICY = 45
    WINDOW_EXISTS = 46
    UNKNOWN_WINDOW = 47
    AGENT_IN_WINDOW = 48
    NOT_RUNNING = 49
    UPGRADE_UNFINISHED = 50  # not all masters would understand what it writes
    RESIZE_UNDERWAY = 51
    AGENT_TOO_OLD = 52
    NOT_OPEN = 54  # the role is offered resources, it makes no transactions
    AGENT_CHANGED = 55  # since the transaction was planned
    MAY_STILL_RUN = 53  # what a task replaces; at most one of them runs
    UNKNOWN_BOOKING = 56
    BAD_BOOKING = 57
