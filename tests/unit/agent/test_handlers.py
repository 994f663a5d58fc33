"""What a registration and a resend tell of the agent's tasks."""

import random
from collections.abc import Iterator

import pytest

from agent.checkpoint import Checkpoint, CheckpointLoop
from agent.core.recovery import NameAgent
from agent.core.tasks import ContainerEnded
from agent.core.updates import decide_tell
from agent.handlers import Handlers, pending_statuses
from agent.probes import SilentProbe
from agent.session import Session, without_texts
from protocol.codecs.agent import encode_agent_message
from protocol.credentials import Credentials
from protocol.decision import Decision
from protocol.handshake import LinkIdentity
from protocol.links import LinkPace
from protocol.messages.agent import AgentRefused, LaunchTasks, RegisterAgent
from protocol.messages.link import LinkRole
from protocol.messages.values import TaskReason, TaskState, TaskStatus
from rlog.loop import Loop
from tests.unit.agent.core.lives import SECOND_NS, Life, launch_of
from tests.unit.rlog.memory_log import MemoryLog
from tests.unit.rlog.virtual_loop import VirtualLoop


class Ear(Session):
    """A session without links that hears what would be said."""

    def __init__(self) -> None:
        identity = LinkIdentity(LinkRole.AGENT, "a1", "p", Credentials.insecure(), "c")
        super().__init__(("m1:1",), identity, random.Random(1), LinkPace(), SilentProbe())
        self.registrations: list[list[int]] = []

    def register(self, registration: RegisterAgent) -> None:
        self.registrations.append([task.launch for task in registration.tasks])


class Desk:
    """Handlers over a log whose commits the test decides."""

    def __init__(self) -> None:
        self.io = VirtualLoop()
        self.log = MemoryLog()
        self.ear = Ear()
        self.loop: CheckpointLoop = Loop(
            Checkpoint(), self.log, lambda effect: None, lambda: 1000 * SECOND_NS
        )
        self.handlers = Handlers(self.loop, self.ear, RegisterAgent(agent_id="a1"), SECOND_NS)
        self.io.call(self.log.attach, self.loop)
        self.io.call(self.log.gain)
        self.io.call(self.loop.submit, NameAgent("a1"))
        self.io.call(self.log.commit)

    def hear(self, launch: int) -> None:
        message = LaunchTasks((launch_of(launch, f"t{launch}"),))
        self.io.call(self.handlers.handle, message, 100)

    def register(self) -> None:
        self.io.call(self.handlers.register)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.io.close()


def told(life: Life) -> tuple[TaskStatus, ...]:
    decision = decide_tell(life.state)
    assert isinstance(decision, Decision)
    assert decision.reply is not None
    return decision.reply.tasks


def test_registration_goes_after_launches_that_wait_for_the_disk(desk: Desk) -> None:
    desk.log.window = 1
    desk.hear(1)
    desk.hear(2)
    desk.register()
    assert desk.ear.registrations == []
    for _ in range(2):
        desk.log.prove()  # a mere view would be answered now
        desk.io.call(desk.log.commit)
    assert desk.ear.registrations == [[1, 2]]


def test_registration_overtaken_by_another_is_not_sent(desk: Desk) -> None:
    desk.log.window = 1
    desk.hear(1)
    desk.register()
    desk.hear(2)
    desk.register()
    for _ in range(3):
        desk.io.call(desk.log.commit)
    assert desk.ear.registrations == [[1, 2]]


def test_registration_tells_the_newest_of_every_launch() -> None:
    life = Life()
    life.run(1, "t1")
    life.give(ContainerEnded(1))
    life.launch(2, "t2")
    assert [status.state for status in told(life)] == [
        TaskState.FINISHED,
        TaskState.STAGING,
    ]


def test_resend_tells_what_is_not_acknowledged_in_order() -> None:
    life = Life()
    life.run(1, "t1")
    life.give(ContainerEnded(1))
    life.run(2, "t2")
    life.acknowledge(1, 2, "t2")
    assert [status.sequence for status in pending_statuses(life.state)] == [1, 2]


def test_registration_that_is_too_long_goes_without_texts() -> None:
    life = Life()
    life.run()
    life.give(ContainerEnded(1, message="long"))
    short = without_texts(RegisterAgent(agent_id="a1", tasks=told(life)))
    assert short.agent_id == "a1"
    assert [(task.state, task.message) for task in short.tasks] == [(TaskState.FINISHED, "")]


def test_agent_that_is_given_up_ends_its_tasks(desk: Desk) -> None:
    desk.hear(1)
    desk.io.call(desk.log.commit)
    refusal = encode_agent_message(AgentRefused("AGENT_GONE", "declared gone by somebody"))
    desk.io.call(desk.ear.received, refusal, 1)
    kill = desk.loop.state.tasks[1].kill
    assert kill is not None
    assert kill.reason is TaskReason.AGENT_GONE


def test_agent_that_is_refused_for_another_reason_keeps_its_tasks(desk: Desk) -> None:
    desk.hear(1)
    desk.io.call(desk.log.commit)
    refusal = encode_agent_message(AgentRefused("TOO_MANY", "too many agents"))
    desk.io.call(desk.ear.received, refusal, 1)
    assert desk.loop.state.tasks[1].kill is None
