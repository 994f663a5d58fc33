"""Effects of committed decisions become messages: gathered per link, one turn at a time."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, cast

import structlog

from master.core.effects import (
    AnswerAgent,
    Effect,
    EvictFramework,
    KeepVolumes,
    RefuseAgent,
    RemoveVolumes,
    SendAcknowledge,
    SendInverseOffers,
    SendInverseRescinded,
    SendKill,
    SendLaunch,
    SendOffers,
    SendOperations,
    SendRecalls,
    SendRescinded,
    SendResize,
    SendUpdates,
    SendView,
    TellHeld,
)
from master.probes import MasterProbe
from master.sessions import Link, Sessions
from protocol.codecs.agent import encode_agent_message
from protocol.codecs.framework import encode_framework_message
from protocol.messages import agent as wire
from protocol.messages.agent import (
    AcknowledgeStatuses,
    AgentMessage,
    AgentRefused,
    KillTasks,
    LaunchTasks,
    ResizeTasks,
)
from protocol.messages.framework import (
    FrameworkFailed,
    FrameworkMessage,
    InverseOffers,
    InverseRescinded,
    Offers,
    OperationUpdates,
    Recalls,
    Rescinded,
    Subscribed,
    Updates,
)
from rlog.spaces.commands import SpaceTouched

log = structlog.get_logger()

Message: TypeAlias = AgentMessage | FrameworkMessage

ITEMS_MAX = 256  # in one message; a frame stays far below what links take
LISTS = {
    Offers: "offers",
    Rescinded: "offers",
    InverseRescinded: "offers",
    Updates: "statuses",
    InverseOffers: "offers",
    LaunchTasks: "launches",
    KillTasks: "kills",
    ResizeTasks: "resizes",
    AcknowledgeStatuses: "acknowledgements",
    OperationUpdates: "statuses",
    Recalls: "recalls",
    wire.KeepVolumes: "volumes",
    wire.RemoveVolumes: "volumes",
}


class Performer:
    """Sends what effects ask for to whoever has the seat; nobody there: nothing is sent.

    `on_touched(space)` is told of every space that has changed.
    """

    def __init__(self, sessions: Sessions, probe: MasterProbe) -> None:
        self._sessions = sessions
        self._probe = probe
        self._epoch = 0
        self._queued: dict[Link, list[Message]] = {}
        self.on_touched: Callable[[str], None] = lambda space: None

    def begin(self, epoch: int) -> None:
        """Stamp what is said from now on with a new leadership's epoch."""
        for link in tuple(self._queued):
            self._flush(link)
        self._epoch = epoch

    def clear_seats(self) -> None:
        """End a leadership: whoever spoke to it must introduce itself to the next one."""
        for agent in self._sessions.agents.clear():
            self._probe.agent_lost(agent)
        self._sessions.frameworks.clear()
        self._probe.links(*self._sessions.counts)

    def perform(self, effect: Effect) -> None:
        """Queue one effect's message; it leaves in this turn of the event loop."""
        match effect:
            case SendOffers():
                self._probe.offers("made", len(effect.offers))
                self._to_framework(effect, Offers(effect.offers))
            case SendRescinded():
                self._probe.offers("rescinded", len(effect.offers))
                self._to_framework(effect, Rescinded(effect.offers))
            case SendInverseOffers():
                self._to_framework(effect, InverseOffers(effect.offers))
            case SendRecalls():
                self._to_framework(effect, Recalls(effect.recalls))
            case SendInverseRescinded():
                self._to_framework(effect, InverseRescinded(effect.offers))
            case SendView():
                self._to_framework(effect, effect.view)
            case SendUpdates():
                self._to_framework(effect, Updates(effect.statuses))
            case SendOperations():
                self._to_framework(effect, OperationUpdates(effect.statuses))
            case KeepVolumes():
                self._to_agent(effect, wire.KeepVolumes(effect.volumes))
            case RemoveVolumes():
                self._to_agent(effect, wire.RemoveVolumes(effect.volumes))
            case SendLaunch():
                self._to_agent(effect, LaunchTasks(effect.launches))
            case SendKill():
                self._to_agent(effect, KillTasks(effect.kills))
            case SendResize():
                self._to_agent(effect, ResizeTasks(effect.resizes))
            case SendAcknowledge():
                self._to_agent(effect, AcknowledgeStatuses(effect.acknowledgements))
            case AnswerAgent():
                self._answer_agent(effect)
            case EvictFramework():
                self._evict(effect)
            case TellHeld():
                _log_held(effect)
            case RefuseAgent():
                self._refuse_agent(effect)
            case SpaceTouched():
                self.on_touched(effect.space)

    def say(self, link: Link, message: Message) -> None:
        """Queue an answer behind everything that is queued for the link already."""
        if not link.is_open:
            return
        queue = self._queued.setdefault(link, [])
        if not queue:
            asyncio.get_running_loop().call_soon(self._flush, link)
        if queue and type(queue[-1]) is type(message) and type(message) in LISTS:
            joined = _items(queue[-1]) + _items(message)
            if len(joined) <= ITEMS_MAX:
                queue[-1] = _with_items(message, joined)
                return
        queue.append(message)

    def forget(self, link: Link) -> None:
        """Drop what is queued for a link that is gone."""
        self._queued.pop(link, None)

    def _to_framework(
        self,
        effect: SendOffers
        | SendRescinded
        | SendInverseOffers
        | SendInverseRescinded
        | SendRecalls
        | SendUpdates
        | SendView
        | SendOperations,
        message: FrameworkMessage,
    ) -> None:
        link = self._sessions.frameworks.link_of(effect.framework_id)
        if link is not None:
            self.say(link, message)

    def _to_agent(
        self,
        effect: SendLaunch | SendKill | SendResize | SendAcknowledge | KeepVolumes | RemoveVolumes,
        message: AgentMessage,
    ) -> None:
        link = self._sessions.agents.link_of(effect.agent_id)
        if link is not None:
            self.say(link, message)

    def _answer_agent(self, effect: AnswerAgent) -> None:
        link = self._sessions.link_of(effect.link)
        if link is None:
            return
        before = self._sessions.agents.take(effect.agent_id, link)
        self._probe.links(*self._sessions.counts)
        if before is not None and before is not link:
            log.warning(
                "an agent's link was replaced; if this goes on, copies of one work directory run",
                agent=effect.agent_id,
                before=before.address,
                now=link.address,
            )
            before.close("a newer link of this agent took its place")
        self.say(link, effect.answer)

    def _refuse_agent(self, effect: RefuseAgent) -> None:
        link = self._sessions.agents.link_of(effect.agent_id)
        if link is None:
            return
        self._sessions.agents.leave(link)
        self._probe.agent_lost(effect.agent_id)
        self._probe.links(*self._sessions.counts)
        log.warning("an agent is refused from now on", agent=effect.agent_id, reason=effect.reason)
        self.say(link, AgentRefused(effect.reason, effect.text))

    def _evict(self, effect: EvictFramework) -> None:
        link = self._sessions.link_of(effect.link)
        if link is None:
            return
        self._sessions.frameworks.leave(link)
        self._probe.links(*self._sessions.counts)
        self.say(link, FrameworkFailed(effect.reason, effect.text))
        asyncio.get_running_loop().call_soon(link.close, f"evicted: {effect.text}")

    def _flush(self, link: Link) -> None:
        for message in self._queued.pop(link, ()):
            for part in _parts(message):
                self._send(link, part)

    def _send(self, link: Link, message: Message) -> None:
        if isinstance(message, AgentMessage):
            content = encode_agent_message(message)
        else:
            content = encode_framework_message(message)
        if len(content) > link.payload_bytes_max and len(_items(message)) > 1:
            items = _items(message)
            half = len(items) // 2
            self._send(link, _with_items(message, items[:half]))
            self._send(link, _with_items(message, items[half:]))
        else:
            self._probe.sent(type(message).__name__, len(_items(message)))
            link.send(content, self._epoch)


