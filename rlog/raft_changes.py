"""How the members change: one voter at a time, guarded against losing the majority."""

from dataclasses import dataclass

from pysyncobj.node import Node

from protocol.errors import NotLeader, Overloaded
from rlog.departures import PATIENCE, Departure
from rlog.membership import MEMBERS_MAX, Configuration, configuration_command
from rlog.raft_leader import Leader
from rlog.raft_member import Role

LAG_MAX = 64  # entries: a learner this close holds everything by the time it is a voter


class ChangeRefused(Exception):  # noqa: N818  # it is named for what happened
    """A change of the members that would do harm; the text says what to do instead.

    `reason` is REFUSED, or LAGGING or SILENT for what may pass with time.
    """

    def __init__(self, text: str, reason: str = "REFUSED") -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class MemberView:
    """One member as the leader sees it."""

    name: str
    is_voter: bool
    is_answering: bool  # and its answers count
    is_amnesiac: bool  # it is being filled, after the loss of its disk or as a newcomer
    lag: int  # entries that it does not hold for certain


class _SyncObj(Leader):
    """A leader that changes who belongs; each verb returns the index that makes it final.

    All raise NotLeader; Overloaded while another change is under way, and ChangeRefused.
    A change that is made already is final at the index of its configuration.
    """

    def add_learner(self, name: str) -> int:
        """Send a newcomer everything; it counts for nothing yet."""
        known = self._settled()
        if name in known.members:
            return known.index
        if len(known.members) >= MEMBERS_MAX:
            raise ChangeRefused(f"there are {MEMBERS_MAX} members already; remove one first")
        self._departures.pop(name, None)
        return self._change(known.voters, (*known.learners, name))

    def promote(self, name: str) -> int:
        """Make a learner a voter once it holds nearly all, and answers."""
        known = self._settled()
        if name in known.voters:
            return known.index
        if name not in known.learners:
            raise ChangeRefused(f"{name} is no learner; add it first")
        heard = self._progress_of(name).trusted
        if not self._is_talking(name) or (heard.match and name not in self._answering_now()):
            text = f"{name} does not answer; is it running, and can it reach the leader?"
            raise ChangeRefused(text, "SILENT")
        lag = self.journal.last - heard.match
        if not heard.match or lag > LAG_MAX:
            text = f"{name} is {lag} entries behind; promote it when it has caught up"
            raise ChangeRefused(text, "LAGGING")
        # Those who answer were a majority before, so they are one with the newcomer, who answers.
        rest = tuple(n for n in known.learners if n != name)
        return self._change((*known.voters, name), rest)

    def remove(self, name: str) -> int:
        """Let a member go once it knows; a leader that goes hands over when that is final."""
        known = self._settled()
        if name not in known.members:
            return known.index
        if known.voters == (name,):
            raise ChangeRefused(f"{name} is the last voter; promote another one first")
        voters = tuple(n for n in known.voters if n != name)
        if name in known.voters:
            self._check_majority(voters)
        if name != self.name:
            until_s = self._clock_s() + PATIENCE * self.config.election_timeout_s
            self._departures[name] = Departure(self.journal.last + 1, until_s)
        return self._change(voters, tuple(n for n in known.learners if n != name))

    def check_successor(self, name: str) -> None:
        """Refuse a successor that could not lead now."""
        known = self._settled()
        if name not in known.voters:
            raise ChangeRefused(f"{name} is no voter; name one of {', '.join(known.voters)}")
        if name not in self._answering_now():
            raise ChangeRefused(f"{name} does not answer; name one that does")

    def view_members(self) -> tuple[MemberView, ...]:
        """Return what this leader knows of each member; nothing when it leads no more."""
        if self.__raftState != Role.LEADER:
            return ()
        known, answering = self.configuration, self._answering_now()
        views = []
        for name in known.members:
            is_me = name == self.name
            progress = None if is_me else self._progress_of(name)
            views.append(
                MemberView(
                    name,
                    name in known.voters,
                    name in answering,
                    progress is not None and progress.is_amnesiac,
                    self.journal.last - progress.match if progress is not None else 0,
                )
            )
        return tuple(views)

    # Leaves

    def _settled(self) -> Configuration:
        """Return the configuration that may be changed now."""
        if self.__raftState != Role.LEADER:
            raise NotLeader(self.leader)
        if not self._is_commit_known or self.__raftCommitIndex < self.configuration.index:
            raise Overloaded("another change of the members is under way")
        return self.configuration

    def _change(self, voters: tuple[str, ...], learners: tuple[str, ...]) -> int:
        # Majorities of the two configurations meet, or two leaders could be elected.
        assert len(set(voters) ^ set(self.configuration.voters)) <= 1
        return self._append(configuration_command(voters, learners))

    def _check_majority(self, voters: tuple[str, ...]) -> None:
        """Refuse to leave voters of whom those who answer now would be no majority."""
        after = Configuration(0, voters)
        answering = self._answering_now()
        if not after.is_quorum(answering):
            silent = ", ".join(name for name in voters if name not in answering)
            raise ChangeRefused(
                f"that would leave {len(voters)} voters of whom {silent} do not answer, and no "
                "majority; start those first, or remove them"
            )

    def _is_talking(self, name: str) -> bool:
        return Node(name) in self.__connectedNodes


Changer = _SyncObj
