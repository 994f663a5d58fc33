"""Verbs of the scripts' language about agents that are to be empty, or given up."""

from master.core.absence import LiftGuard
from master.core.duty import ActivateAgent, DeactivateAgent, DeclareGone, DrainAgent
from master.core.machine import Command
from master.core.maintenance import EndWindow, ScheduleWindow
from protocol.ids import AgentId
from tests.scripts.words import Options, duration
from tests.unit.master.leader import Leader


class Duties:
    """Mixed into the script; it hands commands to `submit`."""

    leader: Leader

    def submit(self, command: Command) -> None:
        raise NotImplementedError

    def do_deactivate(self, words: list[str], options: Options) -> None:
        """deactivate AGENT"""
        self.submit(DeactivateAgent(AgentId(words[0]), "op"))

    def do_activate(self, words: list[str], options: Options) -> None:
        """activate AGENT"""
        self.submit(ActivateAgent(AgentId(words[0]), "op"))

    def do_drain(self, words: list[str], options: Options) -> None:
        """drain AGENT [grace=…] [deadline=…] [gone]"""
        grace_ns, deadline_ns = (duration(options.get(key, "0s")) for key in ("grace", "deadline"))
        self.submit(DrainAgent(AgentId(words[0]), "op", grace_ns, deadline_ns, "gone" in words))

    def do_gone(self, words: list[str], options: Options) -> None:
        """gone AGENT"""
        self.submit(DeclareGone(AgentId(words[0]), "op"))

    def do_lift(self, words: list[str], options: Options) -> None:
        """lift DURATION: of the guard against giving many agents up at once"""
        self.submit(LiftGuard("op", duration(words[0])))

    def do_window(self, words: list[str], options: Options) -> None:
        """window NAME AGENT… start=… [end=…] [grace=…]: the times from now"""
        start_ns = self.leader.now_ns + duration(options["start"])
        end_ns = self.leader.now_ns + duration(options["end"]) if "end" in options else 0
        grace_ns = duration(options.get("grace", "0s"))
        agents = tuple(words[1:])
        self.submit(ScheduleWindow(words[0], agents, start_ns, end_ns, grace_ns, "op"))

    def do_end_window(self, words: list[str], options: Options) -> None:
        """end_window NAME"""
        self.submit(EndWindow(words[0], "op"))