def _log_held(effect: TellHeld) -> None:
    for zone in effect.zones:
        log.warning(
            "too many agents are silent at once, none of them is given up; see `quorate agents`",
            zone=zone.name or "(none)",
            silent=zone.absent,
            agents=zone.known,
        )
    if not effect.zones:
        log.warning("silent agents are given up again")


def _parts(message: Message) -> Sequence[Message]:
    """Return the message, or as many as its list needs at ITEMS_MAX each.

    What does not fit in the answer to a subscription follows as answers to a reconciliation.
    """
    if isinstance(message, Subscribed) and len(message.tasks) > ITEMS_MAX:
        rest = tuple(replace(status, sequence=0) for status in message.tasks[ITEMS_MAX:])
        return (replace(message, tasks=message.tasks[:ITEMS_MAX]), *_parts(Updates(rest)))
    items = _items(message)
    if len(items) <= ITEMS_MAX:
        return (message,)
    starts = range(0, len(items), ITEMS_MAX)
    return [_with_items(message, items[start : start + ITEMS_MAX]) for start in starts]


def _items(message: Message) -> tuple[Any, ...]:
    name = LISTS.get(type(message))
    return getattr(message, name) if name else ()


def _with_items(message: Message, items: tuple[Any, ...]) -> Message:
    renewed: Message = replace(cast(Any, message), **{LISTS[type(message)]: items})
    return renewed
