"""Transactions: frameworks see what all agents have free, and launch what fits when it is decided.

In a role that is open, nothing is offered. Its frameworks observe the cluster, plan on what they
saw, and learn of conflicts when their transactions are decided.
"""

from dataclasses import dataclass, field
from itertools import islice

from master.allocator.rations import Rations
from master.core.accepts import Acceptance
from master.core.alarms import AlarmKind
from master.core.draft import Draft, Outcome
from master.core.effects import SendView
from master.core.events import TaskLaunched
from master.core.observers import ObserverSet, PlacementsCounted, ViewSent
from master.core.policies import policy_of
from master.core.reasons import Reason
from master.core.records import Framework, Offer
from master.core.settings import Settings
from master.core.state import State, charge, charged_by_role, find_framework, free_of
from master.core.validity import OPERATIONS_MAX, check_count
from protocol.decision import Decision, Refused
from protocol.ids import AgentId, FrameworkId, OfferId
from protocol.messages.framework import (
    AgentState,
    ClusterView,
    Conflict,
    LaunchTask,
    Observe,
    Placement,
    Transact,
    Transacted,
)
from protocol.resources import EMPTY, Resources

VIEW_AGENTS_MAX = 500  # in one message
VIEWS_AGENTS_MAX = 1000  # in one turn, of all observers together


@dataclass(frozen=True, slots=True)
class ObserveCluster:
    """Have the framework told what every agent has free, and what changes of it."""

    framework_id: FrameworkId
    observe: Observe


@dataclass(frozen=True, slots=True)
class TransactLaunches:
    """Launch where it still fits; replied to with `Transacted`."""

    framework_id: FrameworkId
    transact: Transact


def decide_observe(
    state: State, command: ObserveCluster, now_ns: int, settings: Settings
) -> Outcome:
    """Begin anew to tell what all agents have, by portions.

    Refuses: UNKNOWN_FRAMEWORK, FRAMEWORK_REMOVED, NOT_ITS_ROLE, NOT_OPEN.
    """
    framework = _find_observer(state, command.framework_id, command.observe.role)
    if isinstance(framework, Refused):
        return framework
    if framework.id not in state.soft.framework_links:
        return Decision()
    draft = Draft(now_ns, settings)
    draft.soft.append(ObserverSet(framework.id, command.observe.role))
    draft.alarm(AlarmKind.VIEWS_DUE, (), 0)
    return draft.decision()


def decide_transact(
    state: State, command: TransactLaunches, now_ns: int, settings: Settings
) -> Outcome:
    """Launch the placements that fit, each whole or not; or all, or nothing.

    A placement with a version fits only if nothing has changed on its agent since.
    Refuses: UNKNOWN_FRAMEWORK, FRAMEWORK_REMOVED, NOT_ITS_ROLE, NOT_OPEN, TOO_MANY.
    """
    transact = command.transact
    framework = _find_observer(state, command.framework_id, transact.role)
    if isinstance(framework, Refused):
        return framework
    launches = sum(len(each.launches) for each in transact.placements)
    if refused := check_count("launches", launches, OPERATIONS_MAX):
        return refused
    draft = Draft(now_ns, settings)
    commit = _Commit(draft, state, framework, transact.role)
    conflicts = []
    for number, placement in enumerate(transact.placements):
        if conflict := commit.place(placement):
            conflicts.append(Conflict(number, conflict.reason.name, conflict.text))
    if conflicts and (transact.is_all_or_nothing or not commit.launched):
        counted = PlacementsCounted(0, len(conflicts))
        reply = Transacted(transact.call, False, tuple(conflicts))
        return Decision(soft=(counted,), reply=reply)
    made = len(transact.placements) - len(conflicts)
    draft.soft.append(PlacementsCounted(made, len(conflicts)))
    return draft.decision(Transacted(transact.call, True, tuple(conflicts)))


