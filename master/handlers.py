"""What agents and frameworks say becomes commands; what was decided of it becomes answers."""

import structlog

from master.core.agents import AgentUnlinked, RegisterAgent
from master.core.draft import ToBeContinued
from master.core.frameworks import (
    FrameworkUnlinked,
    LeaveFramework,
    SubscribeFramework,
    TeardownFramework,
)
from master.core.inverse import AnswerInverseOffers
from master.core.machine import Command
from master.core.offers import AcceptOffers, DeclineOffers
from master.core.operations import AcknowledgeOperations, ReconcileOperations
from master.core.requests import RequestResources
from master.core.resizes import ResizeTask
from master.core.roles import ReviveOffers, SuppressOffers
from master.core.tasks import KillTasks, ReconcileTasks
from master.core.transactions import ObserveCluster, TransactLaunches
from master.core.updates import AcknowledgeUpdates, UpdateStatuses
from master.core.volumes import ReportVolumes
from master.perform import Performer
from master.probes import MasterProbe
from master.sessions import Link, Sessions
from protocol.codecs.agent import decode_agent_message
from protocol.codecs.framework import decode_framework_message
from protocol.decision import Refused
from protocol.errors import Fault, Malformed, NotLeader
from protocol.ids import AgentId, FrameworkId, TaskId
from protocol.messages import framework as framework_wire
from protocol.messages.agent import AgentRefused, AgentUsage, StatusUpdates, VolumeReports
from protocol.messages.agent import RegisterAgent as Registration
from protocol.messages.framework import (
    Accept,
    Acknowledge,
    AnswerInverse,
    CallDone,
    Decline,
    FrameworkMessage,
    Keep,
    KillTasksCall,
    Leave,
    Observe,
    Reconcile,
    Request,
    Revive,
    Subscribe,
    Subscribed,
    Suppress,
    Teardown,
    Transact,
    Transacted,
)
from protocol.messages.framework import ResizeTask as ResizeCall
from protocol.messages.link import Leader
from rlog.answers import Outcome, Submit, reason_of
from rlog.requests import SpaceReceiver

log = structlog.get_logger()

UNANSWERED = (Acknowledge, framework_wire.AcknowledgeOperations)


class AgentReceiver:
    """Receives from agents. An agent that speaks to a master that does not lead is not heard:

    it is told of the leader on the same link and registers there.
    """

    def __init__(
        self, submit: Submit[Command], sessions: Sessions, performer: Performer, probe: MasterProbe
    ) -> None:
        self._submit = submit
        self._sessions = sessions
        self._performer = performer
        self._probe = probe

    def connected(self, peer: Link) -> None:
        self._sessions.open(peer)

    def disconnected(self, peer: Link, reason: str) -> None:
        agent = self._sessions.agents.id_of(peer)
        number = self._sessions.close(peer)
        self._performer.forget(peer)
        if agent is not None:
            log.info("agent link lost", agent=agent, reason=reason)
            self._probe.agent_lost(agent)
            self._probe.links(*self._sessions.counts)
            self._submit(AgentUnlinked(agent, number))

    def leader_changed(self, peer: Link, leader: Leader) -> None:
        raise Malformed("an agent does not know who leads")

    def received(self, peer: Link, payload: bytes, epoch: int) -> None:
        """Take one message. Raises: Malformed."""
        message = decode_agent_message(payload)
        self._probe.received(type(message).__name__)
        agent = self._sessions.agents.id_of(peer)
        match message:
            case Registration():
                self._register(peer, message, len(payload))
            case StatusUpdates():
                if agent is not None:  # before that it repeats them when it registers
                    self._submit(UpdateStatuses(agent, message.statuses), None, len(payload))
            case VolumeReports():
                if agent is not None:  # before that the orders are repeated
                    self._submit(ReportVolumes(agent, message.reports), None, len(payload))
            case AgentUsage():
                if agent is not None:
                    self._probe.usage(agent, message.frameworks)
            case _:
                raise Malformed(f"{type(message).__name__} from an agent")

    def _register(self, peer: Link, registration: Registration, size_bytes: int) -> None:
        if registration.agent_id != peer.name:
            raise Malformed(f"agent {peer.name} registers as {registration.agent_id[:64]}")
        number = self._sessions.number_of(peer)

        def answer(outcome: Outcome) -> None:
            if isinstance(outcome, NotLeader):
                return
            if isinstance(outcome, (Refused, Fault)):
                self._refuse(peer, outcome)
            elif isinstance(outcome, ToBeContinued):
                if peer.is_open:
                    submit()
            elif not peer.is_open:
                self._submit(AgentUnlinked(AgentId(peer.name), number))
            else:
                log.info("agent admitted", agent=peer.name, address=peer.address)

        def submit() -> None:
            self._submit(RegisterAgent(registration, peer.principal, number), answer, size_bytes)

        submit()

    def _refuse(self, peer: Link, outcome: Refused | Fault) -> None:
        reason, text = reason_of(outcome)
        log.warning("agent not admitted", agent=peer.name, reason=reason, text=text)
        if isinstance(outcome, Refused):
            self._performer.say(peer, AgentRefused(reason, text))
        else:
            peer.close(text)  # it comes back and tries again


