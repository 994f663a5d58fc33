"""Maintenance: windows of time in which agents are to be empty, announced before."""

from dataclasses import dataclass

from master.core.alarms import AlarmKind
from master.core.draft import Draft, Outcome
from master.core.events import WindowBegun, WindowEnded, WindowScheduled
from master.core.inverse import answers_of, ask_soon
from master.core.offers import close_offers
from master.core.reasons import Reason
from master.core.records import Drain, Window
from master.core.settings import DAY_NS, Settings
from master.core.state import State
from master.core.validity import check_count, check_duration, check_texts
from protocol.decision import Decision, Refused
from protocol.ids import AgentId, check_id
from protocol.messages.operator import WindowView

AGENTS_MAX = 2000  # of one window, which is one entry of the log
WINDOWS_MAX = 1000
AHEAD_MAX_NS = 365 * DAY_NS


@dataclass(frozen=True, slots=True)
class ScheduleWindow:
    """Announce that these agents are to be empty from `start_ns` to `end_ns` (0: open)."""

    name: str
    agents: tuple[str, ...]
    start_ns: int
    end_ns: int
    grace_ns: int
    by: str


@dataclass(frozen=True, slots=True)
class EndWindow:
    """Call a window off, or end it early: its agents are active again."""

    name: str
    by: str


def decide_schedule(
    state: State, command: ScheduleWindow, now_ns: int, settings: Settings
) -> Outcome:
    """Announce it: in offers, which are made anew, and to the frameworks that are there.

    Refuses: BAD_ID, BAD_NAME, BAD_DURATION, TOO_MANY, UNKNOWN_AGENT; WINDOW_EXISTS for a name
    that is taken, AGENT_IN_WINDOW for an agent that is in another one.
    """
    refused = _check(state, command, now_ns, settings)
    if refused:
        return refused
    known = state.windows.get(command.name)
    agents = tuple(map(AgentId, dict.fromkeys(command.agents)))
    if known is not None:
        said = (known.agents, known.start_ns, known.end_ns, known.grace_ns)
        if said == (agents, command.start_ns, command.end_ns, command.grace_ns):
            return Decision()
        text = f"a window {command.name} is scheduled already: end it first, or give another name"
        return Refused(Reason.WINDOW_EXISTS, text)
    draft = Draft(now_ns, settings)
    draft.events.append(
        WindowScheduled(
            name=command.name,
            agents=agents,
            start_ns=command.start_ns,
            end_ns=command.end_ns,
            grace_ns=command.grace_ns,
            by=command.by,
        )
    )
    draft.alarm(AlarmKind.WINDOW, (command.name,), max(0, command.start_ns - now_ns))
    _announce(draft, state, agents)
    return draft.decision()


def decide_end(state: State, command: EndWindow, now_ns: int, settings: Settings) -> Outcome:
    """Refuses: UNKNOWN_WINDOW, BAD_NAME."""
    window = state.windows.get(command.name)
    if window is None:
        text = f"no window {command.name[:140]!r} is scheduled"
        return Refused(Reason.UNKNOWN_WINDOW, text)
    if refused := check_texts((("operator", command.by),)):
        return refused
    draft = Draft(now_ns, settings)
    _draft_end(draft, state, window, command.by)
    return draft.decision()


def window_alarm(window: Window, now_ns: int) -> int:
    """Return after how long something happens to the window; less than 0: nothing by itself."""
    if not window.is_begun:
        return max(0, window.start_ns - now_ns)
    return max(0, window.end_ns - now_ns) if window.end_ns else -1


def ring_window(draft: Draft, state: State, key: tuple[str, ...]) -> None:
    """Begin to empty the agents, or take them back."""
    window = state.windows.get(key[0])
    if window is None:
        return
    if window.is_begun:
        if 0 < window.end_ns <= draft.now_ns:
            _draft_end(draft, state, window, "")
        return
    if window.start_ns > draft.now_ns:
        draft.alarm(AlarmKind.WINDOW, key, window.start_ns - draft.now_ns)
        return
    draft.events.append(WindowBegun(window.name))
    for agent_id in window.agents:
        if agent_id in state.agents:
            offer_ids = tuple(state.soft.offers_by_agent.get(agent_id, ()))
            close_offers(draft, state, offer_ids, is_told=True)
            draft.alarm(AlarmKind.AGENT_DRAIN, (agent_id,), 0)
    if window.end_ns:
        draft.alarm(AlarmKind.WINDOW, key, max(0, window.end_ns - draft.now_ns))


