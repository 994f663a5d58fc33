"""Session: what the agent says to the leading master, and hears from it."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from agent.probes import AgentProbe
from protocol.codecs.agent import decode_agent_message, encode_agent_message
from protocol.handshake import LinkIdentity
from protocol.links import LinkPace
from protocol.master_links import MasterLinks
from protocol.messages.agent import (
    AgentMessage,
    AgentRefused,
    AgentRegistered,
    AgentUsage,
    RegisterAgent,
    StatusUpdates,
    VolumeReport,
    VolumeReports,
)
from protocol.messages.values import TaskStatus
from protocol.peer import Peer

log = structlog.get_logger()

ANSWER_S_MAX = 10.0  # a registration without answer, or refused, is repeated after so long
STATUSES_PER_MESSAGE = 256  # far below one frame
GONE = "AGENT_GONE"  # the reason of a refusal that is for ever


class Session:
    """Keeps links to all masters and speaks with the leader once it knows the agent.

    Callbacks of the owner: `on_leader()` when a registration is wanted, `on_gone()` when the
    masters have given this agent up, `on_message(message, size_bytes)` for everything else.
    """

    def __init__(
        self,
        masters: tuple[str, ...],
        identity: LinkIdentity,
        rng: random.Random,
        pace: LinkPace,
        probe: AgentProbe,
        *,
        origin: str = "",
    ) -> None:
        """With an `origin` no other cluster's masters are followed, whatever their epoch."""
        self.is_registered = False
        self.on_leader: Callable[[], None] = lambda: None
        self.on_gone: Callable[[], None] = lambda: None
        self.on_message: Callable[[AgentMessage, int], None] = lambda message, size_bytes: None
        self._agent_id = identity.name
        self._probe = probe
        self._links = MasterLinks(masters, identity, self, rng, pace, origin=origin)
        self._peer: Peer | None = None
        self._epoch = 0
        self._again: asyncio.TimerHandle | None = None

    @property
    def origin(self) -> str:
        """Which cluster's masters are followed, empty while none was found."""
        return self._links.origin

    def start(self) -> None:
        """Begin to look for the leading master."""
        self._links.start()

    async def stop(self) -> None:
        """Close every link."""
        self._cancel_again()
        await self._links.stop()

    def register(self, registration: RegisterAgent) -> None:
        """Introduce the agent with all its tasks; asks again when no answer comes."""
        if self._peer is None:
            return
        content = encode_agent_message(registration)
        if len(content) > self._peer.payload_bytes_max:
            content = encode_agent_message(without_texts(registration))
        log.info(
            "registering", master=self._peer.name, epoch=self._epoch, tasks=len(registration.tasks)
        )
        self._peer.send(content, self._epoch)
        self.ask_again(ANSWER_S_MAX)

    def ask_again(self, delay_s: float) -> None:
        """Have the agent registered anew after a while, so that the master repeats itself."""
        self._cancel_again()
        loop = asyncio.get_running_loop()
        self._again = loop.call_later(delay_s, self._want_registration)

    def send_statuses(self, statuses: Sequence[TaskStatus]) -> None:
        """Tell the leader, when it knows us and keeps up; what is dropped here is repeated."""
        if not self.is_registered or self._peer is None or not self._peer.is_writable:
            return
        for first in range(0, len(statuses), STATUSES_PER_MESSAGE):
            part = tuple(statuses[first : first + STATUSES_PER_MESSAGE])
            self._peer.send(encode_agent_message(StatusUpdates(part)), self._epoch)
        self._probe.statuses_sent(len(statuses))

    def send_reports(self, reports: Sequence[VolumeReport]) -> None:
        """Tell the leader about volumes; it asks again about what is dropped here."""
        if self.is_registered and self._peer is not None and self._peer.is_writable:
            self._peer.send(encode_agent_message(VolumeReports(tuple(reports))), self._epoch)

    def send_usage(self, usage: AgentUsage) -> None:
        """Tell the leader what runs here; the next report makes up for a lost one."""
        if self.is_registered and self._peer is not None and self._peer.is_writable:
            self._peer.send(encode_agent_message(usage), self._epoch)

    # What the links call.

    def leader_found(self, peer: Peer, epoch: int) -> None:
        """Introduce the agent to the new leader."""
        self._peer, self._epoch = peer, epoch
        self._want_registration()

    def leader_lost(self) -> None:
        """Say nothing until a leader is found; tasks run on."""
        was_registered, self.is_registered = self.is_registered, False
        self._peer = None
        self._cancel_again()
        if was_registered:
            log.info("leading master lost", epoch=self._epoch)
            self._probe.registered(0)

    def received(self, payload: bytes, epoch: int) -> None:
        """Hand on what the leader sends. Raises: Malformed."""
        message = decode_agent_message(payload)
        if isinstance(message, AgentRegistered):
            self._note_registered(message)
        elif isinstance(message, AgentRefused):
            log.error("agent refused", reason=message.reason, text=message.text)
            self.is_registered = False
            self.ask_again(ANSWER_S_MAX)
            if message.reason == GONE:
                self.on_gone()
            return
        self.on_message(message, len(payload))

    def refused(self, address: str, code: str, text: str) -> None:
        """Nothing to do: the link has said so in the log and tries on, slowly."""

    def _note_registered(self, message: AgentRegistered) -> None:
        if message.agent_id != self._agent_id:
            log.error("registered under another name", name=message.agent_id)
            return
        self._cancel_again()
        if not self.is_registered:
            log.info("registered", epoch=self._epoch)
            self._probe.registered(self._epoch)
        self.is_registered = True

    def _want_registration(self) -> None:
        self._again = None
        if self._peer is not None:
            self.on_leader()

    def _cancel_again(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None


def without_texts(registration: RegisterAgent) -> RegisterAgent:
    """The same without the messages of its tasks: ids and numbers of all fit into one frame."""
    tasks = tuple(replace(task, message="") for task in registration.tasks)
    return replace(registration, tasks=tasks)
