"""The members' roster: changes of who belongs and leads, each waited for until it is final."""

import asyncio
from collections.abc import Callable

from protocol.errors import Fault, NotLeader, Overloaded, TimedOut
from rlog.config import LogConfig
from rlog.raft import Raft
from rlog.raft_changes import ChangeRefused, MemberView
from rlog.raft_member import Role
from rlog.replica import ReplicatedLog

POLL_S = 0.01  # between looks whether a change is final
WAITING_MAX = 16  # changes that wait at once
PATIENCE = 8  # election timeouts that a change may take to be final, or a successor to lead

Verb = Callable[[Raft, str], int]
Outcome = ChangeRefused | Fault | None
VERBS: dict[str, Verb] = {
    "add": Raft.add_learner,
    "promote": Raft.promote,
    "remove": Raft.remove,
}


class Roster:
    """Changes the members of one log, from the member that leads."""

    def __init__(self, config: LogConfig, replicated: ReplicatedLog) -> None:
        self._log = replicated
        self._patience_s = PATIENCE * config.election_timeout_s
        self._tasks: set[asyncio.Task[None]] = set()

    def view(self) -> tuple[MemberView, ...]:
        """Return what this member knows of all while it leads, nothing otherwise."""
        raft = self._log.raft
        return () if raft is None else raft.view_members()

    def begin(self, verb: str, name: str, done: Callable[[Outcome], None]) -> None:
        """Have `done` called once a change is final (None), or with why it is not made."""
        if len(self._tasks) >= WAITING_MAX:
            done(Overloaded(f"{WAITING_MAX} changes of the members wait already"))
            return
        task = asyncio.get_running_loop().create_task(self._answer(verb, name, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, verb: str, name: str, done: Callable[[Outcome], None]) -> None:
        try:
            if verb == "transfer":
                await self.transfer(name)
            else:
                await self.change(verb, name)
        except (ChangeRefused, Fault) as error:
            done(error)
        else:
            done(None)

    async def change(self, verb: str, name: str) -> None:
        """Return once the change is committed.

        Raises: ChangeRefused, NotLeader, Overloaded; TimedOut: it may still be committed.
        """
        raft = self._leading()
        try:
            index, term = VERBS[verb](raft, name), raft.term
        except ChangeRefused as refusal:
            raise self._explained(refusal, name) from None
        if raft.committed >= index:
            return  # it was made before
        self._log.kick()
        until_s = asyncio.get_running_loop().time() + self._patience_s
        while raft.committed < index:
            self._check_term(term)
            self._check_time(until_s, f"to {verb} {name} is not committed yet; look at the masters")
            await asyncio.sleep(POLL_S)
        if raft.journal.term_at(index) not in (None, term):
            raise NotLeader(self._log.leader)  # another leader's entry took its place

    async def transfer(self, name: str) -> None:
        """Return once `name` leads; appends wait meanwhile. Raises: as `change`."""
        raft = self._leading()
        raft.check_successor(name)
        if name == raft.name:
            return
        loop, term = asyncio.get_running_loop(), raft.term
        until_s = loop.time() + self._patience_s
        raft.is_yielding = True
        try:
            while self._log.is_open and raft.role == Role.LEADER and raft.term == term:
                raft.hand_over(name)
                self._check_time(until_s, f"{name} did not take over; is it overloaded?")
                await asyncio.sleep(POLL_S)
        finally:
            raft.is_yielding = False
            self._log.kick()
        while raft.leader != name:
            self._check_time(until_s, f"{name} does not lead yet; look at the masters")
            await asyncio.sleep(POLL_S)

    def _explained(self, refusal: ChangeRefused, name: str) -> ChangeRefused:
        """Return why a silent member is silent, if its link knows."""
        trouble = self._log.trouble_of(name)
        if refusal.reason != "SILENT" or not trouble:
            return refusal
        return ChangeRefused(f"{name} does not answer the leader: {trouble}", refusal.reason)

    def _leading(self) -> Raft:
        raft = self._log.raft
        if raft is None or not self._log.is_leader:
            raise NotLeader(self._log.leader)
        return raft

    def _check_term(self, term: int) -> None:
        raft = self._log.raft
        if raft is None or raft.term != term:
            raise NotLeader(self._log.leader)

    def _check_time(self, until_s: float, text: str) -> None:
        if asyncio.get_running_loop().time() > until_s:
            raise TimedOut(f"{text} (waited {self._patience_s:g} s)")
