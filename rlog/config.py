"""What a replicated log needs to know before it starts."""

import secrets
from dataclasses import dataclass, field

from rlog.versions import FIRST

ELECTION_TIMEOUT_S = 0.5


def draw_id() -> str:
    """Return an id that no other cluster has."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class LogConfig:
    """One member of one log; names are the addresses under which members reach each other."""

    name: str
    voters: tuple[str, ...]  # that found the log together; none: this member joins one
    directory: str
    cluster: str = ""
    election_timeout_s: float = ELECTION_TIMEOUT_S  # silence before an election; up to twice that
    window_max: int = 64  # appends in flight: enough to hide a round trip and an fsync
    payload_bytes_max: int = 896 << 10  # with what surrounds it, one frame of at most 1 MiB
    batch_bytes: int = 256 << 10  # entries per message, beyond the first
    snapshot_entries: int = 20_000  # from a snapshot to the next; more of a big state: rlog.cadence
    snapshot_bytes: int = 64 << 20  # the same by size
    keep_entries: int = 5_000  # left in front of a snapshot, for followers a little behind
    join: tuple[str, ...] = ()  # with no voters: members by whom this one may be added
    version: int = FIRST  # of what the log holds: the newest that this member understands
    noun: str = "master"  # what operators call a member
    proposed_id: str = field(default_factory=draw_id)  # of the cluster, if this member founds it

    def __post_init__(self) -> None:
        if len(set(self.voters)) != len(self.voters) or not (self.voters or self.join):
            raise ValueError(f"voters must be named once each, not {','.join(self.voters)!r}")
        for name in (self.name, *self.voters, *self.join):
            if not name or set(name) & set(",;\n"):
                raise ValueError("a member's name is its address, host:port")
        if self.election_timeout_s <= 0:
            raise ValueError("election_timeout_s must be positive")

    @property
    def heartbeat_s(self) -> float:
        """How often a leader says that it leads."""
        return self.election_timeout_s / 5
