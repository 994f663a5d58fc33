"""The machine: every command and every event has its function, and every event an example."""

from dataclasses import replace
from typing import get_args

from master.codec import encode_batch
from master.core import machine, soft
from master.core.absence import LiftGuard
from master.core.agents import AgentUnlinked, RegisterAgent
from master.core.bookings import RemoveBooking, SetBooking
from master.core.duty import ActivateAgent, DeactivateAgent, DeclareGone, DrainAgent
from master.core.events import Batch, Event, LogRestored
from master.core.frameworks import (
    FrameworkUnlinked,
    LeaveFramework,
    SubscribeFramework,
    TeardownFramework,
)
from master.core.leadership import TakeOver
from master.core.machine import Command, Machine
from master.core.maintenance import EndWindow, ScheduleWindow
from master.core.offers import AcceptOffers
from master.core.operations import AcknowledgeOperations
from master.core.policies import SetPolicy
from master.core.quotas import SetQuota
from master.core.reservations import ReserveByOperator, UnreserveByOperator
from master.core.resizes import ResizeTask
from master.core.roles import ReviveOffers, SetWeight, SuppressOffers
from master.core.settings import DAY_NS, SECOND_NS
from master.core.tasks import KillTasks
from master.core.updates import AcknowledgeUpdates, UpdateStatuses
from master.core.volumes import ChangeVolumeByOperator, ReportVolumes
from protocol.ids import AgentId, FrameworkId, TaskId
from protocol.messages.agent import VolumeReport
from protocol.messages.framework import (
    Accept,
    Acknowledgement,
    CreateVolume,
    KillTask,
    Reserve,
    Revive,
    Suppress,
)
from protocol.messages.operator import ChangeVolume
from protocol.messages.values import Booking, TaskState, Volume, VolumeState
from protocol.resources import parse_resources
from rlog.spaces import messages
from rlog.spaces.commands import ChangeSpace
from rlog.spaces.messages import (
    AcquireLease,
    AppendRecords,
    ClaimJournal,
    RemoveSpace,
    Transact,
    TruncateJournal,
)
from tests.unit.master.leader import (
    Leader,
    acceptance,
    description,
    offers_of,
    registration,
    status,
    subscription,
)

F1, A1, A2 = FrameworkId("fw-1"), AgentId("a1"), AgentId("a2")


def busy_leader() -> Leader:
    """Return a leader through whose log every kind of event has gone."""
    leader = Leader()
    leader.submit(TakeOver(1, "m1:7000", "origin"))
    has = "cpus:4;mem:8GiB;disk:1GiB"
    leader.submit(RegisterAgent(replace(registration("a1", has), can_resize=True), "p", 1))
    leader.submit(SubscribeFramework(subscription(), "p", 2))
    leader.advance(SECOND_NS)
    leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], description())))
    leader.submit(UpdateStatuses(A1, (status(),)))
    leader.submit(AcknowledgeUpdates(F1, (Acknowledgement("t1", 1, 1),)))
    leader.submit(ResizeTask(F1, TaskId("t1"), parse_resources("cpus:2")))
    leader.submit(UpdateStatuses(A1, (replace(status(sequence=2), resize=1),)))
    leader.submit(AcknowledgeUpdates(F1, (Acknowledgement("t1", 1, 2),)))
    leader.submit(SuppressOffers(F1, Suppress()))
    leader.submit(ReviveOffers(F1, Revive()))
    leader.submit(SetWeight("web", 2500))
    leader.submit(SetQuota("web", {"cpus": 1000}, {"cpus": 9000}))
    leader.submit(ReserveByOperator("a1", Reserve(role="web", resources=parse_resources("cpus:1"))))
    leader.advance(SECOND_NS)
    leader.submit(AcceptOffers(F1, acceptance(offers_of(leader)[0], description("t2"))))
    keep_volumes(leader)
    book(leader)
    leader.submit(UnreserveByOperator("a1", "r1", when_free=True))
    leader.submit(UpdateStatuses(A1, (status("t2", TaskState.FINISHED, 1, 2),)))
    leader.advance(SECOND_NS)
    leader.submit(SetPolicy("web", {"cpus": 100}))
    leader.submit(KillTasks(F1, (KillTask("t1"),)))
    leader.submit(RegisterAgent(registration(A2), "p", 4))
    leader.submit(DeactivateAgent(A2, "op"))
    leader.submit(ActivateAgent(A2, "op"))
    leader.submit(DrainAgent(A1, "op", deadline_ns=DAY_NS))
    leader.submit(AgentUnlinked(A2, 4))
    leader.submit(DeclareGone(A2, "op"))
    leader.submit(LiftGuard("op", SECOND_NS))
    for change in (
        AcquireLease(1, "s", "lead", "me", SECOND_NS),
        Transact(2, "s", changes=(messages.Change("k", b"v", lease="lead"),)),
        ClaimJournal(3, "s", "", "j", "me"),
        AppendRecords(4, "s", "", "j", 3, 1, (), (b"r",)),
        TruncateJournal(5, "s", "j", 3, 2),
    ):
        leader.submit(ChangeSpace("p", change))
    leader.submit(LeaveFramework(F1))
    leader.submit(FrameworkUnlinked(F1, 2))
    leader.submit(TeardownFramework(F1))
    leader.submit(AgentUnlinked(A1, 1))
    leader.submit(ScheduleWindow("w", (A1,), leader.now_ns + DAY_NS, 0, 0, "op"))
    leader.advance(8 * DAY_NS)
    leader.submit(EndWindow("w", "op"))
    leader.submit(ChangeSpace("p", RemoveSpace(3, "s")))
    return leader


