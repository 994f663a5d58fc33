"""Frameworks that hold everything, or decline everything, cost the others next to nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from master.core.agents import RegisterAgent
from master.core.frameworks import SubscribeFramework
from master.core.offers import AcceptOffers, DeclineOffers
from master.core.requests import RequestResources
from master.core.roles import ReviveOffers
from master.core.settings import SECOND_NS, Settings
from master.core.updates import AcknowledgeUpdates, UpdateStatuses
from protocol.ids import AgentId, FrameworkId
from protocol.messages.framework import Acknowledgement, Decline, Request, Revive, Want
from protocol.messages.values import Quantity, TaskState
from tests.unit.master.leader import (
    Leader,
    acceptance,
    description,
    registration,
    status,
    subscription,
)

BUSY, ABUSER = FrameworkId("fw-1"), FrameworkId("fw-2")
STEP_NS = SECOND_NS // 1000
ROUNDS = 400
PASSES_MAX = 2  # an offer is taken back in one turn and made to somebody else by the next pass


@dataclass
class Town:
    """A busy framework, with an agent for each of its tasks, beside one that behaves badly."""

    abuse: Callable[["Town"], None] | None
    leader: Leader = field(default_factory=lambda: Leader(is_checking=False))
    tasks: int = 0

    def __post_init__(self) -> None:
        for number in range(4):
            self.leader.submit(RegisterAgent(registration(f"a{number}"), "p", number))
        self.leader.submit(SubscribeFramework(subscription("busy"), "p", 1))
        self.leader.submit(RequestResources(BUSY, Request(1, "busy")))
        if self.abuse:
            self.leader.submit(SubscribeFramework(subscription("abuse"), "p", 2))

    def step(self) -> None:
        self.leader.advance(STEP_NS)
        if self.abuse:
            self.abuse(self)

    def wait_for_offer(self) -> int:
        """Ask for one task, and return how long it takes to be offered what it needs."""
        wanted = Want((Quantity("cpus", 1000), Quantity("mem", 1 << 30)), 1)
        self.leader.submit(RequestResources(BUSY, Request(1, "busy", (wanted,))))
        waited = 0
        while not self.leader.state.soft.offers_by_framework.get(BUSY):
            waited += 1
            self.step()
        return waited * STEP_NS

    def run_task(self) -> None:
        """Use the offer, and let the task end."""
        (offer_id,) = self.leader.state.soft.offers_by_framework[BUSY]
        agent_id = self.leader.state.soft.offers[offer_id].agent_id
        self.tasks += 1
        task_id = f"t{self.tasks}"
        self.leader.submit(AcceptOffers(BUSY, acceptance(offer_id, description(task_id))))
        ended = status(task_id, TaskState.FINISHED, 1, self.tasks)
        self.leader.submit(UpdateStatuses(AgentId(agent_id), (ended,)))
        read = Acknowledgement(task_id, self.tasks, 1)
        self.leader.submit(AcknowledgeUpdates(BUSY, (read,)))


def decline_at_once(town: Town) -> None:
    offers = tuple(town.leader.state.soft.offers_by_framework.get(ABUSER, ()))
    if offers:
        town.leader.submit(DeclineOffers(ABUSER, Decline(1, offers, 1)))


def decline_and_revive(town: Town) -> None:
    decline_at_once(town)
    town.leader.submit(ReviveOffers(ABUSER, Revive(1)))


def hold_for_ever(town: Town) -> None:
    return


@pytest.mark.parametrize("abuse", [decline_at_once, decline_and_revive, hold_for_ever])
def test_abuser_lets_others_wait_for_two_passes_at_most(abuse: Callable[[Town], None]) -> None:
    town = Town(abuse)
    waits = []
    for _ in range(ROUNDS):
        waits.append(town.wait_for_offer())
        town.run_task()
        for _ in range(100):
            town.step()
    bound_ns = PASSES_MAX * Settings().allocation_delay_ns + STEP_NS
    late = [wait for wait in waits if wait > bound_ns]
    assert len(late) <= ROUNDS // 100, late
    assert max(waits) <= Settings().offer_yield_ns + SECOND_NS


def test_spinner_is_asked_less_and_less() -> None:
    town = Town(decline_at_once)
    for _ in range(3000):
        town.step()
    early = town.leader.state.soft.offers_made
    for _ in range(60_000):
        town.step()
    assert town.leader.state.soft.offers_made - early <= 4 * 7  # pauses of 2, 4, 8, 16, 32 s
