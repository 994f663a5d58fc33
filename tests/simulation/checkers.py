"""What must hold at every moment of every simulated cluster, and after it has healed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from agent.core import invariants as agent_invariants
from master.core import invariants as master_invariants
from master.core.operations import ENDED
from master.core.snapshot import digest
from master.core.state import State
from protocol.messages.values import OperationState, TaskState
from protocol.states import is_ended
from tests.simulation.cluster import Cluster, Host
from tests.simulation.machines import MARK

FOLLOWERS_BEHIND_MAX = 16  # in flight


class BrokenPromiseError(AssertionError):
    """Something that may never happen has happened."""


@dataclass(slots=True)
class History:
    """What one scheduler was told of one task."""

    launched: bool = False  # its accept was answered with success
    surely_not: bool = False  # told that it surely was not launched
    states: list[TaskState] = field(default_factory=list)


@dataclass(slots=True)
class Checkers:
    """Watches a cluster; `step` at any time, `finish` when everything is healed and done."""

    cluster: Cluster
    leader_of: dict[int, str] = field(default_factory=dict)  # by epoch
    digest_at: dict[int, tuple[str, str]] = field(default_factory=dict)  # index → digest, host
    histories: dict[str, History] = field(default_factory=dict)  # framework/task
    operations: dict[str, OperationState] = field(default_factory=dict)  # framework/operation
    comparisons: int = 0

    def history(self, key: str) -> History:
        return self.histories.setdefault(key, History())

    # -- at any time
    def step(self) -> None:
        """One leader per epoch, equal state at equal index, no resource twice, no double start."""
        if self.cluster.loop.failures:
            raise BrokenPromiseError(f"unhandled: {self.cluster.loop.failures[0]}")
        for host in self.cluster.hosts():
            if host.breaks:
                raise BrokenPromiseError(f"{host.name} stopped itself: {host.breaks[0]}")
        for host in self.cluster.masters:
            if host.is_up:
                self._check_master(host)
        for host in self.cluster.agents:
            if host.is_up and host.daemon.state.agent_id:
                agent_invariants.check(host.daemon.state)
            self._check_starts(host)

    def _check_master(self, host: Host) -> None:
        master = host.daemon
        loop = master._loop
        master_invariants.check(master.state)
        if master.is_leading:
            holder = self.leader_of.setdefault(loop.epoch, host.name)
            if holder != host.name:
                raise BrokenPromiseError(f"epoch {loop.epoch} is led by {holder} and {host.name}")
        fold = loop._fold
        if fold.is_at_rest and fold.committed:
            found = digest(master.state)
            known, by = self.digest_at.setdefault(fold.committed, (found, host.name))
            self.comparisons += 1
            if known != found:
                raise BrokenPromiseError(f"{host.name} and {by} differ at index {fold.committed}")

    def _check_starts(self, host: Host) -> None:
        assert host.machine is not None
        for container, starts in host.machine.starts.items():
            if starts > 1:
                raise BrokenPromiseError(f"{host.name} started launch {container} {starts} times")

    # -- what schedulers hear
    def launched(self, key: str) -> None:
        self.history(key).launched = True

    def refused(self, key: str) -> None:
        self.history(key).surely_not = True

    def updated(self, key: str, state: TaskState) -> None:
        """Terminal means terminal, and is said once."""
        states = self.history(key).states
        if states and is_ended(states[-1]):
            raise BrokenPromiseError(f"{key} is {state.name} after it was {states[-1].name}")
        states.append(state)

    def operated(self, key: str, state: OperationState) -> None:
        """An operation ends one way."""
        known = self.operations.setdefault(key, state)
        if known != state and known in ENDED:
            raise BrokenPromiseError(f"operation {key} is {state.name} after it was {known.name}")
        self.operations[key] = state

    # -- at the end
    def is_settled(self) -> bool:
        """Whether agents have every volume as it is wanted, and schedulers know of all they did."""
        for host in self.cluster.leaders():
            state = host.daemon.state
            volumes = [each for agent in state.agents.values() for each in agent.volumes.values()]
            return all(each.is_settled for each in volumes) and not any(
                framework.operations for framework in state.frameworks.values()
            )
        return False

    def _check_volumes(self, state: State) -> None:
        """What is promised is on the disks with what was written there, and nothing else is."""
        for host in self.cluster.agents:
            daemon = host.daemon
            agent = state.agents[daemon.state.agent_id]
            promised = sorted(f"{each.id}.{each.number}" for each in agent.volumes.values())
            directory = host.disk / "volumes"
            found = sorted(os.listdir(directory)) if directory.exists() else []
            if found != promised:
                raise BrokenPromiseError(f"{host.name} has {found}, promised is {promised}")
            assert host.machine is not None
            for path in map(Path, host.machine.marked):
                if path.exists() and not (path / MARK).exists():
                    raise BrokenPromiseError(f"{path.name} of {host.name} has lost what was in it")

    def finish(self) -> None:
        """Nothing acknowledged was lost, nothing refused ran, nothing runs unknown."""
        self.step()
        leaders = self.cluster.leaders()
        if len(leaders) != 1:
            raise BrokenPromiseError(f"{len(leaders)} leaders after healing")
        state = leaders[0].daemon.state
        for key, history in self.histories.items():
            ended = bool(history.states) and is_ended(history.states[-1])
            if history.launched and not ended:
                raise BrokenPromiseError(f"{key} was launched and never ended: {history.states}")
            if history.surely_not and history.states:
                raise BrokenPromiseError(f"{key} was surely not launched, yet {history.states}")
        if not self.histories:
            raise BrokenPromiseError("no task was ever tried")
        for host in self.cluster.agents:
            assert host.machine is not None
            if host.machine.running():
                raise BrokenPromiseError(f"{host.name} still runs {host.machine.running()} tasks")
            if host.is_up and host.daemon.state.tasks:
                raise BrokenPromiseError(f"{host.name} still remembers {host.daemon.state.tasks}")
        for agent in state.agents.values():
            if not agent.allocated.is_empty:
                raise BrokenPromiseError(f"{agent.id} still has {agent.allocated} allocated")
        self._check_volumes(state)
        self._check_followers(leaders[0])

    def _check_followers(self, leader: Host) -> None:
        """Nobody is left behind; that equal indexes are equal states was checked on the way."""
        committed = leader.daemon._loop._fold.committed
        for host in self.cluster.masters:
            behind = committed - host.daemon._loop._fold.committed
            if behind > FOLLOWERS_BEHIND_MAX:
                raise BrokenPromiseError(f"{host.name} is {behind} entries behind after healing")
