"""What goes wrong in a run, and when."""

import random
from collections.abc import Callable

from rlog.messages import Appended, AppendEntries, RaftMessage, RequestVote, Vote
from rlog.raft import Raft
from rlog.raft_member import Role
from tests.simulation.raft import partitions
from tests.simulation.raft.agenda import Agenda
from tests.simulation.raft.ledger import Ledger
from tests.simulation.raft.member import WRITE_S, Member
from tests.simulation.raft.plan import Plan, Theme
from tests.simulation.raft.roster import Roster
from tests.simulation.raft.schedules import (
    change_amid_partition,
    delay_answers,
    let_past_lead,
    let_rivals_stand,
    suspend,
)
from tests.simulation.raft.wire import Wire

LOSS = 0.3  # of messages
QUICK_S, SLOW_S = 0.003, 0.04  # mean delays of a message
OPERATOR_S = 1.5  # at most, until somebody sets a damaged disk aside


class Storm:
    """The faults of one run; ends with `heal`."""

    def __init__(
        self, plan: Plan, agenda: Agenda, rng: random.Random, wire: Wire, ledger: Ledger
    ) -> None:
        self.plan, self.agenda, self.rng, self.wire, self.ledger = plan, agenda, rng, wire, ledger
        self.roster = Roster(wire, rng, ledger)
        self.on_resumed: Callable[[Member], None] = lambda member: None
        weights = FAULTS | THEMES.get(plan.theme, {})
        self._faults, self._weights = list(weights), list(weights.values())
        self._is_electing = plan.theme is Theme.VOTES
        self._lasting = 0.15 if self._is_electing else 1.0  # of faults, in what is usual

    @property
    def members(self) -> list[Member]:
        """All of them, in order."""
        return list(self.wire.members.values())

    @property
    def is_blowing(self) -> bool:
        """Whether faults still happen."""
        return self.agenda.now_s < self.plan.load_s

    def begin(self) -> None:
        """Let everybody start, and everything happen that is planned."""
        for member in self.members:
            member.on_crash, member.on_refusal = self._on_crash, self._on_refusal
            member.list_remembering = self._list_remembering
            member.on_room = lambda member: self.wire.rejoin(member.config.name)
            if self.plan.is_harsh:
                member.clock.run(self.rng.uniform(0.8, 1.25))
            self.start(member)
        if self.plan.is_harsh or self._is_electing:
            self.wire.on_send = self._crash_at_send
        if self.plan.theme is Theme.LOSSES:
            self._lose_messages()
        self.agenda.after(0.5 if self._is_electing else 2, self._disturb)
        if self.plan.is_changing_members:
            self.agenda.after(2, self._change_members)
        if self.plan.is_losing_disks:
            self.agenda.after(2, self._lose_disk)

    def heal(self) -> None:
        """Undo everything that is undone by somebody; what is damaged is set aside."""
        self.wire.heal()
        # Round trips as long as an election timeout let nobody lead for long; that is no fault.
        self.wire.delay_s = QUICK_S
        for member in self.members:
            member.paused_until_s = member.full_until_s = 0.0
            member.is_disk_failing = False
            member.write_s = WRITE_S
            member.clock.stand(0.0)
            if member.is_damaged and member.is_up:
                member.lose_disk()

    def _list_remembering(self) -> list[Raft]:
        return [m.raft for m in self.members if m.is_open and not m.is_forgetful]

    # Processes

    def start(self, member: Member) -> None:
        """Start a process, and let it find the others."""
        if member.is_up:
            return
        member.start()
        name = member.config.name
        spread_s = 0.02 if self._is_electing else 0.05 if self.plan.is_harsh else 0.2
        for other in self.wire.members:
            if other != name:
                delay_s = 0.01 + self.rng.random() * spread_s
                self.agenda.after(delay_s, self.wire.connect, name, other)

    def _on_crash(self, member: Member) -> None:
        self.wire.bury(member.config.name)
        is_fast = (self.plan.is_harsh or self._is_electing) and self.rng.random() < 0.7
        delay_s = self.rng.random() * 0.15 if is_fast else 0.1 + self.rng.random() * 2
        delay_s *= self._lasting
        self.agenda.after(delay_s, self.start, member)

    def _on_refusal(self, member: Member) -> None:
        """A damaged disk is set aside by hand, and the member begins as one without."""
        self.agenda.after(self.rng.random() * OPERATOR_S, self._set_aside, member)

    def _set_aside(self, member: Member) -> None:
        if member.is_damaged:
            member.lose_disk()
        self.start(member)

    def _crash_at_send(self, sender: Member, message: RaftMessage) -> None:
        """Let members die around the messages that promise something."""
        if not self.is_blowing:
            return
        chance = 0.0
        if isinstance(message, Vote | RequestVote):
            is_promise = isinstance(message, Vote) and message.is_granted
            is_promise = is_promise and not message.is_pre_vote
            chance = 0.4 if self._is_electing and is_promise else 0.05
        elif isinstance(message, Appended | AppendEntries):
            chance = 0.02 if self._is_electing else 0.0015
        if self.rng.random() < chance:
            self.agenda.after(self.rng.random() * 0.002, sender.crash)

    # In turn

    def _disturb(self) -> None:
        if self.is_blowing:
            self.rng.choices(self._faults, self._weights)[0](self)
            self.agenda.after(self.rng.expovariate(self.plan.faults_per_s), self._disturb)

    def _change_members(self) -> None:
        if self.is_blowing:
            self.roster.change()
            self.agenda.after(self.rng.expovariate(2), self._change_members)

    def _lose_disk(self) -> None:
        if self.is_blowing:
            member = self._choose()
            if self.roster.may_lose_disk(member):
                member.lose_disk()
            self.agenda.after(self.rng.expovariate(0.7), self._lose_disk)

    def _choose(self) -> Member:
        return self.rng.choice(self.members)

    def _choose_pair(self) -> tuple[str, str]:
        a, b = self.rng.sample(list(self.wire.members), 2)
        return a, b

    # Single faults

    def crash(self) -> None:
        self._choose().crash()

    def crash_all(self) -> None:
        for member in self.members:
            member.crash()

    def crash_leaders(self) -> None:
        for member in self.members:
            if member.is_running and member.raft.role == Role.LEADER:
                member.crash()

    def suspend(self) -> None:
        """Stop a machine: what runs on it does not even know that time has passed."""
        suspend(self._choose(), self.rng.random() * 2 * self._lasting)

    def pause(self) -> None:
        member, pause_s = self._choose(), self.rng.random() * 2 * self._lasting
        member.paused_until_s = self.agenda.now_s + pause_s
        # A read that waited in its socket is served before it hears of any other leader.
        self.agenda.after(pause_s, self.on_resumed, member)

    def stall(self) -> None:
        lasts_s = self.rng.random() * self.rng.choice((0.3, 1, 2.5)) * self._lasting
        self.wire.stall(*self._choose_pair(), self.agenda.now_s + lasts_s)

    def cut(self) -> None:
        a, b = self._choose_pair()
        self.wire.cut(a, b)
        self.agenda.after(self.rng.random() * 1.5 * self._lasting, self.wire.connect, a, b)

    def flap(self) -> None:
        self.ledger.seen["flapping"] += 1
        self.wire.flap(
            *self._choose_pair(), self.agenda.now_s + self.rng.random() * 3 * self._lasting
        )

    def part(self) -> None:
        shape, pairs = partitions.choose(self.rng, list(self.wire.members))
        self.ledger.seen[shape] += 1
        self.wire.part(pairs)
        self.agenda.after(self.rng.random() * 4 * self._lasting, self._end_network_faults)

    def silence(self) -> None:
        """One way, or all that one member says, or all that it should hear."""
        shape, channels = partitions.choose_silence(self.rng, list(self.wire.members))
        self.ledger.seen[shape] += 1
        self.wire.silence(channels, (0.2 + self.rng.random() * 3) * self._lasting)

    def lose_messages(self) -> None:
        self._lose_messages()
        self.agenda.after(self.rng.random() * 5 * self._lasting, self._end_network_faults)

    def _lose_messages(self) -> None:
        if self.rng.random() < 0.5:
            self.ledger.seen["losses with repetition"] += 1
            self.wire.late_share = LOSS
        else:
            self.ledger.seen["losses"] += 1
            self.wire.lost_share = LOSS

    def _end_network_faults(self) -> None:
        self.wire.heal()
        if self.plan.theme is Theme.LOSSES and self.is_blowing:
            self._lose_messages()

    def disturb_clock(self) -> None:
        clock = self._choose().clock
        self.ledger.seen["clocks disturbed"] += 1
        for_s = self.rng.random() * self.rng.choice((0.3, 2, 30)) * self._lasting
        kind = self.rng.randrange(3)
        if kind < 2:
            clock.leap(for_s)
        if kind > 0:
            clock.stand(min(for_s, 5.0))

    def slow_disk(self) -> None:
        slow_s = 0.1 if self._is_electing else 0.4  # a candidate waits no longer than a timeout
        self._choose().write_s = self.rng.choice((WRITE_S, 0.05, slow_s))

    def fail_disk(self) -> None:
        self._choose().is_disk_failing = True

    def fill_disk(self) -> None:
        count = self.rng.choice((1, 1, 1, 2, len(self.members)))
        for member in self.rng.sample(self.members, count):
            member.full_until_s = self.agenda.now_s + self.rng.random() * 4 * self._lasting

    def damage_disk(self) -> None:
        member = self._choose()
        if self.roster.may_lose_disk(member):
            member.damage()

    def do_nothing(self) -> None:
        return


