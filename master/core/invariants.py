"""What is true of every state: checked after each step of every test, sampled in production."""

from master.allocator.allocate import Ledger
from master.allocator.tree import WEIGHT_MILLI, is_within
from master.core.agents import GONE_MAX
from master.core.alarms import AlarmKind
from master.core.allocation import standings, supply_of
from master.core.disks import disk, users_of
from master.core.holdings import STATIC, children_of
from master.core.maintenance import WINDOWS_MAX, window_alarm
from master.core.operations import ENDED
from master.core.records import Agent, Framework, Task
from master.core.state import State, charge, charge_role, charged_by_role, free_of, idle_of
from master.core.updates import HISTORY_MAX, PENDING_MAX, REMOVED_HISTORY_MAX, REMOVED_MAX
from master.core.validity import weigh_description
from protocol.ids import task_key
from protocol.messages.values import OperationState
from protocol.resources import sum_resources
from protocol.states import TERMINAL
from rlog.spaces import invariants as spaces

TOLD_AT_ONCE = 200  # tasks of one agent; news of more may take several decisions


def check(state: State) -> None:
    """Assert everything that must hold."""
    for agent in state.agents.values():
        _check_agent(state, agent)
    for framework in state.frameworks.values():
        _check_framework(state, framework)
    for task in state.tasks.values():
        _check_task(state, task)
    _check_accounts(state)
    _check_counts(state)
    _check_offers(state)
    _check_ledger(state)
    _check_standing(state)
    _check_links(state)
    _check_alarms(state)
    assert len(state.gone) <= GONE_MAX
    _check_windows(state)
    spaces.check(state.spaces)


def _check_agent(state: State, agent: Agent) -> None:
    """Nothing is counted twice or lost: offered + allocated + free = total."""
    assert state.agents[agent.id] is agent
    held = [state.tasks[key].held for key in agent.tasks]
    assert agent.allocated == sum_resources(held), agent.id
    for name, amount in agent.allocated.scalars.items():
        assert amount == sum(each.scalars.get(name, 0) for each in held), (agent.id, name)
    free = free_of(state, agent)  # raises when less than nothing is left
    idle = sum_resources(idle_of(state, agent).values())
    idle = idle + disk(sum(each.held_bytes for each in agent.volumes.values()))
    offer_ids = state.soft.offers_by_agent.get(agent.id, ())
    open_ = [state.soft.offers[each] for each in offer_ids]
    offered = sum_resources(each.resources for each in open_ if not each.rival_of)
    assert free + idle + offered + agent.allocated == agent.total, agent.id
    _check_reservations(state, agent)
    assert agent.is_active or not offer_ids, agent.id
    assert agent.id not in state.gone
    assert agent.is_unreachable or not agent.gone
    _check_volumes(state, agent)
    for key, launch in agent.tasks.items():
        task = state.tasks[key]
        assert task.launch == launch
        assert task.agent_id == agent.id
        assert not task.is_ended
        is_unreachable = task.status.state.name == "UNREACHABLE"
        is_told = agent.id in state.soft.agent_links or len(agent.tasks) <= TOLD_AT_ONCE
        if is_told and not agent.gone:
            assert is_unreachable == agent.is_unreachable


def _check_reservations(state: State, agent: Agent) -> None:
    """What is bound to a role is there, once, and used by nobody else."""
    rest = agent.total
    for name, known in agent.reservations.items():
        assert known.id == name
        rest = rest - known.resources  # raises when it was counted elsewhere
        below = list(children_of(agent.reservations, name))
        assert known.resources or known.is_static or below, (agent.id, name)
        assert not (known.is_static and (known.parent or known.is_ending))
        if known.parent:
            parent = agent.reservations[known.parent]
            assert known.role != parent.role
            assert is_within(known.role, parent.role)
        draws = [
            (state.tasks[key].role, draw.resources)
            for key in agent.tasks
            for draw in state.tasks[key].draws
            if draw.reservation == name
        ]
        assert known.allocated == sum_resources(part for _, part in draws), (agent.id, name)
        assert known.resources.contains(known.allocated)
        assert all(is_within(role, known.role) for role, _ in draws)
    for each in agent.reserved:
        assert STATIC + each.role in agent.reservations


