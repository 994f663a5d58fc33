"""Whom a member hears: those who belong by its log, and until it has that, those it was told of."""

from typing import Protocol

import structlog

from rlog.config import LogConfig
from rlog.membership import MEMBERS_MAX, Configuration

log = structlog.get_logger()


class Known(Protocol):
    """What our own log says."""

    @property
    def configuration(self) -> Configuration:
        """Who belongs by the log as far as we hold it."""

    @property
    def cluster_id(self) -> str:
        """The id of our cluster, empty while we know none: our log may be of long ago, or empty."""


class Acquaintances:
    """Judges names of one member, which is new or being filled as long as it knows no cluster.

    Until then the members that its configuration names say who belongs now: whoever leads may
    have come after that list was written. Those whom it names are believed, and nobody else.
    """

    def __init__(self, config: LogConfig, known: Known) -> None:
        self._config = config
        self._known = known
        self._told: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """Those that the configuration names."""
        config = self._config
        return tuple(name for name in (*config.voters, *config.join) if name != config.name)

    @property
    def others(self) -> tuple[str, ...]:
        """Those who belong by the log."""
        return tuple(n for n in self._known.configuration.members if n != self._config.name)

    @property
    def is_waiting(self) -> bool:
        """Whether we do not know for ourselves yet who belongs."""
        return not self._known.cluster_id

    def is_member(self, name: str) -> bool:
        """Whether anything of this member may be heard."""
        config = self._config
        heard = (*self._known.configuration.members, *config.voters)
        if self.is_waiting:
            heard = (*heard, *config.join, *self._told)
        return name != config.name and name in heard

    def hear(self, name: str, members: tuple[str, ...]) -> None:
        """Take in who belongs by the word of a member that we called."""
        if not self.is_waiting or name not in self.named:
            return
        told = tuple(dict.fromkeys((*members, *self._told)))[:MEMBERS_MAX]
        if set(told) != set(self._told):
            log.info("a master says who belongs", master=name, members=",".join(members))
        self._told = told

    def explain_refusal(self, name: str) -> str:
        """Return what to tell a replica that is not heard."""
        me, named = self._config.name, ", ".join(self.named)
        if not self.is_waiting or not named:
            return f"{name} is not among the voters here; compare the masters' voters"
        return (
            f"{me} knows only {named}, none of whom has said yet that {name} belongs to them; "
            f"see that one of them runs, or start {me} with --join {name} and an empty directory"
        )
