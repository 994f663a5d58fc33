"""Whatever happens in whatever order, nothing leaves that the committed log does not hold."""

from contextlib import ExitStack
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from structlog.testing import capture_logs

from protocol.errors import Fault, NotLeader
from rlog.commands import LoopLimits
from rlog.loop import Loop
from tests.unit.rlog.counter import Add, Command, Count, Counter, Event, Fail, Lend
from tests.unit.rlog.memory_log import MemoryLog
from tests.unit.rlog.virtual_loop import VirtualLoop


class LoopOverLog(RuleBasedStateMachine):
    """One member; others are played by entries that survive or appear while it does not lead.

    Every addition is a different number, so the log says which commands it holds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.quiet = ExitStack()
        self.quiet.enter_context(capture_logs())
        self.io = VirtualLoop()
        self.log = MemoryLog()
        self.machine = Counter()
        self.number = 0
        self.leads = 0
        self.effects: list[int] = []
        self.replies: dict[int, list[Any]] = {}
        self.loop: Loop[Count, Command, Event, int, int] = Loop(
            self.machine,
            self.log,
            self.perform,
            lambda: int(self.io.time() * 1e9),
            limits=LoopLimits(batch_commands_max=3),
        )
        self.loop.on_lead = self.lead
        self.io.call(self.log.attach, self.loop)

    def lead(self, term: int) -> None:
        assert term == self.log.term and self.committed().terms[-1] == term
        self.leads += 1

    def committed(self) -> Count:
        content, _, entries = self.log.replay()
        state = self.machine.empty() if content is None else self.machine.load(content)
        for entry in entries:
            state.now_ns, events = self.machine.decode(entry.payload)
            for event in events:
                self.machine.apply(state, event)
        return state

    def perform(self, effect: int) -> None:
        assert effect < 0 or effect in self.committed().applied, "effect before commit"
        assert effect not in self.effects, "performed twice"
        self.effects.append(effect)

    @rule(count=st.integers(1, 5))
    def add(self, count: int) -> None:
        def act() -> None:
            for _ in range(count):
                self.number += 1
                self.submit(self.number, Add(self.number))

        self.io.call(act)

    def submit(self, number: int, command: Command) -> None:
        replies = self.replies.setdefault(number, [])

        def done(reply: Any) -> None:
            if isinstance(reply, int):
                applied = self.committed().applied
                assert number in applied, "answered before commit"
                assert reply == sum(applied[: applied.index(number) + 1]), "the total right after"
            replies.append(reply)

        self.loop.submit(command, done)

    @rule()
    def lend(self) -> None:
        self.number += 1
        self.io.call(self.loop.submit, Lend(-self.number))

    @rule()
    def wait(self) -> None:
        self.io.advance(0.5)

    @rule(stage=st.sampled_from(["decide", "apply", "encode"]))
    def fail(self, stage: str) -> None:
        replies: list[Any] = []
        self.io.call(self.loop.submit, Fail(stage), replies.append)
        assert all(isinstance(reply, Fault) for reply in replies)

    @rule(count=st.integers(1, 3))
    def commit(self, count: int) -> None:
        self.io.call(self.log.commit, count)

    @precondition(lambda self: not self.log.is_leader)
    @rule()
    def gain(self) -> None:
        self.io.call(self.log.gain)

    @precondition(lambda self: self.log.is_leader)
    @rule(surviving=st.integers(0, 3))
    def lose(self, surviving: int) -> None:
        self.io.call(self.log.lose, "m2:7000", surviving)

    @precondition(lambda self: not self.log.is_leader)
    @rule()
    def hear_of_another(self) -> None:
        self.number += 1
        self.log.add_foreign(self.machine.encode(200_000_000_000, [("add", self.number)]))

    @rule()
    def snapshot(self) -> None:
        self.io.call(self.log.take_snapshot)

    @precondition(lambda self: self.log.is_leader)
    @rule()
    def look(self) -> None:
        expected = self.committed()
        seen: list[Any] = []
        self.io.call(self.loop.query, lambda state: tuple(state.applied), seen.append)
        self.io.call(self.log.prove)
        self.io.call(self.log.commit)
        [view] = seen
        assert isinstance(view, NotLeader) or (
            set(expected.applied) <= set(view) <= set(self.committed().applied)
        )

    @invariant()
    def state_is_the_folded_log(self) -> None:
        if self.log.head == self.log.committed or not self.log.is_leader:
            assert self.loop.state.durable() == self.committed().durable()
        assert all(len(replies) <= 1 for replies in self.replies.values())

    def teardown(self) -> None:
        self.finish()
        self.io.close()
        self.quiet.close()

    def finish(self) -> None:
        """After peace returns everything was answered, truthfully."""
        if not self.log.is_leader:
            self.io.call(self.log.gain)
        for _ in range(4 * self.number + 20):
            self.io.call(self.log.commit)
        assert self.loop.is_serving
        applied = self.committed().applied
        assert self.loop.state.durable() == self.committed().durable()
        for number, replies in self.replies.items():
            assert len(replies) == 1
            assert number in applied or isinstance(replies[0], NotLeader)


TestLoopOverLog = LoopOverLog.TestCase
TestLoopOverLog.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
