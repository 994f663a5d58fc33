"""Faults that follow on each other as chance alone hardly ever lets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlog.raft_member import Role
from tests.simulation.raft import partitions
from tests.simulation.raft.member import Member

if TYPE_CHECKING:
    from tests.simulation.raft.faults import Storm

STEP_S = 0.001
GAP_S = 0.02
PATIENCE_S = 0.5


def suspend(member: Member, for_s: float) -> None:
    """Stop a machine: what runs on it does not even know that time has passed."""
    member.ledger.seen["suspended"] += 1
    member.paused_until_s = member.agenda.now_s + for_s
    member.clock.stand(for_s)


def find_leaders(storm: Storm) -> list[Member]:
    """Return all who lead, or believe to."""
    return [m for m in storm.members if m.is_running and m.raft.role == Role.LEADER]


# Two candidates in one term, and a voter that dies between their requests


def let_rivals_stand(storm: Storm) -> None:
    """Let a leader ask two members to take over, who cannot hear each other, one slow."""
    _find_rivals(storm, storm.agenda.now_s + PATIENCE_S)


def _find_rivals(storm: Storm, until_s: float) -> None:
    for leader in find_leaders(storm):
        leader.raft.is_yielding = True  # or something would always be on its way
        storm.agenda.after(0.1, setattr, leader.raft, "is_yielding", False)
        if len(ready := _able_to_lead(leader)) > 1:
            _let_stand(storm, leader, *storm.rng.sample(ready, 2))
            return
    if storm.agenda.now_s < until_s:
        storm.agenda.after(STEP_S, _find_rivals, storm, until_s)


def _able_to_lead(leader: Member) -> list[str]:
    """Return the other voters who hold all that a leader holds."""
    raft = leader.raft
    others = [name for name in raft.configuration.voters if name in raft.peers]
    return [n for n in others if raft._progress_of(n).trusted.match == raft.journal.last]


def _let_stand(storm: Storm, leader: Member, one: str, other: str) -> None:
    storm.ledger.seen["rivals"] += 1
    storm.wire.cut(one, other)
    storm.agenda.after(0.3, storm.wire.connect, one, other)
    storm.wire.members[other].write_s = 0.05
    for name in (one, other):
        leader.raft.hand_over(name)


# A leader of the past, and a member that does not know any more that it is past


def let_past_lead(storm: Storm) -> None:
    """Suspend a leader until there is another; let who helped that one lose its disk and meet it.

    The newer leader is cut off meanwhile from both.
    """
    for leader in find_leaders(storm)[:1]:
        alone = partitions.divide(list(storm.wire.members), [leader.config.name])
        storm.wire.part(alone)
        suspend(leader, 5.0)
        _find_next(storm, leader, storm.agenda.now_s + 4.0)


def _find_next(storm: Storm, past: Member, until_s: float) -> None:
    term = past.raft.term
    following = [m for m in find_leaders(storm) if m is not past and m.raft.is_leading]
    if following and following[0].raft.term > term and following[0].raft.committed > 0:
        # Let it commit a little with the help of the others.
        storm.agenda.after(0.05, _bring_together, storm, past, following[0])
    elif storm.agenda.now_s < until_s and past.is_open:
        storm.agenda.after(0.01, _find_next, storm, past, until_s)
    else:
        past.paused_until_s = 0.0
        storm.wire.heal()


def _bring_together(storm: Storm, past: Member, present: Member) -> None:
    names = [past.config.name, present.config.name]
    others = [m for m in storm.members if m.config.name not in names]
    losing = [m for m in others if storm.roster.may_lose_disk(m)]
    storm.wire.heal()
    if losing:
        storm.ledger.seen["met the past"] += 1
        loser = storm.rng.choice(losing)
        storm.wire.part(partitions.divide(list(storm.wire.members), [names[0], loser.config.name]))
        loser.lose_disk()
        storm.agenda.after(0.01, storm.start, loser)
        storm.agenda.after(0.02, storm.wire.connect, *sorted((names[0], loser.config.name)))
        storm.agenda.after(0.5 + storm.rng.random(), storm.wire.heal)
    past.clock.stand(0.0)
    past.paused_until_s = 0.0


# Changes of the members by a leader that is cut off


def change_amid_partition(storm: Storm) -> None:
    """Leave a leader with a minority, and let it change the members until it knows."""
    for leader in find_leaders(storm)[:1]:
        rest = [name for name in storm.wire.members if name != leader.config.name]
        few = storm.rng.sample(rest, storm.rng.randrange((len(rest) + 1) // 2))
        storm.ledger.seen["changes amid a partition"] += 1
        if storm.rng.random() < 0.7:
            storm.wire.part(partitions.divide(list(storm.wire.members), [leader.config.name, *few]))
            storm.agenda.after(0.3 + storm.rng.random(), storm.wire.heal)
        for number in range(6):
            storm.agenda.after(number * GAP_S, storm.roster.change)


# Answers that arrive when their leader has been another's follower meanwhile


def delay_answers(storm: Storm) -> None:
    """Leave a leader with one follower whose answers wait, then let it follow and lead again."""
    for leader in find_leaders(storm)[:1]:
        near = [leader.config.name, storm.rng.choice(leader.raft.peers or (leader.config.name,))]
        far = [name for name in storm.wire.members if name not in near]
        now_s = storm.agenda.now_s
        storm.ledger.seen["answers delayed"] += 1
        storm.wire.stall(near[1], near[0], now_s + 1.8)
        for a, b in sorted(partitions.divide([*near, *far], near)):
            storm.wire.cut(a, b)
            is_followers = near[1] in (a, b)
            storm.agenda.after(2.0 if is_followers else 0.6, storm.wire.connect, a, b)
        storm.agenda.after(0.7, _hand_back, storm, near, now_s + 1.4)


def _hand_back(storm: Storm, near: list[str], until_s: float) -> None:
    leaders = find_leaders(storm)
    for leader in leaders:
        leader.raft.is_yielding = True
        storm.agenda.after(0.1, setattr, leader.raft, "is_yielding", False)
    if any(leader.raft.hand_over(near[0]) for leader in leaders):
        storm.wire.stall(near[0], near[1], storm.agenda.now_s + 1.5)  # nothing new gets there
    elif storm.agenda.now_s < until_s:
        storm.agenda.after(STEP_S, _hand_back, storm, near, until_s)
