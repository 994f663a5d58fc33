"""Whatever arrives in whatever order: one end per launch, no gap, nothing forgotten early."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.effects import SendStatuses
from agent.core.machine import Command
from agent.core.recovery import Recover
from agent.core.resizes import AcceptResize, ContainerResized
from agent.core.tasks import (
    AcceptKill,
    AcceptLaunch,
    ContainerEnded,
    ContainerStarted,
    EndAll,
    LaunchFailed,
)
from agent.core.updates import AcknowledgeStatus, Tick
from protocol.decision import Refused
from protocol.messages.agent import Kill, Launch, Resize, StatusAcknowledgement
from protocol.messages.values import TaskReason, TaskStatus
from protocol.resources import parse_resources
from protocol.states import is_ended
from tests.unit.agent.core.lives import GRACE_NS, SECOND_NS, Life, launch_of

NUMBERS = st.integers(1, 5)
AMOUNTS = parse_resources("cpus:2;mem:1GiB")


def task_of(number: int) -> str:
    return f"t{number % 2}"


def timed(launch: Launch) -> Launch:
    """Return a launch that may run for a few seconds."""
    return replace(launch, description=replace(launch.description, completion_ns=3 * SECOND_NS))


FOUND = st.one_of(
    st.builds(ContainerStarted, NUMBERS, st.just(50), st.just(5)),
    st.builds(ContainerEnded, NUMBERS, exit_code=st.integers(0, 1), is_lost=st.booleans()),
)
COMMANDS: st.SearchStrategy[Command] = st.one_of(
    NUMBERS.map(lambda n: AcceptLaunch(launch_of(n, task_of(n)))),
    NUMBERS.map(lambda n: AcceptLaunch(timed(launch_of(n, task_of(n))))),
    FOUND,
    FOUND,
    st.builds(LaunchFailed, NUMBERS, st.just(TaskReason.FETCH_FAILED), st.just("no")),
    st.builds(
        lambda n, grace_s: AcceptKill(
            Kill("f1", task_of(n), n, grace_s * SECOND_NS, TaskReason.FRAMEWORK_REMOVED), GRACE_NS
        ),
        NUMBERS,
        st.integers(0, 9),
    ),
    st.builds(
        lambda n, sequence: AcknowledgeStatus(StatusAcknowledgement("f1", task_of(n), n, sequence)),
        NUMBERS,
        st.integers(0, 4),
    ),
    st.just(Tick(GRACE_NS)),
    st.just(EndAll(GRACE_NS)),
    st.builds(
        lambda n, number: AcceptResize(Resize("f1", task_of(n), n, number, AMOUNTS)),
        NUMBERS,
        st.integers(1, 4),
    ),
    st.builds(
        lambda n, number, fault: ContainerResized(n, number, AMOUNTS, fault),
        NUMBERS,
        st.integers(1, 4),
        st.sampled_from(("", "no")),
    ),
    st.builds(
        lambda boot, found: Recover(f"boot{boot}", tuple(found)),
        st.integers(1, 2),
        st.lists(FOUND, max_size=3, unique_by=lambda finding: finding.launch),
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(COMMANDS, st.integers(0, 7)), max_size=60))
def test_statuses_of_a_launch_are_gapless_and_end_once(steps: list[tuple[Command, int]]) -> None:
    life = Life()
    seen: dict[int, dict[int, TaskStatus]] = {}
    ended: dict[int, int] = {}
    acknowledged: dict[int, int] = {}
    for command, seconds in steps:
        life.now_ns += seconds * SECOND_NS
        known = life.state.tasks.copy()
        effects = life.give(command)
        if isinstance(command, AcknowledgeStatus) and not isinstance(effects, Refused):
            ack = command.acknowledgement
            acknowledged[ack.launch] = max(acknowledged.get(ack.launch, 0), ack.sequence)
        for number, record in life.state.tasks.items():
            statuses = seen.setdefault(number, {})
            for status in record.pending:
                assert statuses.setdefault(status.sequence, status) == status
                if is_ended(status.state):
                    assert ended.setdefault(number, status.sequence) == status.sequence
            assert list(statuses) == list(range(1, len(statuses) + 1))
        for number in known.keys() - life.state.tasks.keys():
            assert acknowledged[number] == ended[number]
        for effect in () if isinstance(effects, Refused) else effects:
            assert not isinstance(effect, SendStatuses) or effect.statuses


@settings(max_examples=60, deadline=None)
@given(st.lists(COMMANDS, max_size=40))
def test_state_is_what_its_log_and_its_dump_say(commands: list[Command]) -> None:
    life = Life()
    for command in commands:
        life.give(command)
    life.checkpoint.drop_soft(life.state)
    assert life.replayed() == life.state
    assert life.checkpoint.load(life.checkpoint.dump(life.state)) == life.state
