"""A cluster under faults and load, run from one seed to a verdict."""

import os
import random
import shutil
import tempfile

from protocol.errors import Fault, NotLeader, Overloaded
from rlog.config import LogConfig
from rlog.raft_member import Role
from tests.simulation.cluster import listen_to_logs
from tests.simulation.raft.agenda import Agenda
from tests.simulation.raft.faults import QUICK_S, SLOW_S, Storm
from tests.simulation.raft.ledger import Ledger, Violation
from tests.simulation.raft.member import Member
from tests.simulation.raft.plan import Plan
from tests.simulation.raft.reader import OPERATION
from tests.simulation.raft.wire import Plug, Wire
from tests.simulation.world import Outcome

QUIET_S = 5.0  # at the end, without faults
SETTLE_S = 3.0  # after that, without clients


class World:
    """The cluster of one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rng = random.Random(plan.seed)
        self.agenda = Agenda()
        self.ledger = Ledger()
        self.failures: list[str] = []  # that were logged
        listen_to_logs(self.failures)
        self.wire = Wire(self.agenda, self.rng, SLOW_S if plan.is_harsh else QUICK_S)
        shared_memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self._directory = tempfile.mkdtemp(prefix="raft-", dir=shared_memory)
        self._make_members()
        self.storm = Storm(plan, self.agenda, self.rng, self.wire, self.ledger)
        self.storm.on_resumed = self._read_late

    def _make_members(self) -> None:
        names = [f"n{number}:7000" for number in range(self.plan.members)]
        founders = tuple(names[: self.plan.founders])
        for name in names:
            is_founder = name in founders
            config = LogConfig(
                name=name,
                voters=founders if is_founder else (),
                join=() if is_founder else founders,
                proposed_id=f"{self.rng.getrandbits(64):016x}",
                directory=os.path.join(self._directory, name),
                election_timeout_s=self.plan.election_timeout_s,
                window_max=8,
                batch_bytes=300 if self.plan.is_harsh else 2000,
                snapshot_entries=40,
                keep_entries=self.rng.randrange(20),
            )
            member = Member(config, self.agenda, self.rng, self.ledger)
            member.network = Plug(self.wire, name)
            self.wire.members[name] = member

    @property
    def members(self) -> list[Member]:
        """All of them, in order."""
        return list(self.wire.members.values())

    # The run

    def run(self) -> None:
        """Raises: Violation, AssertionError."""
        try:
            self.storm.begin()
            for client in range(1, 5):
                self.agenda.after(1 + self.rng.random(), self._operate, client, 1)
            self.agenda.after(2, self._read)
            self.agenda.run(self.plan.load_s)
            self.storm.heal()
            self.agenda.run(self.plan.load_s + QUIET_S + SETTLE_S)
            self._judge()
        finally:
            for member in self.members:
                member.on_crash = lambda member: None
                member.crash()
            shutil.rmtree(self._directory, ignore_errors=True)

    def _judge(self) -> None:
        """Check that all voters agree, and that nothing acknowledged is missing."""
        if self.failures:
            raise Violation(f"logged: {self.failures[0]}")
        leaders = [m for m in self.members if m.raft.role == Role.LEADER]
        if len(leaders) != 1:
            raise Violation(f"{len(leaders)} leaders after everything healed")
        leader = leaders[0]
        for name in leader.raft.configuration.members:
            reader = self.wire.members[name].reader
            if (reader.digest, reader.index) != (leader.reader.digest, leader.reader.index):
                raise Violation(f"{name} differs from {leader.config.name} after healing")
        done: dict[int, int] = {}
        for index in sorted(self.ledger.committed):
            client, operation = OPERATION.unpack_from(self.ledger.committed[index].payload)
            done[client] = max(operation, done.get(client, 0))
        if done != leader.reader.sessions:
            raise Violation("the state is not the fold of the log")
        self.ledger.read("the end", self.ledger.acknowledged, done)
        self.ledger.judge_history()
        if min(self.ledger.acknowledged.get(client, 0) for client in range(1, 5)) < 2:
            raise Violation("a client made no progress")

    # Clients: one operation at a time each, retried until acknowledged

    def _operate(self, client: int, operation: int) -> None:
        if self.agenda.now_s > self.plan.load_s + QUIET_S:
            return
        running = [m for m in self.members if m.is_running]
        leading = [m for m in running if m.raft.is_leading]
        choice = leading if leading and self.rng.random() < 0.9 else running
        if not choice:
            self.agenda.after(0.1, self._operate, client, operation)
            return
        self.ledger.call(client, operation)
        member = self.rng.choice(choice)
        payload = OPERATION.pack(client, operation) + bytes(self.rng.randrange(900))
        attempt = _Attempt(self, member, client, operation)
        try:
            index = member.raft.append(payload)
        except (NotLeader, Overloaded):
            attempt.settle(False)
            return
        member.reader.waiting[index] = (payload, attempt.settle)
        member.kick()
        self.agenda.after(1.5, attempt.settle, False)

    def _read(self) -> None:
        """Ask every leader there is, also those that do not know yet that they are none."""
        if self.agenda.now_s > self.plan.load_s + QUIET_S:
            return
        for member in self.members:
            if member.is_running and member.raft.role == Role.LEADER:
                _ask(self, member)
        self.agenda.after(self.rng.random() * 0.1, self._read)

    def _read_late(self, member: Member) -> None:
        if member.is_running and member.raft.role == Role.LEADER:
            _ask(self, member)


class _Attempt:
    """One try of one operation; settled once."""

    def __init__(self, world: World, member: Member, client: int, operation: int) -> None:
        self._world, self._member = world, member
        self._client, self._operation = client, operation
        self._is_settled = False

    def settle(self, is_done: bool) -> None:
        if self._is_settled:
            return
        self._is_settled = True
        world = self._world
        pause_s = world.rng.random() * (0.05 if is_done else 0.2)
        if is_done:
            taken = self._member.reader.taken.get(self._client)
            world.ledger.acknowledge(self._client, self._operation, taken)
        following = self._operation + 1 if is_done else self._operation
        world.agenda.after(pause_s, world._operate, self._client, following)


def _ask(world: World, member: Member) -> None:
    needed, incarnation = dict(world.ledger.acknowledged), member.incarnation
    asked = world.ledger.tick()

    def then(is_proven: bool) -> None:
        if is_proven and member.incarnation == incarnation:
            world.ledger.read(member.config.name, needed, member.reader.sessions)
            world.ledger.read_latest(member.reader.latest, asked)

    member.raft.read_barrier(then)
    member.kick()


def run_log_seed(seed: int) -> Outcome:
    """Run one seed."""
    plan, outcome = Plan.of(seed), Outcome(seed)
    world = World(plan)
    try:
        world.run()
    except (Violation, AssertionError, Fault) as error:
        outcome.broken = f"at {world.agenda.now_s:.3f}: {error!r}"
    outcome.seen, outcome.virtual_s = world.ledger.seen, world.agenda.now_s
    outcome.story = [repr(plan), repr(dict(world.ledger.seen))]
    return outcome
