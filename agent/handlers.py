"""Handlers: turn the leading master's messages into commands, those for registrations too."""

from dataclasses import replace

import structlog

from agent.checkpoint import CheckpointLoop
from agent.core.machine import Command
from agent.core.recovery import JoinCluster
from agent.core.resizes import AcceptResize
from agent.core.state import State
from agent.core.tasks import AcceptKill, AcceptLaunch, EndAll
from agent.core.updates import AcknowledgeStatus, TellTasks, Told
from agent.core.volumes import KeepVolume, RemoveVolume
from agent.session import Session
from protocol.decision import Refused
from protocol.errors import Fault, Overloaded, UnknownMessage
from protocol.messages.agent import (
    AcknowledgeStatuses,
    AgentMessage,
    AgentRegistered,
    KeepVolumes,
    KillTasks,
    LaunchTasks,
    RegisterAgent,
    RemoveVolumes,
    ResizeTasks,
)
from protocol.messages.values import TaskStatus

log = structlog.get_logger()

OVERLOADED_S = 1.0  # after which the master is asked to say it all again


class Handlers:
    """Stands between the session with the master and the agent's loop."""

    def __init__(
        self,
        loop: CheckpointLoop,
        session: Session,
        introduction: RegisterAgent,
        kill_grace_ns: int,
    ) -> None:
        """`introduction` is the registration without the tasks."""
        self._loop = loop
        self._session = session
        self._introduction = introduction
        self._kill_grace_ns = kill_grace_ns
        self._registrations = 0
        session.on_leader = self.register
        session.on_message = self.handle
        session.on_gone = lambda: self._submit(EndAll(kill_grace_ns))

    def register(self) -> None:
        """Introduce the agent with every task that it has, or that waits to be accepted.

        Only the newest registration is sent: an older one may leave out launches of a master
        that has led since, and go to the one after it.
        """
        self._registrations += 1
        number = self._registrations

        def done(told: Told | Fault) -> None:
            if number != self._registrations:
                return
            if isinstance(told, Fault):
                self._session.ask_again(OVERLOADED_S)
            else:
                whole = replace(self._introduction, tasks=told.tasks, volumes=told.volumes)
                self._session.register(whole)

        self._loop.submit(TellTasks(), done)

    def handle(self, message: AgentMessage, size_bytes: int) -> None:
        """Submit what a master's message asks for.

        Raises: UnknownMessage for one that masters do not send.
        """
        match message:
            case LaunchTasks(launches):
                for launch in launches:
                    self._submit(AcceptLaunch(launch), size_bytes // len(launches))
            case KillTasks(kills):
                for kill in kills:
                    self._submit(AcceptKill(kill, self._kill_grace_ns))
            case KeepVolumes(volumes):
                for volume in volumes:
                    self._submit(KeepVolume(volume))
            case RemoveVolumes(volumes):
                for volume in volumes:
                    self._submit(RemoveVolume(volume))
            case ResizeTasks(resizes):
                for resize in resizes:
                    self._submit(AcceptResize(resize))
            case AcknowledgeStatuses(acknowledgements):
                for acknowledgement in acknowledgements:
                    self._submit(AcknowledgeStatus(acknowledgement))
            case AgentRegistered():
                self._submit(JoinCluster(self._session.origin))
                self._send_pending()
            case _:
                raise UnknownMessage(f"{type(message).__name__} from a master")

    def _send_pending(self) -> None:
        def done(statuses: tuple[TaskStatus, ...] | Fault) -> None:
            if not isinstance(statuses, Fault) and statuses:
                self._session.send_statuses(statuses)

        self._loop.query(pending_statuses, done)

    def _submit(self, command: Command, size_bytes: int = 256) -> None:
        def done(reply: object) -> None:
            if isinstance(reply, Overloaded):
                log.warning("too much is waiting, the master will repeat it")
                self._session.ask_again(OVERLOADED_S)
            elif isinstance(reply, Refused):
                log.debug("command refused", reason=reply.reason.name, text=reply.text)

        self._loop.submit(command, done, max(256, size_bytes))


def pending_statuses(state: State) -> tuple[TaskStatus, ...]:
    """What no master has acknowledged, oldest first within each launch."""
    return tuple(
        status for launch in state.unacknowledged for status in state.tasks[launch].pending
    )
