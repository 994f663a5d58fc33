"""An operator of the simulated cluster: sets weights and quotas, kills tasks, and checks it all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from master.core.state import State, weight_of
from protocol.client import OperatorClient
from protocol.credentials import Credentials
from protocol.errors import Fault
from protocol.handshake import LinkIdentity
from protocol.messages.link import LinkRole
from protocol.messages.operator import (
    Failed,
    KillTaskByOperator,
    ListTasks,
    OperatorMessage,
    SetQuota,
    SetWeight,
    Tasks,
)
from protocol.messages.values import Quantity
from tests.simulation.checkers import BrokenPromiseError
from tests.simulation.client import ClientHost
from tests.simulation.cluster import Cluster

ROLES = ("role1", "role2", "role2/below")
PAUSE_S = 0.7
ANSWER_S = 6.0
WEIGHTS = (500, 1000, 3000)
LIMITS = (0, 1000, 3000, 6000)  # thousandths of a cpu; 0: no quota


@dataclass(slots=True)
class Setting:
    """What one thing may be set to, as far as its only author knows."""

    certain: Hashable  # what was acknowledged last
    possible: set[Hashable] = field(default_factory=set)  # asked since, without an answer

    def acknowledge(self, value: Hashable) -> None:
        self.certain, self.possible = value, set()

    def allows(self, value: Hashable) -> bool:
        return value == self.certain or value in self.possible


class OperatorHost(ClientHost):
    """One operator's machine. Nobody else sets anything."""

    def __init__(self, cluster: Cluster, name: str, seen: Counter[str]) -> None:
        super().__init__(cluster, name)
        self._rng, self._seen = cluster.rng, seen
        self._weights = {role: Setting(1000) for role in ROLES}
        self._limits = {role: Setting(0) for role in ROLES}
        self._is_ending = self._is_done = False

    @property
    def is_settled(self) -> bool:
        return self._is_done

    @property
    def left(self) -> object:
        return "quotas to be lifted"

    def go_on(self) -> None:
        """Lift all quotas, so that whatever waits for room may run."""
        self._is_ending = True

    async def run(self) -> None:
        identity = LinkIdentity(LinkRole.OPERATOR, self.name, "", Credentials.insecure())
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / PAUSE_S))
            try:
                client = await OperatorClient.connect(
                    self.cluster.addresses, identity, ANSWER_S, self._rng
                )
            except Fault:
                continue
            await self._work(client)

    async def _work(self, client: OperatorClient) -> None:
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / PAUSE_S))
            role = self._rng.choice(ROLES)
            if self._is_ending:
                for each in ROLES:
                    await self._limit(client, each, 0)
                self._is_done = all(self._limits[each].certain == 0 for each in ROLES)
            elif self._rng.random() < 0.3:
                await self._kill(client)
            elif self._rng.random() < 0.5:
                weight = self._rng.choice(WEIGHTS)
                request = SetWeight(role=role, weight_milli=weight)
                await self._set(client, self._weights[role], weight, request)
            else:
                await self._limit(client, role, self._rng.choice(LIMITS))

    async def _limit(self, client: OperatorClient, role: str, milli: int) -> None:
        limit = (Quantity("cpus", milli),) if milli else ()
        request = SetQuota(role=role, limit=limit, force=self._rng.random() < 0.5)
        await self._set(client, self._limits[role], milli, request)

    async def _set(
        self, client: OperatorClient, setting: Setting, value: int, request: OperatorMessage
    ) -> None:
        setting.possible.add(value)
        try:
            answer = await client.ask(request)
        except Fault:
            self._seen["operators' calls without an answer"] += 1
            return
        if isinstance(answer, Failed):
            self._seen["operators' calls refused"] += 1
            return
        self._seen["operators' calls done"] += 1
        setting.acknowledge(value)

    async def _kill(self, client: OperatorClient) -> None:
        """End one of the tasks that there are."""
        try:
            answer = await client.ask(ListTasks())
            if not isinstance(answer, Tasks) or not answer.tasks:
                return
            status = self._rng.choice(answer.tasks).status
            request = KillTaskByOperator(
                framework_id=status.framework_id, task_id=status.task_id, grace_ns=0
            )
            await client.ask(request)
        except Fault:
            return
        self._seen["tasks killed by operators"] += 1

    def judge(self, state: State) -> None:
        """Check that what was acknowledged is so."""
        for role in ROLES:
            quota = state.quotas.get(role)
            found = {
                "weight": (self._weights[role], weight_of(state, role)),
                "limit": (self._limits[role], quota.limit.get("cpus", 0) if quota else 0),
            }
            for name, (setting, value) in found.items():
                if not setting.allows(value):
                    raise BrokenPromiseError(
                        f"the {name} of {role} is {value}, though {setting.certain} was"
                        " acknowledged last"
                    )
