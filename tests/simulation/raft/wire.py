"""The simulated network: ordered channels that stall, break, lose, and some that misbehave."""

import random
from collections.abc import Callable, Iterable

from rlog.messages import InstallSnapshot, RaftMessage
from tests.simulation.raft.agenda import Agenda
from tests.simulation.raft.member import Member

RETRANSMIT_S = 0.2  # what TCP waits at least before it sends again; twice as long each time
RETRANSMIT_S_MAX = 2.0  # links that are silent for longer are given up

Channel = tuple[str, str]  # from whom to whom


class Wire:
    """All channels; each direction of a pair is one."""

    def __init__(self, agenda: Agenda, rng: random.Random, delay_s: float) -> None:
        self._agenda, self._rng, self.delay_s = agenda, rng, delay_s
        self.members: dict[str, Member] = {}
        self.on_send: Callable[[Member, RaftMessage], None] = lambda sender, message: None
        self.late_share = 0.0  # of messages that a lossy network delivers only when repeated
        self.lost_share = 0.0  # of messages that vanish though their link goes on
        self._connected: dict[Channel, int] = {}  # how often it was made
        self._draining: dict[Channel, int] = {}  # what the dead have sent and still arrives
        self._made = 0
        self._last_s: dict[Channel, float] = {}
        self._stalled_s: dict[Channel, float] = {}
        self._silent_s: dict[Channel, float] = {}
        self._parted: frozenset[tuple[str, str]] = frozenset()

    def send(self, source: str, target: str, message: RaftMessage) -> None:
        """Deliver later, in order; seldom twice, seldom out of order, or not at all."""
        made = self._connected.get((source, target))
        if made is None:
            return
        sender, rng, now_s = self.members[source], self._rng, self._agenda.now_s
        self.on_send(sender, message)
        channel = (source, target)
        if now_s < self._silent_s.get(channel, 0.0) or rng.random() < self.lost_share:
            return
        at_s = now_s + rng.expovariate(1 / self.delay_s)
        wait_s = RETRANSMIT_S
        while wait_s < RETRANSMIT_S_MAX and rng.random() < self.late_share:
            at_s, wait_s = at_s + wait_s, 2 * wait_s
        at_s = max(at_s, self._stalled_s.get(channel, 0.0))
        if rng.random() >= 0.02:
            at_s = self._last_s[channel] = max(at_s, self._last_s.get(channel, 0.0))
        delivery = (source, self.members[target], message, made)
        self._agenda.after(at_s - now_s, self._deliver, *delivery)
        is_rare = isinstance(message, InstallSnapshot)  # or no repeated one would ever come late
        if rng.random() < (0.3 if is_rare else 0.01):
            late_s = at_s - now_s + rng.random() * 3
            self._agenda.after(late_s, self._deliver, *delivery)

    def _deliver(self, source: str, target: Member, message: RaftMessage, made: int) -> None:
        channel = (source, target.config.name)
        if self._connected.get(channel, self._draining.get(channel)) != made:
            return
        if target.paused_until_s > self._agenda.now_s:
            # What waited is read in some order, between other things.
            wait_s = target.paused_until_s - self._agenda.now_s + self._rng.random() * 0.02
            self._agenda.after(wait_s, self._deliver, source, target, message, made)
            return
        target.receive(source, message)

    def connect(self, a: str, b: str) -> None:
        """Make the channels of a pair, if nothing forbids it."""
        is_parted = (min(a, b), max(a, b)) in self._parted
        if is_parted or not self.members[a].is_up or not self.members[b].is_up:
            return
        for source, target in ((a, b), (b, a)):
            if (source, target) not in self._connected:
                self._made += 1
                self._connected[source, target] = self._made
                self._draining.pop((source, target), None)
                self._last_s[source, target] = 0.0
                if self.members[source].is_open:
                    self.members[source].raft.connected(target)

    def rejoin(self, name: str) -> None:
        """Tell a member that was away with its links open of each of them."""
        for source, target in self._connected:
            if source == name:
                self.members[name].raft.connected(target)

    def cut(self, a: str, b: str) -> None:
        """Break the channels of a pair; what is in flight is lost."""
        for source, target in ((a, b), (b, a)):
            if self._connected.pop((source, target), None) and self.members[source].is_open:
                self.members[source].raft.disconnected(target)

    def bury(self, name: str) -> None:
        """Break all channels of a dead member; what it had sent may still be on its way."""
        for other in self.members:
            if other != name:
                sent = self._connected.get((name, other))
                if sent is not None and self._rng.random() < 0.7:
                    self._draining[name, other] = sent
                self.cut(name, other)
                self._draining.pop((other, name), None)  # never for a later life

    def stall(self, source: str, target: str, until_s: float) -> None:
        """Hold one direction."""
        self._stalled_s[source, target] = until_s

    def silence(self, channels: Iterable[Channel], for_s: float) -> None:
        """Lose all that is sent one way, though the links look well; they break in the end."""
        for a, b in channels:
            self._silent_s[a, b] = self._agenda.now_s + for_s
            self._agenda.after(for_s, self._give_up, a, b)

    def _give_up(self, a: str, b: str) -> None:
        if self._silent_s.pop((a, b), None) is not None:
            self.cut(a, b)
            self.connect(a, b)

    def part(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Part these pairs; some of their channels break, some only hold."""
        self._parted = frozenset(pairs)
        for a, b in sorted(self._parted):
            if self._rng.random() < 0.5:
                self.cut(a, b)
            else:
                self.stall(a, b, float("inf"))
                self.stall(b, a, float("inf"))

    def flap(self, a: str, b: str, until_s: float) -> None:
        """Break the channels of a pair and make them again, a few times a second."""
        if self._agenda.now_s >= until_s:
            self.connect(a, b)
            return
        self.cut(a, b)
        self._agenda.after(self._rng.random() * 0.1, self.connect, a, b)
        self._agenda.after(0.1 + self._rng.random() * 0.1, self.flap, a, b, until_s)

    def heal(self) -> None:
        """Let everything flow again; what was held or lost for so long is given up."""
        self._parted = frozenset()
        self._stalled_s.clear()
        self.late_share = self.lost_share = 0.0
        for a, b in sorted(self._silent_s):
            self._give_up(a, b)
        for a in self.members:
            for b in self.members:
                if a < b:
                    if float("inf") in (self._last_s.get((a, b)), self._last_s.get((b, a))):
                        self.cut(a, b)
                    self.connect(a, b)


class Plug:
    """One member's end of the wire."""

    def __init__(self, wire: Wire, name: str) -> None:
        self._wire, self._name = wire, name

    def reach(self, name: str) -> None:
        return

    def leave(self, name: str) -> None:
        return

    def send(self, name: str, message: RaftMessage) -> None:
        self._wire.send(self._name, name, message)

    def is_writable(self, name: str) -> bool:
        return True
