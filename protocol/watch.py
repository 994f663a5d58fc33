"""Time for links: one coarse timer that checks all the peers of a server or caller."""

import asyncio

from protocol.peer import Peer


class Watch:
    """Checks its peers once per period: one timer for all of them, and none per frame."""

    def __init__(self, period_s: float, greeting_s: float) -> None:
        self.peers: dict[Peer, None] = {}
        self._period_s = period_s
        self._greeting_s = greeting_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._emptied: asyncio.Future[None] | None = None  # what `end_all` waits for

    def add(self, peer: Peer) -> None:
        self.peers[peer] = None
        if self._timer is None:
            self._schedule()

    def discard(self, peer: Peer) -> None:
        self.peers.pop(peer, None)
        if self.peers:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    async def end_all(self, reason: str, within_s: float) -> None:
        """Close all peers and return when they are gone, cut off after a time if need be."""
        for peer in tuple(self.peers):
            if peer.is_open:
                peer.close(reason)
            else:
                peer.drop(reason)
        if not self.peers:
            return
        self._emptied = self._loop.create_future()
        await asyncio.wait([self._emptied], timeout=within_s)
        for peer in tuple(self.peers):
            peer.drop(reason)
        await self._emptied

    def _schedule(self) -> None:
        self._due_s = self._loop.time() + self._period_s
        self._timer = self._loop.call_at(self._due_s, self._scan)

    def _scan(self) -> None:
        now_s = self._loop.time()
        # A late scan means that this process stood still: what peers sent meanwhile waits unread,
        # so nobody is judged by it before the loop has read.
        if now_s - self._due_s < self._period_s:
            for peer in tuple(self.peers):
                peer.check(now_s, self._greeting_s)
        if self.peers:
            self._schedule()
        else:
            self._timer = None
