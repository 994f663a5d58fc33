"""Who belongs in a simulated cluster: random changes, and disks that may be lost now."""

import random

from protocol.errors import NotLeader, Overloaded
from rlog.membership import Configuration
from rlog.raft_changes import LAG_MAX, ChangeRefused
from rlog.raft_member import Role
from tests.simulation.raft.ledger import Ledger, Violation
from tests.simulation.raft.member import Member
from tests.simulation.raft.wire import Wire


class Roster:
    """Changes the members through whoever leads, or believes to."""

    def __init__(self, wire: Wire, rng: random.Random, ledger: Ledger) -> None:
        self._wire, self._rng, self._ledger = wire, rng, ledger

    def change(self) -> None:
        """Let every leader there is do one thing."""
        for leader in self._wire.members.values():
            if leader.is_running and leader.raft.role == Role.LEADER:
                try:
                    self._change_by(leader)
                except (Overloaded, ChangeRefused, NotLeader):
                    self._ledger.seen["changes refused"] += 1
                leader.kick()

    def _change_by(self, leader: Member) -> None:
        known = leader.raft.configuration
        is_promotion = known.learners and self._rng.random() < 0.5
        name = self._rng.choice(known.learners if is_promotion else list(self._wire.members))
        if name in known.learners and self._rng.random() < 0.8:
            if self._remembers((*known.voters, name)):
                self._promote(leader, name)
        elif name not in known.members:
            leader.raft.add_learner(name)
            self._ledger.seen["added"] += 1
        elif self._rng.random() < 0.3:
            leader.raft.check_successor(name)
            leader.raft.hand_over(name)
            self._ledger.seen["transfers"] += 1
        elif name in known.learners or self._may_shrink(known, name):
            leader.raft.remove(name)
            self._ledger.seen["removed"] += 1

    def _may_shrink(self, known: Configuration, name: str) -> bool:
        """A leader hears late of a lost disk; an operator looks, or too few might be left."""
        rest = tuple(n for n in known.voters if n != name)
        return len(rest) >= 2 and self._remembers(rest)

    def _remembers(self, voters: tuple[str, ...], *lost: str) -> bool:
        """Whether a majority of these is sure to remember its promises."""
        members = self._wire.members.values()
        forgetful = {m.config.name for m in members if m.is_forgetful or m.raft.is_amnesiac}
        forgetful |= set(lost)
        return Configuration(0, voters).is_quorum([n for n in voters if n not in forgetful])

    def _promote(self, leader: Member, name: str) -> None:
        last = leader.raft.journal.last
        leader.raft.promote(name)
        self._ledger.seen["promoted"] += 1
        learner = self._wire.members[name]
        is_comparable = learner.is_open and learner.raft.term == leader.raft.term
        if is_comparable and not learner.is_lost and learner.raft.journal.last < last - LAG_MAX:
            raise Violation(f"{name} is promoted {last - learner.raft.journal.last} entries behind")

    def may_lose_disk(self, member: Member) -> bool:
        """Whether enough others remember their promises, whoever of them decides.

        Not before the cluster is founded, and not the last founder's: empty disks of all that
        were told to found a cluster do so.
        """
        members = list(self._wire.members.values())
        lost = {m.config.name for m in members if m.is_forgetful} | {member.config.name}
        is_founded = all(m.raft.cluster_id or m.is_forgetful for m in members if m.config.voters)
        if not is_founded or lost.issuperset(members[0].config.voters):
            return False
        in_force = [c for m in members for c in _in_force(m)]
        return all(self._remembers(c.voters, member.config.name) for c in in_force)


def _in_force(member: Member) -> list[Configuration]:
    """Return the configurations that a member may decide by, now or after a truncation."""
    membership = member.raft._membership
    committed = membership.at(member.raft.committed)
    return [c for c in membership._history if c.index >= committed.index and c.voters]
