"""Inclusive ranges of numbers, kept sorted and merged."""

from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]


def merge_ranges(spans: Iterable[tuple[int, int]]) -> Ranges:
    """Return the same numbers in the fewest ranges, sorted."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def arrange_ranges(spans: Iterable[tuple[int, int]]) -> Ranges:
    """Return ranges sorted, neighbours joined; those that overlap or are reversed stay visible.

    For what a peer sent: overlapping ranges are a mistake that must not pass as fewer numbers.
    """
    arranged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if arranged and arranged[-1][0] <= arranged[-1][1] == first - 1 and first <= last:
            arranged[-1] = (arranged[-1][0], last)
        else:
            arranged.append((first, last))
    return tuple(arranged)


def has_ranges(spans: Ranges, wanted: Ranges) -> bool:
    """Whether every wanted number is in the spans."""
    position = 0
    for first, last in wanted:
        while position < len(spans) and spans[position][1] < first:
            position += 1
        if position == len(spans) or first < spans[position][0] or last > spans[position][1]:
            return False
    return True


def remove_ranges(spans: Ranges, taken: Ranges) -> Ranges:
    """Return the spans without the taken numbers, all of which they have."""
    rest: list[tuple[int, int]] = []
    position = 0
    for first, last in spans:
        begin = first
        while position < len(taken) and taken[position][0] <= last:
            if begin < taken[position][0]:
                rest.append((begin, taken[position][0] - 1))
            begin = taken[position][1] + 1
            position += 1
        if begin <= last:
            rest.append((begin, last))
    return tuple(rest)


def meet_ranges(spans: Ranges, others: Ranges) -> Ranges:
    """Return the numbers that are in both."""
    both: list[tuple[int, int]] = []
    position = 0
    for first, last in spans:
        while position < len(others) and others[position][1] < first:
            position += 1
        at = position
        while at < len(others) and others[at][0] <= last:
            both.append((max(first, others[at][0]), min(last, others[at][1])))
            at += 1
    return tuple(both)


def first_of_ranges(spans: Ranges, count: int) -> Ranges:
    """Return the lowest numbers, at most so many."""
    kept: list[tuple[int, int]] = []
    for first, last in spans:
        if count <= 0:
            break
        kept.append((first, min(last, first + count - 1)))
        count -= last - first + 1
    return tuple(kept)
