"""Short names of a script's frameworks and offers, and words for what the master says."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from master.core.draft import Outcome, Said
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
from protocol.decision import Refused
from protocol.messages.framework import Offer, Subscribed, Transacted
from protocol.messages.values import TaskStatus
from protocol.resources import Resources, format_resources


@dataclass
class Names:
    """Scripts say f1 and o1, whatever the ids are."""

    frameworks: dict[str, str] = field(default_factory=dict)  # id → name
    offers: dict[str, str] = field(default_factory=dict)

    def framework(self, framework_id: str) -> str:
        return self.frameworks.get(framework_id, framework_id)

    def framework_id(self, name: str) -> str:
        return next((each for each, known in self.frameworks.items() if known == name), name)

    def offer(self, offer_id: str) -> str:
        return self.offers.setdefault(offer_id, f"o{len(self.offers) + 1}")

    def offer_id(self, name: str) -> str:
        return next((each for each, known in self.offers.items() if known == name), name)

    def translate(self, text: str) -> str:
        """Return a text of the master's with the script's names in it."""
        for ids in (self.offers, self.frameworks):
            for each in sorted(ids, key=len, reverse=True):
                text = text.replace(each, ids[each])
        return text


def tell(names: Names, outcome: Outcome) -> Iterator[str]:
    """Return a line for each thing that the outcome says to somebody."""
    if isinstance(outcome, Refused):
        yield f"refused {outcome.reason.name}: {names.translate(outcome.text)}"
        return
    if isinstance(outcome.reply, Subscribed):
        tasks = [f" {each.task_id}={each.state.name}" for each in outcome.reply.tasks]
        yield f"subscribed {names.framework(outcome.reply.framework_id)}{''.join(tasks)}"
    if isinstance(outcome.reply, Said):
        yield f"said {outcome.reply.text}"
    if isinstance(outcome.reply, Transacted):
        yield "committed" if outcome.reply.is_committed else "not committed"
        for each in outcome.reply.conflicts:
            yield f"conflict {each.placement} {each.reason}: {names.translate(each.text)}"
    for effect in outcome.effects:
        yield from tell_effect(names, effect)


def tell_effect(names: Names, effect: Effect) -> Iterator[str]:
    match effect:
        case SendOffers():
            for offer in effect.offers:
                to = names.framework(effect.framework_id)
                yield f"offer {names.offer(offer.offer_id)} {to} {_tell_offer(offer)}"
        case SendRescinded():
            names_of = " ".join(map(names.offer, effect.offers))
            yield f"rescind {names.framework(effect.framework_id)} {names_of}"
        case SendInverseOffers():
            for asked in effect.offers:
                until = f" until={asked.available_ns // 10**9}s" if asked.available_ns else ""
                when = f"from={asked.unavailable_ns // 10**9}s{until}"
                to = names.framework(effect.framework_id)
                tasks = ",".join(asked.tasks)
                yield f"inverse {asked.offer_id} {to} {asked.agent_id} {when} {tasks}"
        case SendInverseRescinded():
            ids = " ".join(effect.offers)
            yield f"rescind inverse {names.framework(effect.framework_id)} {ids}"
        case SendRecalls():
            for recall in effect.recalls:
                to = f"{names.framework(effect.framework_id)} {recall.agent_id}"
                grace = f"grace={recall.grace_ns // 10**9}s"
                yield f"ask back {to} {' '.join(recall.tasks)} role={recall.role} {grace}"
        case SendView():
            first = "first " if effect.view.is_first else ""
            for agent in effect.view.agents:
                what = amounts(agent.free) if agent.version else "is gone"
                at = f" @{agent.version}" if agent.version else ""
                to = f"{names.framework(effect.framework_id)} {effect.view.role}"
                yield f"view {to} {first}{agent.agent_id}{at} {what}"
        case SendUpdates():
            for status in effect.statuses:
                yield _tell_update(names, status)
        case SendOperations():
            for ended in effect.statuses:
                why = f": {ended.message}" if ended.message else ""
                owner = names.framework(effect.framework_id)
                yield f"operation {owner} {ended.operation_id} {ended.state.name}{why}"
        case EvictFramework():
            text = names.translate(effect.text)
            yield f"evict {names.framework(effect.framework_id)} {effect.reason}: {text}"
        case TellHeld():
            zones = [f"{z.name or 'all'} {z.absent}/{z.known}" for z in effect.zones]
            yield f"held {', '.join(zones) or 'nothing'}"
        case _:
            yield from _tell_agent(names, effect)


def _tell_agent(names: Names, effect: Effect) -> Iterator[str]:
    match effect:
        case KeepVolumes() | RemoveVolumes():
            verb = "keep" if isinstance(effect, KeepVolumes) else "remove"
            for volume in effect.volumes:
                size = amounts(Resources({"disk": volume.size_bytes}))
                yield f"{verb} {effect.agent_id} {volume.id} number {volume.number} {size}"
        case RefuseAgent():
            yield f"refuse {effect.agent_id} {effect.reason}: {effect.text}"
        case AnswerAgent():
            yield f"registered {effect.agent_id}"
        case _:
            yield from _tell_order(names, effect)


def _tell_order(names: Names, effect: Effect) -> Iterator[str]:
    """Return what is said to agents about tasks."""
    match effect:
        case SendLaunch():
            for launch in effect.launches:
                owner = names.framework(launch.framework_id)
                task_id = launch.description.task_id
                yield f"launch {effect.agent_id} {owner}/{task_id} number {launch.launch}"
        case SendKill():
            for kill in effect.kills:
                owner = names.framework(kill.framework_id)
                grace = f" grace={kill.grace_ns // 10**9}s" if kill.grace_ns else ""
                reason = f" {kill.reason.name}" if kill.reason else ""
                yield f"kill {effect.agent_id} {owner}/{kill.task_id}{grace}{reason}"
        case SendResize():
            for resize in effect.resizes:
                owner = names.framework(resize.framework_id)
                to = amounts(resize.resources)
                yield f"resize {effect.agent_id} {owner}/{resize.task_id} #{resize.number} {to}"
        case SendAcknowledge():
            for each in effect.acknowledgements:
                owner = names.framework(each.framework_id)
                yield f"acknowledge {effect.agent_id} {owner}/{each.task_id} #{each.sequence}"


def _tell_offer(offer: Offer) -> str:
    parts = [f" {each.id}:{amounts(each.resources)}" for each in offer.reserved]
    of = f" reserved{','.join(parts)}" if parts else ""
    for each_ in offer.bookings:
        of += f" booked {amounts(each_.resources)} for {each_.role}"
    if offer.volumes:
        of += f" volumes {' '.join(each.id for each in offer.volumes)}"
    away = f" away={offer.unavailable_ns // 10**9}s" if offer.unavailable_ns else ""
    return f"{offer.agent_id} {amounts(offer.resources)} role={offer.role}{of}{away}"


def amounts(resources: Resources) -> str:
    """Return resources as scripts write them."""
    if not resources:
        return "nothing"
    return format_resources(resources).replace(":", "=").replace(";", " ")


def _tell_update(names: Names, status: TaskStatus) -> str:
    reason = f" {status.reason.name}" if status.reason else ""
    verb = f"update #{status.sequence}" if status.sequence else "answer"
    owner = names.framework(status.framework_id)
    return f"{verb} {owner} {status.task_id} {status.state.name}{reason}"
