"""Storms of reservations, volumes and bookings: every invariant holds after every step.

The agents answer late or not at all, come back larger or smaller, and leaders lose what is soft.
"""

import random
from dataclasses import replace

import pytest

from master.core.agents import AgentUnlinked, RegisterAgent
from master.core.bookings import RemoveBooking, SetBooking
from master.core.frameworks import SubscribeFramework, TeardownFramework
from master.core.offers import AcceptOffers, DeclineOffers
from master.core.operations import AcknowledgeOperations
from master.core.policies import SetPolicy
from master.core.quotas import SetQuota
from master.core.reservations import ReserveByOperator, UnreserveByOperator
from master.core.settings import SECOND_NS
from master.core.snapshot import digest, dump, load
from master.core.updates import UpdateStatuses
from master.core.volumes import ChangeVolumeByOperator, ReportVolumes
from protocol.ids import AgentId, FrameworkId
from protocol.messages.agent import VolumeReport
from protocol.messages.framework import (
    Accept,
    CreateVolume,
    Decline,
    DestroyVolume,
    LaunchTask,
    Operation,
    Reserve,
    ResizeVolume,
    Unreserve,
)
from protocol.messages.operator import ChangeVolume
from protocol.messages.values import (
    Attribute,
    Booking,
    Mount,
    StaticReservation,
    TaskState,
    VolumeState,
)
from protocol.resources import Resources, parse_resources
from tests.unit.master.leader import Leader, description, registration, status, subscription

SEEDS = 24
STEPS = 150
ROLES = ("eng", "eng/search", "ops")
AGENTS = ("a1", "a2")


