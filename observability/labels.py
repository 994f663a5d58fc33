"""Bounded label values: a metric keeps its first names apart and sums the rest as `other`."""

from __future__ import annotations

OTHER = "other"


class LabelSet:
    """At most `names_max` label values; whatever comes later is `other`.

    Roles and frameworks are named by users, so their number is not ours to trust.
    """

    def __init__(self, names_max: int) -> None:
        self._names_max = names_max
        self._known: dict[str, None] = {}

    def label(self, name: str) -> str:
        """The value to use for `name`."""
        if name in self._known:
            return name
        if len(self._known) >= self._names_max:
            return OTHER
        self._known[name] = None
        return name
