"""What a run is like: how many members, and which faults are its theme."""

from dataclasses import dataclass
from enum import StrEnum

LOAD_S = 6.0


class Theme(StrEnum):
    """The kind of fault that a run has more of than of others."""

    MIXED = "mixed"
    LOSSES = "losses"  # three messages in ten late or lost all the time, and one-way silence
    CLOCKS = "clocks"  # that stand still and leap
    DISKS = "disks"  # that are full
    DAMAGE = "damage"  # bits that flip
    VOTES = "votes"  # elections all the time, and deaths around each vote
    MEMBERS = "members"  # who belongs changes all the time, also by leaders that are cut off
    ANSWERS = "answers"  # that arrive when their leader leads again
    MEMORY = "memory"  # disks are lost while leaders of the past go on


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is like."""

    seed: int
    members: int = 3
    load_s: float = LOAD_S
    is_harsh: bool = False  # slow network, crashes in the worst moments, fast restarts
    is_changing_members: bool = False
    is_losing_disks: bool = False
    theme: Theme = Theme.MIXED

    @classmethod
    def of(cls, seed: int, load_s: float = LOAD_S, theme: Theme | None = None) -> "Plan":
        """Return the plan of a seed: a few kinds of runs in turn, each under each theme."""
        kind, themes = seed % 4, list(Theme)
        theme = theme or themes[seed // 8 % len(themes)]
        is_of_members = theme is Theme.MEMBERS
        is_large = theme in (Theme.MEMBERS, Theme.ANSWERS)
        is_small = theme is Theme.MEMORY or (kind < 2 and not is_large)
        return cls(
            seed,
            members=3 if is_small else 5,
            load_s=load_s,
            is_harsh=kind in (1, 2) and theme not in (Theme.VOTES, Theme.MEMORY, Theme.ANSWERS),
            is_changing_members=kind == 3 or seed % 8 == 2 or is_of_members,
            is_losing_disks=seed % 3 == 0,
            theme=theme,
        )

    @property
    def faults_per_s(self) -> float:
        """How often something goes wrong, on average."""
        is_busy = self.is_harsh or self.theme in (Theme.VOTES, Theme.MEMBERS, Theme.MEMORY)
        return 4 if is_busy else 1.2

    @property
    def founders(self) -> int:
        """How many of the members found the cluster."""
        is_growing = self.is_changing_members and (self.theme is not Theme.MEMBERS or self.seed % 2)
        return 3 if is_growing else self.members

    @property
    def election_timeout_s(self) -> float:
        """How long a silence makes members elect."""
        if self.theme is Theme.VOTES:
            return 0.15
        return 0.25 if self.is_harsh else 0.5