def book(leader: Leader) -> None:
    """Book a little of each agent, and no more."""
    booking = Booking("b", "web", resources=parse_resources("cpus:0.001"))
    leader.submit(SetBooking(booking))
    leader.submit(RemoveBooking("b"))


def keep_volumes(leader: Leader) -> None:
    """Make a volume, resize it, and destroy it."""
    leader.advance(10 * SECOND_NS)
    grown, small = Volume("v", 1, size_bytes=2), Volume("v", 1, size_bytes=1)
    operations = (
        Reserve(role="web", reservation="disk", resources=parse_resources("disk:9B")),
        CreateVolume("op", "v", "disk", 1),
    )
    leader.submit(AcceptOffers(F1, Accept(1, tuple(offers_of(leader)), operations)))
    for told in (small, grown):
        report = VolumeReport(replace(told, state=VolumeState.READY))
        leader.submit(ReportVolumes(A1, (report,)))
        change = ChangeVolume(agent_id="a1", volume="v", verb="resize", size_bytes=2)
        leader.submit(ChangeVolumeByOperator(change))
    leader.submit(AcknowledgeOperations(F1, ("op",)))
    leader.submit(ChangeVolumeByOperator(ChangeVolume(0, "a1", "v", "destroy")))
    leader.submit(ReportVolumes(A1, (VolumeReport(replace(grown, state=VolumeState.GONE)),)))
    leader.submit(UnreserveByOperator("a1", "disk"))


def restored_leader() -> Leader:
    """Return a busy leader whose log came from a backup."""
    leader = busy_leader()
    leader.log.append(encode_batch(Batch(leader.now_ns, (LogRestored(1000, 100),))))
    leader.crash_to_log()
    return leader


def test_every_command_is_decided_by_a_function() -> None:
    assert set(machine._DECIDE) == set(get_args(Command))


def test_every_event_is_applied_by_a_function() -> None:
    assert set(machine._APPLY) == set(get_args(Event))


def test_every_soft_event_is_applied_by_a_function() -> None:
    assert set(soft.APPLY) == set(get_args(soft.SoftEvent))


def test_every_event_has_an_example() -> None:
    assert {type(event) for event in restored_leader().events} == set(get_args(Event))


def test_restored_log_gives_no_number_that_its_lost_end_may_have_given() -> None:
    leader = restored_leader()
    leader.submit(RegisterAgent(registration(), "p", 1))
    leader.submit(SubscribeFramework(subscription(), "p", 2))
    leader.advance(SECOND_NS)
    newest = FrameworkId("fw-102")
    accept = acceptance(offers_of(leader, newest)[0], description())
    leader.submit(AcceptOffers(newest, accept))
    assert [task.launch for task in leader.state.tasks.values()] == [1003]


def test_example_survives_another_leader() -> None:
    leader = busy_leader()
    leader.crash()
    assert list(leader.state.agents) == []


def test_idle_machine_has_nothing_due() -> None:
    assert Machine().due(Machine().empty()) is None
