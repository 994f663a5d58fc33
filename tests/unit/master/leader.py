"""A leader without a log or a network: decides at once, remembers the batches, can be replayed."""

from dataclasses import dataclass, field

from master.codec import decode_batch, encode_batch
from master.core import invariants
from master.core.draft import Outcome
from master.core.events import Batch, Event
from master.core.leadership import Tick
from master.core.machine import Command, Machine
from master.core.settings import SECOND_NS, Settings
from master.core.snapshot import digest
from master.core.state import State
from protocol.decision import Decision
from protocol.messages.agent import RegisterAgent as Registration
from protocol.messages.framework import Accept, LaunchTask, Subscribe
from protocol.messages.values import TaskDescription, TaskState, TaskStatus
from protocol.resources import parse_resources

START_NS = 1_000 * SECOND_NS
TICKS_MAX = 1000


@dataclass
class Leader:
    """The state is checked after every command."""

    machine: Machine = field(default_factory=Machine)
    state: State = field(default_factory=State)
    now_ns: int = START_NS
    term: int = 0
    log: list[bytes] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    is_checking: bool = True

    def __post_init__(self) -> None:
        self.take_over()

    @classmethod
    def with_settings(cls, settings: Settings) -> "Leader":
        return cls(Machine(settings))

    def take_over(self) -> None:
        self.term += 1
        self.machine.drop_soft(self.state)
        self.submit(self.machine.take_over(self.term, f"m{self.term}:7000"))

    def submit(self, command: Command) -> Outcome:
        """Decide one command and fold what follows, as the loop does."""
        logged_ns = self.state.now_ns
        self.state.now_ns = self.now_ns
        outcome = self.machine.decide(self.state, command, self.now_ns)
        self.outcomes.append(outcome)
        if not isinstance(outcome, Decision):
            self.state.now_ns = logged_ns
            return outcome
        for event in outcome.events:
            self.machine.apply(self.state, event)
        for soft in outcome.soft:
            self.machine.apply_soft(self.state, soft)
        if outcome.events:
            self.log.append(encode_batch(Batch(self.now_ns, outcome.events)))
        else:
            self.state.now_ns = logged_ns
        if self.is_checking:
            invariants.check(self.state)
        return outcome

    def advance(self, duration_ns: int) -> list[Outcome]:
        """Let time pass, ticking whenever something is due; return the ticks' outcomes."""
        until_ns = self.now_ns + duration_ns
        outcomes: list[Outcome] = []
        while (due_ns := self.machine.due(self.state)) is not None and due_ns <= until_ns:
            assert len(outcomes) < TICKS_MAX, "a tick that does nothing is due again and again"
            self.now_ns = max(self.now_ns, due_ns)
            outcomes.append(self.submit(Tick()))
        self.now_ns = until_ns
        return outcomes

    def replay(self) -> State:
        """Return what another master makes of the log."""
        state = self.machine.empty()
        for content in self.log:
            batch = decode_batch(content)
            state.now_ns = batch.stamp_ns
            for event in batch.events:
                self.machine.apply(state, event)
        return state

    def crash(self) -> None:
        """Let another master, who has only the log, take over."""
        assert digest(self.replay()) == digest(self.state)
        self.crash_to_log()

    def crash_to_log(self) -> None:
        """Let a master take over that believes the log, whatever was known here."""
        self.state = self.replay()
        self.take_over()

    @property
    def events(self) -> list[Event]:
        return [event for content in self.log for event in decode_batch(content).events]


def subscription(*roles: str, **fields: object) -> Subscribe:
    defaults: dict[str, object] = {"name": "f", "failover_timeout_ns": 3600 * SECOND_NS}
    return Subscribe(roles=roles or ("web",), **{**defaults, **fields})  # type: ignore[arg-type]


def registration(
    agent_id: str = "a1", resources: str = "cpus:4;mem:8GiB", *tasks: TaskStatus
) -> Registration:
    return Registration(
        agent_id=agent_id,
        hostname=f"{agent_id}.example",
        address=f"{agent_id}.example:7001",
        resources=parse_resources(resources),
        boot_id="boot",
        tasks=tasks,
    )


def description(task_id: str = "t1", resources: str = "cpus:1;mem:1GiB") -> TaskDescription:
    return TaskDescription(
        task_id=task_id, name=task_id, command=("run",), resources=parse_resources(resources)
    )


def acceptance(offer: str, *tasks: TaskDescription, refuse_ns: int = 0) -> Accept:
    return Accept(
        call=1,
        offers=(offer,),
        operations=tuple(LaunchTask(task) for task in tasks),
        refuse_ns=refuse_ns,
    )


def status(
    task_id: str = "t1",
    state: TaskState = TaskState.RUNNING,
    sequence: int = 1,
    launch: int = 1,
    framework_id: str = "fw-1",
) -> TaskStatus:
    return TaskStatus(
        framework_id=framework_id, task_id=task_id, launch=launch, sequence=sequence, state=state
    )


def offers_of(leader: Leader, framework_id: str = "fw-1") -> list[str]:
    offers = leader.state.soft.offers.values()
    return [offer.id for offer in offers if offer.framework_id == framework_id]
