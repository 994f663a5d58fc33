"""Absence: agents that have been silent for too long, and how many may be given up at once.

One machine that dies is given up at once. Many that fall silent together are rather the network's
fault, or the masters': giving them up would have every framework start replacements of what
still runs, all at the same time. So they wait, and operators are told, until most are back or an
operator lifts the guard. A zone that falls silent as a whole is believed while others are well.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from master.core.agents import draft_removal, draft_unreachable
from master.core.alarms import AlarmKind
from master.core.draft import Draft, Outcome
from master.core.effects import TellHeld
from master.core.events import GuardLifted
from master.core.records import Agent, Zone
from master.core.settings import DAY_NS, SECOND_NS, Settings
from master.core.soft import AgentHandled, AgentOverdue, RemovalsCounted, ZonesHeld
from master.core.state import State
from master.core.validity import check_duration, check_texts
from protocol.ids import AgentId
from protocol.messages.operator import GuardView, ZoneView

LIFTED_MAX_NS = DAY_NS
LOOK_NS = 2 * SECOND_NS  # from one look at held zones to the next
FRACTION_UNITS = 1000


@dataclass(frozen=True, slots=True)
class LiftGuard:
    """An operator knows that the silent agents are gone: believe it of all for a while.

    A duration of 0 puts the guard in place again.
    """

    by: str
    duration_ns: int


def decide_lift(state: State, command: LiftGuard, now_ns: int, settings: Settings) -> Outcome:
    """Refuses: BAD_NAME, BAD_DURATION."""
    refused = check_texts((("operator", command.by),)) or check_duration(
        "time without the guard", command.duration_ns, LIFTED_MAX_NS
    )
    if refused:
        return refused
    draft = Draft(now_ns, settings)
    draft.events.append(GuardLifted(command.by, now_ns + command.duration_ns))
    if state.soft.overdue or state.soft.held:
        draft.alarm(AlarmKind.ABSENCE, (), 0)
    return draft.decision()


def survey(state: State, settings: Settings, now_ns: int) -> dict[str, Zone]:
    """Return how each zone is; agents that operators drain are expected to go, and do not count."""
    counts: dict[str, list[int]] = {}
    for agent in state.agents.values():
        if agent.drain or agent.gone:
            continue
        is_there = agent.id in state.soft.agent_links
        is_old = agent.is_unreachable and agent.unreachable_ns < now_ns - settings.absence_window_ns
        if is_there or not is_old:
            count = counts.setdefault(_zone_of(agent, settings), [0, 0])
            count[0] += 1
            count[1] += not is_there
    ailing = {
        name: absent >= settings.absent_min
        and absent * FRACTION_UNITS > known * settings.absent_milli_max
        for name, (known, absent) in counts.items()
    }
    is_lifted = state.guard_lifted_ns > now_ns
    are_all_ailing = all(ailing.values())
    return {
        name: Zone(
            name=name,
            known=known,
            absent=absent,
            is_held=ailing[name] and not is_lifted and (absent < known or are_all_ailing),
        )
        for name, (known, absent) in counts.items()
    }


def view_guard(state: State, settings: Settings, now_ns: int) -> GuardView:
    """Return what an operator is shown of the guard."""
    zones = survey(state, settings, now_ns).values()
    is_lifted = state.guard_lifted_ns > now_ns
    return GuardView(
        zones=tuple(ZoneView(zone.name, zone.known, zone.absent, zone.is_held) for zone in zones),
        waiting=len(state.soft.overdue),
        lifted_until_ns=state.guard_lifted_ns if is_lifted else 0,
    )


def ring_silent(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """Have an agent given up, in its turn."""
    agent = state.agents.get(AgentId(key[0]))
    if agent is not None and agent.id not in state.soft.agent_links and not agent.is_unreachable:
        draft.soft.append(AgentOverdue(agent.id))
        draft.alarm(AlarmKind.ABSENCE, (), 0)


def ring_removal(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """Have an unreachable agent forgotten, in its turn; one declared gone at once."""
    agent = state.agents.get(AgentId(key[0]))
    if agent is None or agent.id in state.soft.agent_links:
        return
    if agent.gone:
        draft_removal(draft, state, agent)
    else:
        draft.soft.append(AgentOverdue(agent.id))
        draft.alarm(AlarmKind.ABSENCE, (), 0)


def ring_absence(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """Give up as many of those that are overdue as may be now; say which zones are held."""
    settings, soft = draft.settings, state.soft
    zones = survey(state, settings, draft.now_ns)
    held = tuple(zone for zone in zones.values() if zone.is_held)
    if [zone.name for zone in held] != [zone.name for zone in soft.held]:
        draft.notices.append(TellHeld(held))
    draft.soft.append(ZonesHeld(held))
    names = {zone.name: None for zone in held}
    counted_ns = soft.removals_counted_ns
    for agent in _willing(state, settings, names):
        counted_ns = max(counted_ns, draft.now_ns)
        if counted_ns > draft.now_ns + settings.removal_interval_ns * (settings.removals_burst - 1):
            draft.alarm(AlarmKind.ABSENCE, (), settings.removal_interval_ns)
            break
        if len(draft.events) >= settings.tick_events_max:
            draft.alarm(AlarmKind.ABSENCE, (), 0)
            break
        give_up = draft_removal if agent.is_unreachable else draft_unreachable
        if not give_up(draft, state, agent):
            draft.alarm(AlarmKind.ABSENCE, (), 0)
            break
        counted_ns += settings.removal_interval_ns
        draft.soft.append(AgentHandled(agent.id))
    else:
        if held:
            draft.alarm(AlarmKind.ABSENCE, (), LOOK_NS)
    draft.soft.append(RemovalsCounted(counted_ns))


def apply_guard_lifted(state: State, event: GuardLifted) -> None:
    state.guard_lifted_ns = event.until_ns


def _willing(state: State, settings: Settings, held: dict[str, None]) -> Iterator[Agent]:
    """Return the overdue agents that are in no held zone, or expected to go."""
    for agent_id in state.soft.overdue:
        agent = state.agents[agent_id]
        if agent.drain or _zone_of(agent, settings) not in held:
            yield agent


def _zone_of(agent: Agent, settings: Settings) -> str:
    """Return the zone by the agent's attribute; those without one are a zone together."""
    found = (each.value for each in agent.attributes if each.name == settings.zone_attribute)
    return next(found, "")