class FrameworkReceiver:
    """Receives from schedulers. Every numbered call is answered, whatever becomes of it."""

    def __init__(
        self,
        submit: Submit[Command],
        sessions: Sessions,
        performer: Performer,
        spaces: SpaceReceiver,
        probe: MasterProbe,
    ) -> None:
        self._submit = submit
        self._sessions = sessions
        self._performer = performer
        self._spaces = spaces
        self._probe = probe

    def connected(self, peer: Link) -> None:
        self._sessions.open(peer)

    def disconnected(self, peer: Link, reason: str) -> None:
        framework = self._sessions.frameworks.id_of(peer)
        number = self._sessions.close(peer)
        self._performer.forget(peer)
        self._spaces.disconnected(peer)
        if framework is not None:
            log.info("framework link lost", framework=framework, reason=reason)
            self._probe.links(*self._sessions.counts)
            self._submit(FrameworkUnlinked(framework, number))

    def leader_changed(self, peer: Link, leader: Leader) -> None:
        raise Malformed("a framework does not know who leads")

    def received(self, peer: Link, payload: bytes, epoch: int) -> None:
        """Take one call. Raises: Malformed."""
        message = decode_framework_message(payload)
        self._probe.received(type(message).__name__)
        if isinstance(message, Subscribe):
            self._subscribe(peer, message, len(payload))
            return
        if isinstance(message, Keep):  # standbys have no subscription, and elect one who will
            self._spaces.received(peer, message.request)
            return
        framework = self._sessions.frameworks.id_of(peer)
        if framework is None:
            if not isinstance(message, UNANSWERED):
                number = getattr(message, "call", 0)
                self._performer.say(peer, CallDone(number, "NOT_SUBSCRIBED", "subscribe first"))
            return
        command = command_of(framework, message)

        def answer(outcome: Outcome) -> None:
            if outcome is None and isinstance(message, (Accept, Decline)):
                is_accepted = isinstance(message, Accept)
                self._probe.offers("accepted" if is_accepted else "declined", len(message.offers))
            self._answer(peer, message, outcome)

        is_answered = not isinstance(message, UNANSWERED)
        self._submit(command, answer if is_answered else None, len(payload))

    def _subscribe(self, peer: Link, call: Subscribe, size_bytes: int) -> None:
        number = self._sessions.number_of(peer)

        def answer(outcome: Outcome) -> None:
            if not isinstance(outcome, Subscribed):
                self._answer(peer, call, outcome)
                return
            framework = FrameworkId(outcome.framework_id)
            if not peer.is_open:
                self._submit(FrameworkUnlinked(framework, number))
                return
            before = self._sessions.frameworks.id_of(peer)
            if before is not None and before != framework:
                self._submit(FrameworkUnlinked(before, number))  # a link speaks for one of them
            log.info("framework subscribed", framework=framework, name=peer.name)
            self._sessions.frameworks.take(framework, peer)  # who had it before is evicted
            self._probe.links(*self._sessions.counts)
            self._performer.say(peer, outcome)

        self._submit(SubscribeFramework(call, peer.principal, number), answer, size_bytes)

    def _answer(self, peer: Link, message: FrameworkMessage, outcome: Outcome) -> None:
        number = getattr(message, "call", 0)
        if isinstance(outcome, (Refused, Fault)):
            self._performer.say(peer, CallDone(number, *reason_of(outcome)))
        elif isinstance(outcome, Transacted):
            self._performer.say(peer, outcome)
        else:
            self._performer.say(peer, CallDone(number))


def command_of(framework: FrameworkId, message: FrameworkMessage) -> Command:
    """Return what a subscribed framework's call asks for.

    Raises: Malformed for what only masters say.
    """
    match message:
        case Accept():
            return AcceptOffers(framework, message)
        case Decline():
            return DeclineOffers(framework, message)
        case Observe():
            return ObserveCluster(framework, message)
        case Transact():
            return TransactLaunches(framework, message)
        case Request():
            return RequestResources(framework, message)
        case Revive():
            return ReviveOffers(framework, message)
        case Suppress():
            return SuppressOffers(framework, message)
        case KillTasksCall():
            return KillTasks(framework, message.kills)
        case ResizeCall():
            return ResizeTask(framework, TaskId(message.task_id), message.resources)
        case Acknowledge():
            return AcknowledgeUpdates(framework, message.acknowledgements)
        case framework_wire.AcknowledgeOperations():
            return AcknowledgeOperations(framework, message.operations)
        case framework_wire.ReconcileOperations():
            return ReconcileOperations(framework, message.operations)
        case Reconcile():
            return ReconcileTasks(framework, message.tasks)
        case Teardown():
            return TeardownFramework(framework)
        case AnswerInverse():
            return AnswerInverseOffers(framework, message)
        case Leave():
            return LeaveFramework(framework)
        case _:
            raise Malformed(f"{type(message).__name__} from a framework")
