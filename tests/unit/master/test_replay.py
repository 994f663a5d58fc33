"""In whatever order things happen, the invariants hold and the log alone makes the same state."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from master.core import invariants
from master.core.agents import AgentUnlinked, RegisterAgent
from master.core.frameworks import (
    FrameworkUnlinked,
    LeaveFramework,
    SubscribeFramework,
    TeardownFramework,
)
from master.core.offers import AcceptOffers, DeclineOffers
from master.core.policies import SetPolicy
from master.core.quotas import SetQuota
from master.core.requests import RequestResources
from master.core.roles import ReviveOffers, SetWeight, SuppressOffers
from master.core.settings import DAY_NS, SECOND_NS, Settings
from master.core.snapshot import digest, dump, load
from master.core.tasks import KillByOperator, KillTasks, ReconcileTasks
from master.core.transactions import ObserveCluster, TransactLaunches
from master.core.updates import AcknowledgeUpdates, UpdateStatuses
from protocol.ids import AgentId, FrameworkId, TaskId
from protocol.messages.framework import (
    Accept,
    Acknowledgement,
    Decline,
    KillTask,
    LaunchTask,
    Observe,
    Operation,
    Placement,
    Request,
    Revive,
    Suppress,
    Transact,
    Want,
)
from protocol.messages.values import Constraint, TaskState
from protocol.quantities import listed_quantities
from protocol.resources import parse_resources
from tests.unit.master.leader import Leader, description, registration, status, subscription

# A step is a verb and three numbers, from which it chooses among what there is: small numbers make
# collisions, and with them the interesting cases, likely.
Step = tuple[str, int, int, int]
ROLES = ("web", "db", "*")
SIZES = ("cpus:4;mem:8GiB", "cpus:2;mem:4GiB;ports:[1-9]", "cpus:8;mem:8GiB;ports:[5-20]")
DEMANDS = (
    "cpus:1;mem:1GiB",
    "cpus:2;mem:64MiB;ports:[5-5]",
    "cpus:0.1;mem:7GiB",
    "cpus:9;mem:1GiB",
)
DURATIONS_NS = (1, SECOND_NS, 6 * SECOND_NS, 11 * SECOND_NS, 61 * SECOND_NS, DAY_NS, 8 * DAY_NS)


class Chaos:
    """Turns steps into commands."""

    def __init__(self) -> None:
        # No resends: days pass, and nobody here answers.
        quiet = replace(
            Settings(),
            launch_resend_ns=90 * DAY_NS,
            kill_resend_ns=90 * DAY_NS,
            update_resend_ns=90 * DAY_NS,
            offer_timeout_ns=5 * DAY_NS,
            reclaim_look_ns=DAY_NS,
            tick_alarms_max=4,
        )
        self.leader = Leader.with_settings(quiet)
        self.links = 0

    def run(self, step: Step) -> None:
        verb, *numbers = step
        handler: Callable[[int, int, int], None] = getattr(self, verb)
        handler(*numbers)

    def agent(self, a: int, b: int, c: int) -> None:
        self.links += 1
        agent_id = AgentId(f"a{a % 3}")
        agent = self.leader.state.agents.get(agent_id)
        tasks = [self.leader.state.tasks[key] for key in agent.tasks] if agent else []
        reported = [
            status(
                each.task_id,
                TaskState(1 + (b + n) % 11),
                each.agent_sequence + b % 2,
                each.launch,
                each.framework_id,
            )
            for n, each in enumerate(tasks)
            if (n + c) % 3
        ]
        register = registration(agent_id, SIZES[b % 3], *reported, *[status("ghost")] * (c % 2))
        self.leader.submit(RegisterAgent(register, f"p{c % 20 // 19}", self.links))

    def unlink_agent(self, a: int, b: int, c: int) -> None:
        agent_id = AgentId(f"a{a % 3}")
        link = self.leader.state.soft.agent_links.get(agent_id, 0) + b % 5 // 4
        self.leader.submit(AgentUnlinked(agent_id, link))

    def framework(self, a: int, b: int, c: int) -> None:
        self.links += 1
        known = list(self.leader.state.frameworks)
        call = subscription(
            *ROLES[: 1 + b % 3],
            framework_id=known[-1 - a % len(known[:2])] if known and b % 2 else "",
            token=f"t{a}" if c % 2 else "",
            failover_timeout_ns=DURATIONS_NS[2 + c % 4],
        )
        self.leader.submit(SubscribeFramework(call, f"p{c % 20 // 19}", self.links))

    def unlink_framework(self, a: int, b: int, c: int) -> None:
        framework_id = self._framework(a)
        link = self.leader.state.soft.framework_links.get(framework_id, 0) + b % 5 // 4
        self.leader.submit(FrameworkUnlinked(framework_id, link))

    def accept(self, a: int, b: int, c: int) -> None:
        if b % 4:
            self.leader.advance(SECOND_NS)
        offers = list(self.leader.state.soft.offers.values())
        chosen = offers[a % len(offers) :][: 1 + b % 2] if offers else []
        owner = chosen[0].framework_id if chosen else self._framework(a)
        operations: list[Operation] = [
            LaunchTask(
                replace(
                    description(f"t{(b + n) % 9}", DEMANDS[(c + n) % 4]),
                    is_preemptible=bool(a % 2),
                )
            )
            for n in range(1 + c % 2)
        ]
        operations += [KillTask(f"t{a % 9}")] * (b % 2)
        accept = Accept(
            1, tuple(offer.id for offer in chosen), tuple(operations), DURATIONS_NS[a % 4]
        )
        self.leader.submit(AcceptOffers(owner, accept))

    def decline(self, a: int, b: int, c: int) -> None:
        offers = list(self.leader.state.soft.offers)
        decline = Decline(1, tuple(offers[a % 4 :][: b % 3]), DURATIONS_NS[c % 7])
        self.leader.submit(DeclineOffers(self._framework(a), decline))

    def update(self, a: int, b: int, c: int) -> None:
        tasks = list(self.leader.state.tasks.values())
        if tasks:
            task = tasks[a % len(tasks)]
            sequence = task.agent_sequence + b % 3
            state = TaskState(c % 13)
            each = status(
                task.task_id, state, sequence, task.launch + b % 7 // 6, task.framework_id
            )
            self.leader.submit(UpdateStatuses(task.agent_id, (each, replace(each, sequence=99))))

    def acknowledge(self, a: int, b: int, c: int) -> None:
        for task in list(self.leader.state.tasks.values())[: 1 + a % 4]:
            each = Acknowledgement(task.task_id, task.launch, task.updates_made + b % 3 - 1)
            self.leader.submit(AcknowledgeUpdates(task.framework_id, (each,)))

    def kill(self, a: int, b: int, c: int) -> None:
        if c % 2:
            self.leader.submit(KillTasks(self._framework(a), (KillTask(f"t{b % 9}", c),)))
        else:
            self.leader.submit(KillByOperator(self._framework(a), TaskId(f"t{b % 9}"), c))

    def reconcile(self, a: int, b: int, c: int) -> None:
        tasks = tuple(f"t{n}" for n in range(b % 4))
        self.leader.submit(ReconcileTasks(self._framework(a), tasks))

    def want(self, a: int, b: int, c: int) -> None:
        roles = ROLES[: b % 4]
        if c % 2:
            self.leader.submit(SuppressOffers(self._framework(a), Suppress(1, roles)))
        else:
            self.leader.submit(ReviveOffers(self._framework(a), Revive(1, roles)))

    def weight(self, a: int, b: int, c: int) -> None:
        self.leader.submit(SetWeight(ROLES[a % 3], b * 500))

    def quota(self, a: int, b: int, c: int) -> None:
        guarantee = {"cpus": b % 4 * 500} if a % 2 else {}
        limit = {"cpus": 2000 + b * 500, "ports": b * 1000} if c % 2 else {}
        self.leader.submit(SetQuota(ROLES[a % 3], guarantee, limit, is_forced=c % 3 == 0))

    def policy(self, a: int, b: int, c: int) -> None:
        least = {"cpus": b % 4 * 500} if a % 2 else {}
        self.leader.submit(SetPolicy(ROLES[a % 3], least, c % 4, b % 7 == 0, a % 2 == 0))

    def observe(self, a: int, b: int, c: int) -> None:
        self.leader.submit(ObserveCluster(self._framework(a), Observe(1, ROLES[b % 3])))

    def transact(self, a: int, b: int, c: int) -> None:
        placements = tuple(
            Placement(f"a{(a + n) % 3}", c % 4, (description(f"t{(b + n) % 9}", DEMANDS[n]),))
            for n in range(c % 3)
        )
        call = Transact(1, ROLES[b % 3], placements, bool(a % 2))
        self.leader.submit(TransactLaunches(self._framework(a), call))

    def request(self, a: int, b: int, c: int) -> None:
        constraint = Constraint("agent", (f"a{c % 3}",), is_negated=bool(b % 2))
        wants = [
            Want(
                listed_quantities(parse_resources(DEMANDS[(b + n) % 4]).quantities),
                (c + n) % 4,
                (constraint,) * (c % 2),
            )
            for n in range(a % 3)
        ]
        call = Request(1, ROLES[b % 3], tuple(wants))
        self.leader.submit(RequestResources(self._framework(a), call))

    def teardown(self, a: int, b: int, c: int) -> None:
        if b % 9 == 0:
            self.leader.submit(TeardownFramework(self._framework(a), "op" * (c % 2)))

    def leave(self, a: int, b: int, c: int) -> None:
        if b % 5 == 0:
            self.leader.submit(LeaveFramework(self._framework(a)))

    def advance(self, a: int, b: int, c: int) -> None:
        self.leader.advance(DURATIONS_NS[max(a - 35, b % 3)])

    def crash(self, a: int, b: int, c: int) -> None:
        if a % 5 == 0:
            self.leader.crash()

    def _framework(self, number: int) -> FrameworkId:
        known = list(self.leader.state.frameworks)
        return known[-1 - number % 3] if len(known) > number % 3 else FrameworkId("fw-0")


OFTEN = ("advance", "agent", "framework", "accept", "accept", "update", "update", "request")
VERBS = [name for name in vars(Chaos) if name[0] != "_" and name != "run"]
NUMBERS = st.integers(0, 41)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *VERBS,
                "advance",
                "agent",
                "framework",
                "accept",
                "accept",
                "update",
                "update",
                "request",
                "policy",
            ]
        ),
        NUMBERS,
        NUMBERS,
        NUMBERS,
    ),
    min_size=5,
    max_size=60,
)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_any_history_can_be_replayed(steps: list[Step]) -> None:
    chaos = Chaos()
    for step in [("agent", 0, 0, 0), ("framework", 0, 1, 1), ("advance", 1, 0, 0), *steps]:
        chaos.run(step)
    state = chaos.leader.state
    replayed = chaos.leader.replay()
    invariants.check(replayed)
    assert digest(replayed) == digest(state)
    assert digest(load(dump(state))) == digest(state)


@pytest.mark.parametrize("seed", range(100))
def test_long_history_can_be_replayed(seed: int) -> None:
    """Chance goes where a search for small examples does not: many things open at once."""
    rng = random.Random(seed)
    chaos = Chaos()
    for step in [("agent", 0, 0, 0), ("framework", 0, 1, 1), ("advance", 1, 0, 0)]:
        chaos.run(step)
    for _ in range(rng.randint(20, 80)):
        numbers = rng.randint(0, 41), rng.randint(0, 41), rng.randint(0, 41)
        chaos.run((rng.choice([*VERBS, *OFTEN]), *numbers))
    assert digest(chaos.leader.replay()) == digest(chaos.leader.state)


@given(STEPS, STEPS)
@settings(max_examples=50, deadline=None)
def test_a_loaded_snapshot_goes_on_as_the_state_it_was_made_of(
    before: list[Step], after: list[Step]
) -> None:
    chaos, other = Chaos(), Chaos()
    for step in before:
        chaos.run(step)
        other.run(step)
    other.leader.state = load(dump(other.leader.state))
    for leader in (chaos.leader, other.leader):
        leader.take_over()
    other.leader.is_checking = False
    for step in after:
        if step[0] != "crash":
            chaos.run(step)
            other.run(step)
    assert digest(chaos.leader.state) == digest(other.leader.state)