class Storm:
    """One leader, two agents, two frameworks of each role, and dice."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.leader = Leader()
        self.links = 0
        self.names = 0
        self.done = 0
        for agent in AGENTS:
            self.register(agent)
        for role in (*ROLES, *ROLES):
            self.links += 1
            self.leader.submit(SubscribeFramework(subscription(role), "p", self.links))

    def step(self) -> None:
        action = self.dice.choice(
            (
                self.accept,
                self.accept,
                self.accept,
                self.decline,
                self.reserve,
                self.unreserve,
                self.change_volume,
                self.report,
                self.report,
                self.end_task,
                self.end_task,
                self.book,
                self.register_other,
                self.register_other,
                self.unlink,
                self.rare,
                self.wait,
                self.wait,
            )
        )
        before = len(self.leader.log)
        action()
        self.done += len(self.leader.log) > before

    def some(self, most: Resources | None = None) -> Resources:
        text = self.dice.choice(("cpus:1", "cpus:1;mem:1GiB", "disk:2GiB", "cpus:1;disk:1GiB"))
        some = parse_resources(text)
        return some if most is None else some & most

    def name(self, known: tuple[str, ...] = ()) -> str:
        if known and self.dice.random() < 0.8:
            return self.dice.choice(known)
        self.names += 1
        return f"n{self.names}"

    def accept(self) -> None:
        offers = list(self.leader.state.soft.offers.values())
        if not offers:
            return
        offer = self.dice.choice(offers)
        agent = self.leader.state.agents[offer.agent_id]
        steps: list[Operation] = []
        for _ in range(self.dice.choice((0, 1, 1, 1, 2))):
            reservation = self.name(tuple(agent.reservations))
            volume = self.name(tuple(agent.volumes))
            operation_id = self.name() if self.dice.random() < 0.5 else ""
            role = self.dice.choice((*ROLES, *[offer.role] * 3, f"{offer.role}/x"))
            source = self.dice.choice(("", "", reservation))
            ttl_ns = self.dice.choice((0, 3 * SECOND_NS))
            steps.append(
                self.dice.choice(
                    (
                        Reserve(operation_id, self.name(), role, self.some(), source, (), ttl_ns),
                        Unreserve(operation_id, reservation),
                        CreateVolume(operation_id, volume, reservation, 1 << 30),
                        ResizeVolume(operation_id, volume, self.dice.randint(1, 3) << 29),
                        DestroyVolume(operation_id, volume),
                    )
                )
            )
        if self.dice.random() < 0.6:
            task = description(self.name(), "cpus:0.5;mem:128MiB")
            if offer.volumes and self.dice.random() < 0.7:
                task = replace(task, volumes=(Mount(offer.volumes[0], "data"),))
            steps.append(LaunchTask(task))
        accept = Accept(1, (offer.id,), tuple(steps))
        self.leader.submit(AcceptOffers(offer.framework_id, accept))

    def decline(self) -> None:
        offers = list(self.leader.state.soft.offers.values())
        if offers:
            offer = self.dice.choice(offers)
            self.leader.submit(DeclineOffers(offer.framework_id, Decline(1, (offer.id,))))

    def reserve(self) -> None:
        agent_id = self.dice.choice(AGENTS)
        agent = self.leader.state.agents.get(AgentId(agent_id))
        source = self.name(tuple(agent.reservations)) if agent and self.dice.random() < 0.4 else ""
        request = Reserve("", self.name(), self.dice.choice(ROLES), self.some(), source)
        self.leader.submit(ReserveByOperator(agent_id, request, "op"))

    def unreserve(self) -> None:
        agent_id = self.dice.choice(AGENTS)
        agent = self.leader.state.agents.get(AgentId(agent_id))
        name = self.name(tuple(agent.reservations) if agent else ())
        command = UnreserveByOperator(agent_id, name, when_free=self.dice.random() < 0.5)
        self.leader.submit(command)

    def change_volume(self) -> None:
        agent_id = self.dice.choice(AGENTS)
        agent = self.leader.state.agents.get(AgentId(agent_id))
        change = ChangeVolume(
            agent_id=agent_id,
            verb=self.dice.choice(("create", "resize", "destroy")),
            volume=self.name(tuple(agent.volumes) if agent else ()),
            reservation=self.name(tuple(agent.reservations) if agent else ()),
            size_bytes=self.dice.randint(1, 3) << 29,
            is_shared=self.dice.random() < 0.5,
        )
        self.leader.submit(ChangeVolumeByOperator(change, "op"))

    def report(self) -> None:
        """An agent says what has become of a volume, or what was to become of it once."""
        for agent in self.leader.state.agents.values():
            for volume in tuple(agent.volumes.values()):
                good = VolumeState.GONE if volume.is_doomed else VolumeState.READY
                told = self.dice.choice((good, good, good, VolumeState.FAILED))
                number = volume.number if self.dice.random() < 0.9 else 99
                report = replace(volume.tell("eng"), state=told, number=number)
                self.leader.submit(ReportVolumes(agent.id, (VolumeReport(report, "no"),)))

    def end_task(self) -> None:
        tasks = [each for each in self.leader.state.tasks.values() if not each.is_ended]
        if tasks:
            task = self.dice.choice(tasks)
            ended = status(
                task.task_id,
                TaskState.FINISHED,
                task.agent_sequence + 1,
                task.launch,
                task.framework_id,
            )
            self.leader.submit(UpdateStatuses(task.agent_id, (ended,)))

    def book(self) -> None:
        name = self.dice.choice(("b1", "b2"))
        if self.dice.random() < 0.3:
            self.leader.submit(RemoveBooking(name))
            return
        now_ns = self.leader.now_ns
        booking = Booking(
            name,
            "ops",
            share_millionths=self.dice.choice((100_000, 500_000)),
            attributes=self.dice.choice(((), (Attribute("rack", "r1"),))),
            lead_ns=2 * SECOND_NS,
            is_killing=self.dice.random() < 0.5,
            begin_ns=now_ns + self.dice.choice((0, 3 * SECOND_NS)),
            end_ns=self.dice.choice((0, now_ns + 6 * SECOND_NS)),
        )
        self.leader.submit(SetBooking(booking))

    def register_other(self) -> None:
        self.register(self.dice.choice(AGENTS))

    def register(self, agent_id: str) -> None:
        state = self.leader.state
        agent = state.agents.get(AgentId(agent_id))
        tasks = () if agent is None else tuple(state.tasks[key].status for key in agent.tasks)
        static = self.dice.choice(((), ((StaticReservation("eng", parse_resources("cpus:2"))),)))
        rack = self.dice.choice(("r1", "r2"))
        whole = self.dice.choice(("cpus:8;mem:8GiB;disk:9GiB", "cpus:4;mem:4GiB;disk:7GiB"))
        told = registration(agent_id, whole, *tasks)
        told = replace(told, reserved=static, attributes=(Attribute("rack", rack),))
        self.links += 1
        self.leader.submit(RegisterAgent(told, "p", self.links))

    def unlink(self) -> None:
        agent_id = AgentId(self.dice.choice(AGENTS))
        link = self.leader.state.soft.agent_links.get(agent_id)
        if link is not None and self.dice.random() < 0.3:
            self.leader.submit(AgentUnlinked(agent_id, link))

    def rare(self) -> None:
        """What does not happen often."""
        chance = self.dice.random()
        frameworks = list(self.leader.state.frameworks.values())
        if chance < 0.3:
            self.leader.crash()
            for agent_id in AGENTS:
                self.register(agent_id)
        elif chance < 0.5:
            framework = self.dice.choice(frameworks)
            operations = tuple(framework.operations)
            self.leader.submit(AcknowledgeOperations(framework.id, operations))
        elif chance < 0.6:
            framework = self.dice.choice(frameworks)
            self.leader.submit(TeardownFramework(framework.id))
            self.links += 1
            again = SubscribeFramework(subscription(*framework.roles), "p", self.links)
            self.leader.submit(again)
        elif chance < 0.8:
            for framework in frameworks:
                again_ = subscription(*framework.roles, framework_id=framework.id)
                self.links += 1
                self.leader.submit(SubscribeFramework(again_, "p", self.links))
        elif chance < 0.9:
            sharers = self.dice.choice((1, 2, 3))
            role = self.dice.choice(ROLES)
            self.leader.submit(SetPolicy(role, {}, sharers, reclaims=self.dice.random() < 0.5))
        else:
            limit = self.dice.choice(({}, {"cpus": 6000}))
            self.leader.submit(SetQuota("eng", {}, limit, is_forced=True))

    def wait(self) -> None:
        self.leader.advance(self.dice.choice((SECOND_NS // 100, SECOND_NS, 7 * SECOND_NS)))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_storm_of_holdings_breaks_nothing(seed: int) -> None:
    storm = Storm(seed)
    for _ in range(STEPS):
        storm.step()
    assert storm.done > STEPS // 10  # it did something
    state = storm.leader.state
    assert digest(storm.leader.replay()) == digest(state)
    assert digest(load(dump(state))) == digest(state)
    assert FrameworkId("fw-1") in state.frameworks
