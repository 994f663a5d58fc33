"""Reasons: why the agent's core refuses a command."""

from enum import IntEnum


class Reason(IntEnum):
    """One name for each refusal; the text beside it speaks of the case."""

    ALREADY_NAMED = 1
    KNOWN_LAUNCH = 2
    ENDED_LAUNCH = 3
    UNKNOWN_LAUNCH = 4
    UNKNOWN_STATUS = 5
    OTHER_CLUSTER = 6
    UNKNOWN_VOLUME = 7
    VOLUME_IN_USE = 8
    BAD_RESIZE = 9
