"""Deadlines: tasks that may run for so long and no longer, whether or not a master is there."""

from agent.core import updates
from agent.core.effects import Effect
from agent.core.events import CheckpointEvent
from agent.core.state import State
from agent.core.tasks import AcceptKill, decide_kill
from agent.core.updates import Outcome, Tick, plan_retry
from protocol.decision import Decision
from protocol.messages.agent import Kill
from protocol.messages.values import TaskReason

KILLS_MAX = 256  # in one decision; the others are due at once again


def decide_tick(state: State, command: Tick, now_ns: int) -> Outcome:
    """End what has run for long enough, and repeat what has had no answer."""
    repeated = updates.decide_tick(state, now_ns)
    assert isinstance(repeated, Decision)
    events: list[CheckpointEvent] = []
    effects: list[Effect] = []
    over = [launch for launch, deadline_ns in state.timed.items() if deadline_ns <= now_ns]
    for launch in over[:KILLS_MAX]:
        record = state.tasks[launch]
        kill = Kill(
            framework_id=record.framework_id,
            task_id=record.description.task_id,
            launch=launch,
            reason=TaskReason.COMPLETION_TIME,
        )
        outcome = decide_kill(state, AcceptKill(kill, command.default_grace_ns), now_ns)
        assert isinstance(outcome, Decision)
        events += outcome.events
        effects += outcome.effects
    soft = repeated.soft or (plan_retry(state, now_ns) if over else ())
    return Decision(tuple(events), soft, (*repeated.effects, *effects))


def due(state: State) -> int | None:
    """When a tick has work: nothing outstanding and nothing timed, nothing due."""
    times = list(state.timed.values())
    if (retry_ns := updates.due(state)) is not None:
        times.append(retry_ns)
    return min(times, default=None)