def ring_views_due(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """Tell observers what has changed, the newest of each agent; the rest in the next turn."""
    room = VIEWS_AGENTS_MAX
    for (framework_id, role), observer in state.soft.observers.items():
        agent_ids = tuple(islice(observer.pending, min(room, VIEW_AGENTS_MAX)))
        if agent_ids:
            room -= len(agent_ids)
            agents = tuple(state_of(state, each) for each in agent_ids)
            view = ClusterView(role, agents, observer.is_first)
            draft.views.append(SendView(framework_id, view))
            draft.soft.append(ViewSent(framework_id, role, agent_ids))
        if len(observer.pending) > len(agent_ids):
            draft.alarm(AlarmKind.VIEWS_DUE, (), 0)
        if room <= 0:
            break


def state_of(state: State, agent_id: AgentId) -> AgentState:
    """Return what an observer sees of an agent."""
    agent = state.agents.get(agent_id)
    if agent is None or agent_id not in state.soft.agent_links:
        return AgentState(agent_id)
    return AgentState(
        agent_id=agent_id,
        hostname=agent.hostname,
        address=agent.address,
        attributes=agent.attributes,
        free=free_of(state, agent) if agent.is_active else EMPTY,
        version=state.soft.versions.get(agent_id, 1),
    )


@dataclass(slots=True)
class _Commit:
    """What a transaction has launched so far."""

    draft: Draft
    state: State
    framework: Framework
    role: str
    launched: dict[str, TaskLaunched] = field(default_factory=dict)
    left: dict[AgentId, Resources] = field(default_factory=dict)
    rations: Rations | None = None

    def place(self, placement: Placement) -> Refused | None:
        """Launch all tasks of a placement, or none and say why."""
        agent_id = AgentId(placement.agent_id)
        if agent_id not in self.state.soft.agent_links:
            text = f"agent {agent_id[:140]!r} is not connected to the leader"
            return Refused(Reason.AGENT_NOT_LINKED, text)
        if not self.state.agents[agent_id].is_active:
            text = f"agent {agent_id} is deactivated, or to be empty"
            return Refused(Reason.AGENT_DRAINING, text)
        version = self.state.soft.versions.get(agent_id, 1)
        if placement.version and placement.version != version:
            text = (
                f"agent {agent_id} was planned with as of {placement.version}, it is at {version}"
            )
            return Refused(Reason.AGENT_CHANGED, text)
        free = self.left.get(agent_id)
        if free is None:
            free = free_of(self.state, self.state.agents[agent_id])
        trial = Draft(self.draft.now_ns, self.draft.settings)
        lent = Offer(OfferId(""), self.framework.id, agent_id, self.role, free, trial.now_ns)
        known = dict(self.launched)
        acceptance = Acceptance(trial, self.state, self.framework, (lent,), known)
        for each in placement.launches:
            if refused := acceptance.fold(LaunchTask(each)):
                return refused
        if refused := self._check_quotas(placement):
            return refused
        self._keep(trial, agent_id)
        self.launched, self.left[agent_id] = known, acceptance.left.unreserved
        return None

    def _check_quotas(self, placement: Placement) -> Refused | None:
        state = self.state
        if not state.quotas:
            return None
        if self.rations is None:
            self.rations = Rations(state.quotas, charged_by_role(state), state.capacity)
        wanted: dict[str, int] = {}
        for each in placement.launches:
            charge(wanted, each.resources.quantities)
        caps = self.rations.caps(self.role, wanted, is_owed=False)
        for name, amount in wanted.items():
            if amount > caps.get(name, amount):
                text = f"quotas leave {self.role} less {name} than the placement takes"
                return Refused(Reason.QUOTA_EXCEEDED, text)
        self.rations.charge(self.role, wanted)
        return None

    def _keep(self, trial: Draft, agent_id: AgentId) -> None:
        self.draft.events += trial.events
        self.draft.soft += trial.soft
        self.draft.launches.setdefault(agent_id, []).extend(trial.launches.get(agent_id, ()))
        self.draft.touch(agent_id)


def _find_observer(state: State, framework_id: FrameworkId, role: str) -> Framework | Refused:
    """Return the framework if its role is one in which transactions are made."""
    framework = find_framework(state, framework_id)
    if isinstance(framework, Refused):
        return framework
    if role not in framework.roles:
        text = f"framework {framework.id} is not in role {role[:140]!r}"
        return Refused(Reason.NOT_ITS_ROLE, text)
    if not policy_of(state, role).is_open:
        text = f"role {role} is offered resources; `quorate policy set {role} --open` opens it"
        return Refused(Reason.NOT_OPEN, text)
    return framework
