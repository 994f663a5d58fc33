"""What a master reports of itself; observability listens, silence is the default."""

from typing import Protocol

from protocol.ids import AgentId
from protocol.messages.agent import FrameworkUsage
from rlog.probes import LogProbe, LoopProbe, SilentLogProbe, SilentLoopProbe


class MasterProbe(LoopProbe, LogProbe, Protocol):
    """Hears what the shell of a master does, besides what its loop and its log do."""

    def received(self, message: str) -> None:
        """A message of this kind came over an agent's, a framework's or an operator's link."""

    def sent(self, message: str, items: int) -> None:
        """A message of this kind left, with so many offers, statuses, launches, … in it."""

    def offers(self, outcome: str, count: int) -> None:
        """So many offers were `made`, `accepted`, `declined` or `rescinded`."""

    def links(self, agents: int, frameworks: int) -> None:
        """So many agents and frameworks speak to this master now."""

    def usage(self, agent: AgentId, frameworks: tuple[FrameworkUsage, ...]) -> None:
        """An agent measured what the containers of each framework use."""

    def agent_lost(self, agent: AgentId) -> None:
        """The link of an agent is gone: what it uses is unknown."""


class SilentMasterProbe(SilentLoopProbe, SilentLogProbe):
    """Hears nothing."""

    def received(self, message: str) -> None:
        return

    def sent(self, message: str, items: int) -> None:
        return

    def offers(self, outcome: str, count: int) -> None:
        return

    def links(self, agents: int, frameworks: int) -> None:
        return

    def usage(self, agent: AgentId, frameworks: tuple[FrameworkUsage, ...]) -> None:
        return

    def agent_lost(self, agent: AgentId) -> None:
        return
