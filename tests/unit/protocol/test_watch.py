"""The one timer that checks peers: its period, its end, and its patience after a standstill."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

from protocol.peer import Peer
from protocol.watch import Watch
from tests.unit.rlog.virtual_loop import VirtualLoop


@dataclass(eq=False)
class Watched:
    """Stands where a peer would and keeps the times of its checks."""

    checked_s: list[float] = field(default_factory=list)

    def check(self, now_s: float, greeting_s: float) -> None:
        self.checked_s.append(now_s)


@contextmanager
def watching() -> Iterator[tuple[VirtualLoop, Watch, Watched]]:
    """A watch of period 1 s over one peer, at time 100."""
    loop = VirtualLoop()
    watched = Watched()
    watch = loop.call(lambda: Watch(period_s=1.0, greeting_s=5.0))
    loop.call(watch.add, cast(Peer, watched))
    yield loop, watch, watched
    loop.call(watch.discard, cast(Peer, watched))
    loop.close()


def test_peers_are_checked_once_per_period() -> None:
    with watching() as (loop, _, watched):
        loop.advance(3.5)
        assert watched.checked_s == [101.0, 102.0, 103.0]


def test_nobody_is_judged_right_after_this_process_stood_still() -> None:
    with watching() as (loop, _, watched):
        loop.now_s += 60  # stopped, while what peers sent waits unread
        loop.settle()
        assert watched.checked_s == []
        loop.advance(1.0)
        assert watched.checked_s == [161.0]


def test_timer_ends_with_the_last_peer_and_starts_again_with_the_next() -> None:
    with watching() as (loop, watch, watched):
        loop.call(watch.discard, cast(Peer, watched))
        loop.advance(5.0)
        assert watched.checked_s == []
        loop.call(watch.add, cast(Peer, watched))
        loop.advance(1.0)
        assert watched.checked_s == [106.0]
