"""What an operator reads of a member's belonging: one line when it changes or is unusual."""

import asyncio
from collections.abc import Callable

import structlog

from rlog.config import LogConfig
from rlog.membership import Configuration
from rlog.raft import Raft

LEFT_MIN = 10_000  # entries to be folded that are worth a line, which is less than half a second's
LEFT_S = 10.0  # from line to line
REMOVED = "this {} was removed from the {}; stop it, or add it again"

log = structlog.get_logger()


class Notices:
    """Remembers what was said of one member; `on_members` is called when its log has others."""

    def __init__(self, config: LogConfig) -> None:
        self.on_members: Callable[[], None] = _heed_not
        self._config = config
        self._noun = config.noun
        self._whole = "cluster" if config.noun == "master" else "log"
        self._known: Configuration | None = None
        self._is_whole = False
        self._is_removed = False
        self._told_left_s: float | None = None  # when it was seen, or said, how many are left

    def begin(self, raft: Raft) -> None:
        """Say how the member starts."""
        self._known, self._is_whole = raft.configuration, _is_whole(raft)
        known, config = raft.configuration, self._config
        if not known.members:
            log.warning(
                f"this {self._noun} belongs to no {self._whole} and waits until it is added to "
                f"one: quorate masters add {raft.name}",
                join=",".join(config.join),
            )
        elif raft.is_amnesiac:
            log.warning(
                f"the data directory is empty or not filled yet: this {self._noun} counts for "
                f"nothing until all have founded the {self._whole}, or its leader has filled it",
                voters=",".join(known.voters),
            )
        elif raft.name not in known.members:
            self._tell_removed(raft)
        elif config.voters and set(known.voters) != set(config.voters):
            log.warning(
                "the log has other voters than the configuration; the log's count",
                log=",".join(known.voters),
                configuration=",".join(config.voters),
            )

    def look(self, raft: Raft) -> None:
        """Say what is new."""
        if raft.configuration is not self._known:
            self._known = raft.configuration
            self._tell_members(raft.configuration)
            self.on_members()
        if not self._is_whole and _is_whole(raft):
            self._is_whole = True
            log.info(f"this {self._noun} counts: its log is whole", cluster_id=raft.cluster_id)
        self._look_how_many_are_left(raft)
        if raft.is_removed and not self._is_removed:
            self._tell_removed(raft)
        elif raft.leader:
            self._is_removed = False  # it was added again, or is about to hear of its removal

    def _look_how_many_are_left(self, raft: Raft) -> None:
        """Say now and then how far it is: after a restart there may be millions to fold."""
        left = raft.committed - raft.applied
        if left < LEFT_MIN:
            self._told_left_s = None
            return
        now_s = asyncio.get_running_loop().time()
        if self._told_left_s is None:
            self._told_left_s = now_s
        elif now_s - self._told_left_s >= LEFT_S:
            self._told_left_s = now_s
            log.info("folding the log", entry=raft.applied, of=raft.committed, left=left)

    def _tell_removed(self, raft: Raft) -> None:
        self._is_removed = True
        text = REMOVED.format(self._noun, self._whole)
        log.warning(text, to_add_it_again=f"quorate masters add {raft.name}")

    def _tell_members(self, known: Configuration) -> None:
        log.info(
            "the members are others now",
            voters=",".join(known.voters),
            learners=",".join(known.learners),
            index=known.index,
        )


def _heed_not() -> None:
    return


def _is_whole(raft: Raft) -> bool:
    return bool(raft.cluster_id) and not raft.is_amnesiac
