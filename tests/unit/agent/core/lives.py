"""One agent's core, driven without a loop: decide, apply, and look."""

from agent.checkpoint import Checkpoint
from agent.core import invariants, machine
from agent.core.effects import Effect
from agent.core.machine import Command
from agent.core.recovery import NameAgent, Recover
from agent.core.state import State
from agent.core.tasks import AcceptKill, AcceptLaunch, ContainerStarted
from agent.core.updates import AcknowledgeStatus
from protocol.decision import Decision, Refused
from protocol.messages.agent import Kill, Launch, StatusAcknowledgement
from protocol.messages.values import TaskDescription, TaskReason, TaskStatus

SECOND_NS = 1_000_000_000
GRACE_NS = 5 * SECOND_NS


class Life:
    """A state, the log it is folded from, and the time."""

    def __init__(self) -> None:
        self.checkpoint = Checkpoint()
        self.state = State()
        self.log: list[bytes] = []
        self.now_ns = 1000 * SECOND_NS
        self.give(NameAgent("a1"))
        self.give(Recover("boot1"))

    def give(self, command: Command) -> tuple[Effect, ...] | Refused:
        """Decide and fold one command as the loop does; return what is to be done."""
        stamp_ns, self.state.now_ns = self.state.now_ns, self.now_ns
        decision = machine.decide(self.state, command, self.now_ns)
        if isinstance(decision, Refused):
            self.state.now_ns = stamp_ns
            return decision
        if decision.events:
            self.log.append(self.checkpoint.encode(self.now_ns, decision.events))
        else:
            self.state.now_ns = stamp_ns
        for event in decision.events:
            machine.apply(self.state, event)
        for soft in decision.soft:
            machine.apply_soft(self.state, soft)
        invariants.check(self.state)
        assert isinstance(decision, Decision)
        return decision.effects

    def replayed(self) -> State:
        """The state that a restarted agent folds from the log."""
        state = self.checkpoint.empty()
        for payload in self.log:
            state.now_ns, events = self.checkpoint.decode(payload)
            for event in events:
                machine.apply(state, event)
        return state

    def launch(self, number: int = 1, task: str = "t1") -> tuple[Effect, ...] | Refused:
        return self.give(AcceptLaunch(launch_of(number, task)))

    def run(self, number: int = 1, task: str = "t1") -> tuple[Effect, ...] | Refused:
        """A task that is launched and running."""
        self.launch(number, task)
        return self.give(ContainerStarted(number, 100 + number, 7))

    def kill(
        self, number: int = 1, task: str = "t1", grace_ns: int = GRACE_NS
    ) -> tuple[Effect, ...] | Refused:
        kill = Kill("f1", task, number, grace_ns, TaskReason.KILLED_BY_OPERATOR)
        return self.give(AcceptKill(kill, GRACE_NS))

    def acknowledge(
        self, sequence: int, number: int = 1, task: str = "t1"
    ) -> tuple[Effect, ...] | Refused:
        ack = StatusAcknowledgement("f1", task, number, sequence)
        return self.give(AcknowledgeStatus(ack))

    def newest(self, number: int = 1) -> TaskStatus:
        return self.state.tasks[number].newest


def launch_of(number: int = 1, task: str = "t1", *, argv: tuple[str, ...] = ("sleep",)) -> Launch:
    description = TaskDescription(task_id=task, command=argv)
    return Launch(number, "f1", "web", description, "alice")
