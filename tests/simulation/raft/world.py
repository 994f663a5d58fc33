"""A cluster under faults and load, run from one seed to a verdict."""

import os
import random
import shutil
import tempfile
from dataclasses import dataclass

from protocol.errors import NotLeader, Overloaded
from rlog.config import LogConfig
from rlog.messages import Appended, AppendEntries, RaftMessage, RequestVote, Vote
from rlog.raft_member import Role
from tests.simulation.raft import partitions
from tests.simulation.raft.agenda import Agenda
from tests.simulation.raft.ledger import Ledger, Violation
from tests.simulation.raft.member import OPERATION, Member
from tests.simulation.raft.roster import Roster
from tests.simulation.raft.wire import Plug, Wire

QUIET_S = 5.0  # at the end, without faults
SETTLE_S = 3.0  # after that, without clients
QUICK_S, SLOW_S = 0.003, 0.04  # mean delays of a message


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is like."""

    seed: int
    members: int = 3
    load_s: float = 20.0
    is_harsh: bool = False  # slow network, crashes in the worst moments, fast restarts
    is_changing_members: bool = False
    is_losing_disks: bool = False

    @classmethod
    def of(cls, seed: int, load_s: float = 20.0) -> "Plan":
        """Return the plan of a seed: a few kinds of runs in turn."""
        kind = seed % 4
        return cls(
            seed,
            members=3 if kind < 2 else 5,
            load_s=load_s,
            is_harsh=kind in (1, 2),
            is_changing_members=kind == 3 or seed % 8 == 2,
            is_losing_disks=seed % 3 == 0,
        )


class World:
    """The cluster of one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rng = random.Random(plan.seed)
        self.agenda = Agenda()
        self.ledger = Ledger()
        self.wire = Wire(self.agenda, self.rng, SLOW_S if plan.is_harsh else QUICK_S)
        shared_memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self._directory = tempfile.mkdtemp(prefix="raft-", dir=shared_memory)
        self._make_members()
        self.roster = Roster(self.wire, self.rng, self.ledger)

    def _make_members(self) -> None:
        names = [f"n{number}:7000" for number in range(self.plan.members)]
        founders = tuple(names[:3] if self.plan.is_changing_members else names)
        for name in names:
            is_founder = name in founders
            config = LogConfig(
                name=name,
                voters=founders if is_founder else (),
                join=() if is_founder else founders,
                proposed_id=f"{self.rng.getrandbits(64):016x}",
                directory=os.path.join(self._directory, name),
                election_timeout_s=0.25 if self.plan.is_harsh else 0.5,
                window_max=8,
                batch_bytes=300 if self.plan.is_harsh else 2000,
                snapshot_entries=40,
                keep_entries=self.rng.randrange(20),
            )
            member = Member(config, self.agenda, self.rng, self.ledger)
            member.pace = self.rng.uniform(0.8, 1.25) if self.plan.is_harsh else 1.0
            member.network = Plug(self.wire, name)
            member.on_crash = self._on_crash
            self.wire.members[name] = member
        if self.plan.is_harsh:
            self.wire.on_send = self._crash_at_send

    @property
    def members(self) -> list[Member]:
        """All of them, in order."""
        return list(self.wire.members.values())

    # The run

    def run(self) -> None:
        """Raises: Violation, AssertionError."""
        try:
            for member in self.members:
                self._start(member)
            for client in range(1, 5):
                self.agenda.after(1 + self.rng.random(), self._operate, client, 1)
            self.agenda.after(2, self._read)
            self.agenda.after(2, self._disturb)
            if self.plan.is_changing_members:
                self.agenda.after(2, self._change_members)
            if self.plan.is_losing_disks:
                self.agenda.after(2, self._lose_disk)
            self.agenda.run(self.plan.load_s)
            self._heal()
            self.agenda.run(self.plan.load_s + QUIET_S + SETTLE_S)
            self._judge()
        finally:
            for member in self.members:
                if member.is_up:
                    member.on_crash = lambda member: None
                    member.crash()
            shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def is_disturbed(self) -> bool:
        """Whether faults still happen."""
        return self.agenda.now_s < self.plan.load_s

    def _heal(self) -> None:
        self.wire.heal()
        # Round trips as long as an election timeout let nobody lead for long; that is no fault.
        self.wire.delay_s = QUICK_S
        for member in self.members:
            member.paused_until_s = 0.0
            member.is_disk_failing = False
            member.write_s = 0.004

    def _judge(self) -> None:
        """Check that all voters agree, and that nothing acknowledged is missing."""
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

    # Processes

    def _start(self, member: Member) -> None:
        if member.is_up:
            return
        member.start()
        name = member.config.name
        spread_s = 0.05 if self.plan.is_harsh else 0.2
        for other in self.wire.members:
            if other != name:
                self.agenda.after(
                    0.01 + self.rng.random() * spread_s, self.wire.connect, name, other
                )

    def _on_crash(self, member: Member) -> None:
        for other in self.wire.members:
            if other != member.config.name:
                self.wire.cut(member.config.name, other)
        is_fast = self.plan.is_harsh and self.rng.random() < 0.7
        delay_s = self.rng.random() * 0.15 if is_fast else 0.1 + self.rng.random() * 2
        self.agenda.after(delay_s, self._start, member)

    def _crash_at_send(self, sender: Member, message: RaftMessage) -> None:
        """Let members die around the messages that promise something."""
        if not self.is_disturbed:
            return
        is_vote = isinstance(message, Vote | RequestVote)
        is_entry = isinstance(message, Appended | AppendEntries)
        if self.rng.random() < (0.05 if is_vote else 0.0015 if is_entry else 0.0):
            self.agenda.after(self.rng.random() * 0.002, sender.crash)

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

    # Faults

    def _disturb(self) -> None:
        if not self.is_disturbed:
            return
        rng, now_s = self.rng, self.agenda.now_s
        member = rng.choice(self.members)
        name = member.config.name
        other = rng.choice([n for n in self.wire.members if n != name])
        chance = rng.random()
        if chance < 0.2:
            member.crash()
        elif chance < 0.5:
            self.wire.stall(name, other, now_s + rng.random() * rng.choice((0.3, 1, 2.5)))
        elif chance < 0.57:
            self.wire.cut(name, other)
            self.agenda.after(rng.random() * 1.5, self.wire.connect, name, other)
        elif chance < 0.6:
            self.ledger.seen["flapping"] += 1
            self.wire.flap(name, other, now_s + rng.random() * 3)
        elif chance < 0.72:
            shape, pairs = partitions.choose(rng, list(self.wire.members))
            self.ledger.seen[shape] += 1
            self.wire.part(pairs)
            self.agenda.after(rng.random() * 4, self.wire.heal)
        elif chance < 0.82:
            pause_s = rng.random() * 2
            member.paused_until_s = now_s + pause_s
            # A read that waited in its socket is served before it hears of any other leader.
            self.agenda.after(pause_s, self._read_late, member)
        elif chance < 0.86:
            member.write_s = rng.choice((0.004, 0.05, 0.4))
        elif chance < 0.89:
            member.is_disk_failing = True
        elif chance < 0.91:
            for each in self.members:
                each.crash()
        self.agenda.after(rng.expovariate(4 if self.plan.is_harsh else 1.2), self._disturb)

    def _change_members(self) -> None:
        if self.is_disturbed:
            self.roster.change()
            self.agenda.after(self.rng.expovariate(2), self._change_members)

    def _lose_disk(self) -> None:
        if not self.is_disturbed:
            return
        member = self.rng.choice(self.members)
        if self.roster.may_lose_disk(member):
            member.lose_disk()
        self.agenda.after(self.rng.expovariate(0.7), self._lose_disk)


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