def _check_volumes(state: State, agent: Agent) -> None:
    """Every volume has its disk, and as many users as it may have."""
    idle_of(state, agent)  # raises when volumes take what is not left of their reservations
    lent = [
        name
        for offer_id in state.soft.offers_by_agent.get(agent.id, ())
        for name in state.soft.offers[offer_id].volumes
    ]
    assert len(lent) == len(dict.fromkeys(lent)), agent.id
    for name, volume in agent.volumes.items():
        assert volume.id == name
        assert 0 < volume.number < state.volumes_next
        assert volume.wanted_bytes > 0
        assert volume.operation == "" or not volume.is_settled
        users = users_of(state, agent, name)
        if name in lent:
            assert volume.kept_bytes
            assert not volume.is_doomed
            assert volume.is_shared or not users, (agent.id, name)
        assert not (volume.is_doomed and users)
        assert volume.is_shared or len(users) <= 1
        role = agent.reservations[volume.reservation].role
        assert all(is_within(state.tasks[key].role, role) for key in users)
        if not volume.is_settled and agent.id in state.soft.agent_links:
            subject = (AlarmKind.VOLUME_UNANSWERED, (agent.id, name))
            assert subject in state.soft.alarms.wanted, (agent.id, name)


def _check_operations(state: State, framework: Framework) -> None:
    for name, status in framework.operations.items():
        assert (status.operation_id, status.framework_id) == (name, framework.id)
        assert status.state is not OperationState.UNKNOWN
        if status.state in ENDED and framework.id in state.soft.framework_links:
            subject = (AlarmKind.OPERATION_UNANSWERED, (framework.id, name))
            assert subject in state.soft.alarms.wanted, (framework.id, name)
    assert not (framework.is_removed and framework.operations)


def _check_framework(state: State, framework: Framework) -> None:
    assert state.frameworks[framework.id] is framework
    assert not (framework.is_removed and framework.is_connected)
    _check_operations(state, framework)
    assert all(role in framework.roles for role in framework.suppressed)
    assert not framework.token or state.tokens[framework.token] == framework.id
    amounts: dict[str, dict[str, int]] = {}
    tasks = [state.tasks[task_key(framework.id, task_id)] for task_id in framework.tasks]
    assert framework.live == sum(not task.is_ended for task in tasks), framework.id
    weights = [weigh_description(task.description) for task in tasks]
    assert framework.description_bytes == sum(weights), framework.id
    for task_id, launch in framework.tasks.items():
        task = state.tasks[task_key(framework.id, task_id)]
        assert task.launch == launch
        assert task_id not in framework.history
        if not task.is_ended:
            charge(amounts.setdefault(task.role, {}), task.held.quantities)
    assert framework.allocated == amounts, framework.id
    history_max = REMOVED_HISTORY_MAX if framework.is_removed else HISTORY_MAX
    assert len(framework.history) <= history_max
    for task_id, task in framework.history.items():
        assert task.task_id == task_id
        assert task.is_ended
        assert not task.pending


def _check_task(state: State, task: Task) -> None:
    framework = state.frameworks[task.framework_id]
    assert state.tasks[task.key] is task
    assert framework.tasks[task.task_id] == task.launch
    assert 0 < task.launch < state.launches_next
    assert task.is_ended or state.agents[task.agent_id].tasks[task.key] == task.launch
    assert not task.is_ended or task.pending, "an ended task waits for nothing but the framework"
    assert not (task.is_ended and (task.kill or task.resize))
    assert task.resize is None or task.resize.number == task.resizes
    assert task.status.sequence == task.updates_made
    assert len(task.pending) <= PENDING_MAX
    sequences = [each.sequence for each in task.pending]
    assert sequences == sorted(dict.fromkeys(sequences))
    assert not sequences or 0 < sequences[0] <= sequences[-1] == task.updates_made
    assert all(each.state not in TERMINAL for each in task.pending[:-1])
    if framework.is_removed:
        assert not task.pending
        assert task.kill


