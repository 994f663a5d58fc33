"""The machine of a client of the masters: its process dies and comes back."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from tests.simulation.cluster import Cluster
from tests.simulation.loop import Process


class ClientHost(ABC):
    """One client; what it must not forget belongs to the host and not to what runs on it."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.process: Process | None = None
        self.ended: list[str] = []  # runs that ended by themselves, which none may

    @property
    @abstractmethod
    def is_settled(self) -> bool:
        """Whether everything it wanted is done."""

    @property
    @abstractmethod
    def left(self) -> object:
        """What it still wants, for whoever reads that it is not settled."""

    @abstractmethod
    def go_on(self) -> None:
        """Want something more after the storm: life must go on."""

    @abstractmethod
    async def run(self) -> None:
        """Live, until killed."""

    @property
    def is_up(self) -> bool:
        return self.process is not None and not self.process.is_dead

    def start(self) -> None:
        if self.is_up:
            return
        self.process = Process(self.name)
        running = self.cluster.loop.spawn(self.process, self.run())
        running.add_done_callback(self._note_end)

    def _note_end(self, done: asyncio.Task[object]) -> None:
        if not done.cancelled() and self.is_up:
            self.ended.append(repr(done.exception()))

    def kill(self) -> None:
        if self.process is not None:
            self.cluster.loop.kill(self.process)
