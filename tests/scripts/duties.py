"""Verbs of the scripts' language about agents that are to be empty, or given up."""

from master.core.duty import ActivateAgent, DeactivateAgent, DeclareGone, DrainAgent
from master.core.machine import Command
from protocol.ids import AgentId
from tests.scripts.words import Options, duration


class Duties:
    """Mixed into the script; it hands commands to `submit`."""

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