def _check_accounts(state: State) -> None:
    by_role: dict[str, dict[str, int]] = {}
    for framework in state.frameworks.values():
        for role, amounts in framework.allocated.items():
            charge(by_role.setdefault(role, {}), amounts)
    assert state.allocated == by_role
    capacity: dict[str, int] = {}
    for agent in state.agents.values():
        if not agent.is_unreachable:
            charge(capacity, agent.total.quantities)
    assert state.capacity == capacity
    reserved: dict[str, dict[str, int]] = {}
    for agent in state.agents.values():
        for each in () if agent.is_unreachable else agent.reservations.values():
            charge_role(reserved, each.role, each.resources.quantities)
    assert state.reserved == reserved
    drawn: dict[str, dict[str, int]] = {}
    for task in state.tasks.values():
        for draw in () if task.is_ended else task.draws:
            charge_role(drawn, task.role, draw.resources.quantities)
    assert state.drawn == drawn
    charged_by_role(state)  # asserts that nothing is drawn that is not held
    assert all(weight != WEIGHT_MILLI > 0 for weight in state.weights.values())


def _check_counts(state: State) -> None:
    counts: dict[str, int] = {}
    for task in state.tasks.values():
        if not task.is_ended:
            charge(counts, {task.status.state.name: 1})
    assert state.task_counts == counts
    tasks = sum(len(framework.tasks) for framework in state.frameworks.values())
    assert len(state.tasks) == tasks
    assert all(framework_id in state.frameworks for framework_id in state.tokens.values())
    idle = [each for each in state.frameworks.values() if each.is_removed and not each.tasks]
    assert len(idle) <= REMOVED_MAX


def _check_offers(state: State) -> None:
    """Offers are of linked agents to linked frameworks, and every index knows them."""
    soft = state.soft
    offered: dict[str, dict[str, dict[str, int]]] = {}
    drawn: dict[str, dict[str, int]] = {}
    for offer in soft.offers.values():
        assert offer.agent_id in soft.agent_links
        assert offer.framework_id in soft.framework_links
        assert offer.role in state.frameworks[offer.framework_id].roles
        assert offer.id in soft.offers_by_agent[offer.agent_id]
        assert offer.id in soft.offers_by_framework[offer.framework_id]
        assert (AlarmKind.OFFER_OLD, (offer.id,)) in soft.alarms.wanted
        reservations = state.agents[offer.agent_id].reservations
        for draw in offer.draws:
            assert is_within(offer.role, reservations[draw.reservation].role), offer.id
            assert not reservations[draw.reservation].is_ending
            charge_role(drawn, offer.role, draw.resources.quantities)
        if offer.rival_of:
            lent = soft.offers[offer.rival_of]
            assert offer.id in soft.rivals[lent.id]
            assert (lent.agent_id, lent.resources) == (offer.agent_id, offer.resources)
            assert lent.rival_of is None
            assert not (offer.draws or offer.volumes or lent.draws or lent.volumes), offer.id
        elif offer.resources:
            by_role = offered.setdefault(offer.framework_id, {})
            charge(by_role.setdefault(offer.role, {}), offer.resources.quantities)
    assert soft.offered == offered
    assert soft.drawn == drawn
    assert sum(map(len, soft.rivals.values())) == sum(
        each.rival_of is not None for each in soft.offers.values()
    )
    for index in (soft.offers_by_agent, soft.offers_by_framework):
        assert sum(map(len, index.values())) == len(soft.offers)
        assert all(index.values())


def _check_windows(state: State) -> None:
    """Every window has its agents to itself, and whoever was asked to leave is there to go."""
    assert len(state.windows) <= WINDOWS_MAX
    named = {each: window.name for window in state.windows.values() for each in window.agents}
    assert state.window_of == named
    assert sum(len(window.agents) for window in state.windows.values()) == len(named)
    for window in state.windows.values():
        if state.soft.is_leading and window_alarm(window, state.now_ns) >= 0:
            assert (AlarmKind.WINDOW, (window.name,)) in state.soft.alarms.wanted, window.name
    for agent in state.agents.values():
        if agent.drain and agent.drain.window:
            assert state.windows[agent.drain.window].is_begun
    asked = state.soft.asked
    assert sum(map(len, asked.by_agent.values())) == len(asked.inverse)
    for inverse in asked.inverse.values():
        assert asked.by_agent[inverse.agent_id][inverse.framework_id] == inverse.id
        assert inverse.framework_id in asked.takers
        assert not (inverse.is_accepted and inverse.is_declined)
    assert all(each in state.soft.framework_links for each in asked.takers)