def view_window(state: State, window: Window) -> WindowView:
    """Return what operators see of it."""
    agents = [state.agents[each] for each in window.agents if each in state.agents]
    answers = [answers_of(state, agent.id) for agent in agents]
    asked, accepted, declined = (
        (sum(each) for each in zip(*answers, strict=True))
        if answers
        else (
            0,
            0,
            0,
        )
    )
    return WindowView(
        name=window.name,
        start_ns=window.start_ns,
        end_ns=window.end_ns,
        is_begun=window.is_begun,
        by=window.by,
        grace_ns=window.grace_ns,
        agents=len(window.agents),
        drained=sum(agent.drain is not None and not agent.tasks for agent in agents),
        tasks=sum(len(agent.tasks) for agent in agents),
        asked=asked,
        accepted=accepted,
        declined=declined,
        members=window.agents,
    )


def apply_window_scheduled(state: State, event: WindowScheduled) -> None:
    assert event.name not in state.windows
    agents = tuple(map(AgentId, event.agents))
    state.windows[event.name] = Window(
        name=event.name,
        agents=agents,
        start_ns=event.start_ns,
        end_ns=event.end_ns,
        grace_ns=event.grace_ns,
        by=event.by,
    )
    state.window_of |= dict.fromkeys(agents, event.name)


def apply_window_begun(state: State, event: WindowBegun) -> None:
    """Drain the agents that are not drained by somebody else already."""
    window = state.windows[event.name]
    assert not window.is_begun
    window.is_begun = True
    for agent_id in window.agents:
        agent = state.agents.get(agent_id)
        if agent is not None and agent.drain is None:
            agent.drain = Drain(
                by=window.by,
                began_ns=state.now_ns,
                kill_ns=state.now_ns,
                grace_ns=window.grace_ns,
                window=window.name,
            )


def apply_window_ended(state: State, event: WindowEnded) -> None:
    window = state.windows.pop(event.name)
    for agent_id in window.agents:
        del state.window_of[agent_id]
        agent = state.agents.get(agent_id)
        if agent is not None and agent.drain and agent.drain.window == window.name:
            agent.drain = None


def _check(
    state: State, command: ScheduleWindow, now_ns: int, settings: Settings
) -> Refused | None:
    if fault := check_id(command.name):
        return Refused(Reason.BAD_ID, f"window {command.name[:140]!r}: {fault}")
    if not command.agents:
        return Refused(Reason.UNKNOWN_AGENT, f"window {command.name} names no agent")
    refused = (
        check_texts((("operator", command.by),))
        or check_count("agents of a window", len(command.agents), AGENTS_MAX)
        or check_count("windows", len(state.windows) + 1, WINDOWS_MAX)
        or check_duration("kill grace", command.grace_ns, settings.grace_max_ns)
        or check_duration("start", max(0, command.start_ns - now_ns), AHEAD_MAX_NS)
    )
    if refused:
        return refused
    if command.end_ns:
        length_ns = command.end_ns - max(command.start_ns, now_ns)
        if refused := check_duration("what is left of the window", length_ns, AHEAD_MAX_NS):
            return refused
    for agent_id in map(AgentId, command.agents):
        if agent_id not in state.agents:
            return Refused(Reason.UNKNOWN_AGENT, f"agent {agent_id[:140]!r} is not known")
        window = state.window_of.get(agent_id, command.name)
        if window != command.name:
            text = f"agent {agent_id} is in window {window} already: end that first"
            return Refused(Reason.AGENT_IN_WINDOW, text)
    return None


def _draft_end(draft: Draft, state: State, window: Window, by: str) -> None:
    draft.events.append(WindowEnded(window.name, by))
    _announce(draft, state, window.agents)


def _announce(draft: Draft, state: State, agents: tuple[AgentId, ...]) -> None:
    """Make their offers anew, which say when they go, and have their frameworks asked."""
    for agent_id in agents:
        offer_ids = tuple(state.soft.offers_by_agent.get(agent_id, ()))
        close_offers(draft, state, offer_ids, is_told=True)
        ask_soon(draft, agent_id)
    draft.touch(*agents)