Weights = dict[Callable[[Storm], object], float]

FAULTS: Weights = {
    Storm.crash: 20,
    Storm.crash_all: 2,
    Storm.pause: 8,
    Storm.suspend: 4,
    Storm.stall: 30,
    Storm.cut: 7,
    Storm.flap: 3,
    Storm.part: 12,
    Storm.silence: 4,
    Storm.lose_messages: 2,
    Storm.disturb_clock: 4,
    Storm.slow_disk: 4,
    Storm.fail_disk: 3,
    Storm.fill_disk: 2,
    Storm.damage_disk: 2,
    Storm.do_nothing: 5,
}
THEMES: dict[Theme, Weights] = {
    Theme.LOSSES: {Storm.silence: 30},
    Theme.CLOCKS: {Storm.disturb_clock: 50},
    Theme.DISKS: {Storm.fill_disk: 30, Storm.slow_disk: 15},
    Theme.DAMAGE: {Storm.damage_disk: 40},
    Theme.MEMBERS: {change_amid_partition: 30, Storm.crash_leaders: 20},
    Theme.ANSWERS: {delay_answers: 100},
    Theme.MEMORY: {let_past_lead: 60},
    Theme.VOTES: {
        let_rivals_stand: 60,
        Storm.crash_leaders: 60,
        Storm.crash: 5,
        Storm.slow_disk: 20,
        Storm.stall: 40,
    },
}
