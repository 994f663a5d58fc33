"""A cell in virtual time: the master's core, tasks that end by themselves, and what comes when."""

import heapq
from collections.abc import Callable
from itertools import count

from master.core.agents import RegisterAgent
from master.core.draft import Outcome
from master.core.effects import Effect, SendLaunch, SendOffers, SendRescinded, SendView
from master.core.frameworks import SubscribeFramework
from master.core.leadership import Tick
from master.core.machine import Command, Machine
from master.core.policies import SetPolicy
from master.core.settings import SECOND_NS, Settings
from master.core.updates import AcknowledgeUpdates, UpdateStatuses
from protocol.decision import Decision
from protocol.ids import AgentId, FrameworkId
from protocol.messages.agent import RegisterAgent as Registration
from protocol.messages.framework import (
    Acknowledgement,
    ClusterView,
    Offer,
    Subscribe,
    Subscribed,
)
from protocol.messages.values import TaskState, TaskStatus
from protocol.resources import Resources

LONG_NS = 10**6 * SECOND_NS


class Listener:
    """What a planner hears of the masters."""

    def offered(self, offers: tuple[Offer, ...]) -> None:
        return

    def rescinded(self, offers: tuple[str, ...]) -> None:
        return

    def viewed(self, view: ClusterView) -> None:
        return


class Cell:
    """One leader, so many equal agents; a task lasts as long as its id says."""

    def __init__(self, agents: int, machine: Resources, policy: SetPolicy | None = None) -> None:
        settings = Settings(
            offer_timeout_ns=LONG_NS, launch_resend_ns=LONG_NS, update_resend_ns=LONG_NS
        )
        self.now_ns = SECOND_NS
        self._machine = Machine(settings)
        self._state = self._machine.empty()
        self._listeners: dict[str, Listener] = {}
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self.submit(self._machine.take_over(1, "m1:7000"))
        for number in range(agents):
            register = Registration(agent_id=f"a{number}", resources=machine)
            self.submit(RegisterAgent(register, "p", number))
        if policy is not None:
            self.submit(policy)

    @property
    def now_s(self) -> float:
        return self.now_ns / SECOND_NS

    def subscribe(self, role: str, listener: Listener) -> FrameworkId:
        link = len(self._listeners) + 1
        call = Subscribe(name=role, roles=(role,), failover_timeout_ns=LONG_NS)
        outcome = self.submit(SubscribeFramework(call, "p", link))
        assert isinstance(outcome, Decision) and isinstance(outcome.reply, Subscribed)
        self._listeners[outcome.reply.framework_id] = listener
        return FrameworkId(outcome.reply.framework_id)

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        """Have something done later."""
        at_ns = self.now_ns + int(delay_s * SECOND_NS)
        heapq.heappush(self._events, (at_ns, next(self._order), action))

    def run(self, until_s: float) -> None:
        """Let time pass."""
        until_ns = int(until_s * SECOND_NS)
        while True:
            due_ns = self._machine.due(self._state)
            next_ns = self._events[0][0] if self._events else LONG_NS
            if min(next_ns, LONG_NS if due_ns is None else due_ns) > until_ns:
                return
            if due_ns is not None and due_ns <= next_ns:
                self.now_ns = max(self.now_ns, due_ns)
                self.submit(Tick())
            else:
                self.now_ns, _, action = heapq.heappop(self._events)
                action()

    def submit(self, command: Command) -> Outcome:
        """Decide, fold, and let everybody hear of it."""
        outcome = self._machine.decide(self._state, command, self.now_ns)
        if isinstance(outcome, Decision):
            for event in outcome.events:
                self._machine.apply(self._state, event)
            for soft in outcome.soft:
                self._machine.apply_soft(self._state, soft)
            for effect in outcome.effects:
                self._perform(effect)
        return outcome

    def _perform(self, effect: Effect) -> None:
        match effect:
            case SendOffers():
                self._listeners[effect.framework_id].offered(effect.offers)
            case SendRescinded():
                self._listeners[effect.framework_id].rescinded(effect.offers)
            case SendView():
                self._listeners[effect.framework_id].viewed(effect.view)
            case SendLaunch():
                for launch in effect.launches:
                    task_id = launch.description.task_id
                    where = effect.agent_id, FrameworkId(launch.framework_id)
                    self._end_after(where, task_id, launch.launch)

    def _end_after(self, where: tuple[AgentId, FrameworkId], task_id: str, launch: int) -> None:
        agent_id, framework_id = where

        def end() -> None:
            ended = TaskStatus(framework_id, task_id, agent_id, launch, 1, state=TaskState.FINISHED)
            self.submit(UpdateStatuses(agent_id, (ended,)))
            read = Acknowledgement(task_id, launch, 1)
            self.submit(AcknowledgeUpdates(framework_id, (read,)))

        self.after(float(task_id.rpartition("-")[2]), end)
