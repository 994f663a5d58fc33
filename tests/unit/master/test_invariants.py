"""The invariants notice what they are there for."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from master.core import invariants
from master.core.state import State
from protocol.ids import AgentId, FrameworkId, task_key
from protocol.resources import EMPTY, parse_resources
from tests.unit.master.leader import Leader
from tests.unit.master.test_updates import leader as leader_with_task

F1, A1 = FrameworkId("fw-1"), AgentId("a1")
KEY = task_key(F1, "t1")
leader = leader_with_task


def lose_allocation(state: State) -> None:
    state.agents[A1].allocated = EMPTY


def allocate_twice(state: State) -> None:
    agent = state.agents[A1]
    agent.allocated = agent.allocated + agent.allocated


def shrink_total(state: State) -> None:
    state.agents[A1].total = parse_resources("cpus:0.5;mem:8GiB")


def forget_task_of_agent(state: State) -> None:
    state.agents[A1].tasks.clear()


def forget_role(state: State) -> None:
    state.allocated.clear()


def miscount(state: State) -> None:
    state.task_counts["STAGING"] = 2


def miscount_live(state: State) -> None:
    state.frameworks[F1].live += 1


def weigh_wrongly(state: State) -> None:
    state.frameworks[F1].description_bytes -= 1


def grow_capacity(state: State) -> None:
    state.capacity["cpus"] += 1


def leave_offer_of_absent_agent(state: State) -> None:
    state.soft.agent_links.clear()


def reuse_launch(state: State) -> None:
    state.launches_next = 1


def skip_update(state: State) -> None:
    task = state.tasks[KEY]
    task.status = replace(task.status, sequence=9)


@pytest.mark.parametrize(
    "spoil",
    [
        lose_allocation,
        allocate_twice,
        shrink_total,
        forget_task_of_agent,
        forget_role,
        miscount,
        miscount_live,
        weigh_wrongly,
        grow_capacity,
        leave_offer_of_absent_agent,
        reuse_launch,
        skip_update,
    ],
)
def test_spoilt_state_is_noticed(leader: Leader, spoil: Callable[[State], None]) -> None:
    invariants.check(leader.state)
    spoil(leader.state)
    with pytest.raises((AssertionError, ValueError, KeyError)):
        invariants.check(leader.state)