def _check_ledger(state: State) -> None:
    """What is kept from pass to pass is what would be found anew."""
    kept = state.soft.ledger
    if kept is not None:
        anew = Ledger(standings(state))
        assert kept.order() == anew.order()
        assert kept.lacking() == anew.lacking()


def _check_standing(state: State) -> None:
    """Demands are of linked frameworks, and idle agents have free what is said of them."""
    soft = state.soft
    for framework_id, by_role in soft.demands.items():
        assert framework_id in soft.framework_links
        for role, demand in by_role.items():
            assert role in state.frameworks[framework_id].roles
            open_ = [soft.offers[each] for each in soft.offers_by_framework.get(framework_id, ())]
            assert demand.covered == {each.id for each in open_ if each.role == role}
            assert all(left >= 0 for left in demand.left)
    for framework_id, back_offs in soft.back_offs.items():
        assert framework_id in soft.framework_links
        for role, back_off in back_offs.items():
            assert role in state.frameworks[framework_id].roles
            subject = (AlarmKind.BACK_OFF_ENDS, (framework_id, role))
            assert not back_off.is_paused or subject in soft.alarms.wanted
    assert not soft.reclaims or (AlarmKind.RECLAIM_DUE, ()) in soft.alarms.wanted
    for (framework_id, role), observer in soft.observers.items():
        assert framework_id in soft.framework_links
        assert role in state.frameworks[framework_id].roles
        assert not observer.pending or (AlarmKind.VIEWS_DUE, ()) in soft.alarms.wanted
    for agent_id, resources in soft.idle.items():
        assert agent_id in soft.agent_links
        if agent_id not in soft.touched:
            rest = supply_of(state, state.agents[agent_id]).everything
            assert rest == resources, agent_id


def _check_links(state: State) -> None:
    assert all(agent_id in state.soft.agent_links for agent_id in state.soft.resizers)
    for agent_id in state.soft.overdue:
        assert agent_id in state.agents
        assert agent_id not in state.soft.agent_links
    for agent_id in state.soft.agent_links:
        assert not state.agents[agent_id].is_unreachable
    for framework_id in state.soft.framework_links:
        framework = state.frameworks[framework_id]
        assert framework.is_connected
        assert not framework.is_removed
    for framework_id, refusals in state.soft.refusals.items():
        assert refusals
        for role, agent_id in refusals:
            assert role in state.frameworks[framework_id].roles
            key = (framework_id, role, agent_id)
            assert (AlarmKind.REFUSAL_ENDS, key) in state.soft.alarms.wanted


def _check_alarms(state: State) -> None:
    """A leader waits for everybody who is absent, and every alarm has an entry in time."""
    alarms = state.soft.alarms
    entries = dict.fromkeys(alarms.heap)
    for subject, wanted_ns in alarms.wanted.items():
        scheduled_ns = alarms.scheduled[subject]
        assert scheduled_ns <= wanted_ns
        assert (scheduled_ns, *subject) in entries
    if not state.soft.is_leading:
        return
    if state.soft.unbooked:
        assert (AlarmKind.BOOKINGS_DUE, ()) in alarms.wanted
    for agent in state.agents.values():
        if agent.drain and any(state.tasks[key].kill is None for key in agent.tasks):
            assert (AlarmKind.AGENT_DRAIN, (agent.id,)) in alarms.wanted, agent.id
        if agent.id not in state.soft.agent_links:
            kind = AlarmKind.AGENT_REMOVAL if agent.is_unreachable else AlarmKind.AGENT_SILENT
            is_overdue = agent.id in state.soft.overdue
            subject = (AlarmKind.ABSENCE, ()) if is_overdue else (kind, (agent.id,))
            assert subject in alarms.wanted, agent.id
        for each in agent.reservations.values():
            if each.expires_ns and not each.is_ending:
                assert (AlarmKind.RESERVATION_ENDS, (agent.id, each.id)) in alarms.wanted, each.id
    for framework in state.frameworks.values():
        if not framework.is_removed and framework.id not in state.soft.framework_links:
            assert (AlarmKind.FRAMEWORK_ABSENT, (framework.id,)) in alarms.wanted, framework.id
        if not framework.is_removed and framework.has_left and framework.live == 0:
            assert (AlarmKind.FRAMEWORK_IDLE, (framework.id,)) in alarms.wanted, framework.id
