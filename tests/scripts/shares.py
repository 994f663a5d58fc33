"""Verbs of the scripts' language about how much roles may have, and how it is offered."""

from master.core.machine import Command
from master.core.policies import SetPolicy
from master.core.quotas import SetQuota
from master.core.roles import SetWeight
from master.core.settings import Settings
from protocol.quantities import parse_quantities
from tests.scripts.words import Options
from tests.unit.master.leader import Leader


class Shares:
    """Mixed into the script; it hands commands to `submit`."""

    leader: Leader

    def submit(self, command: Command) -> None:
        raise NotImplementedError

    def do_weight(self, words: list[str], options: Options) -> None:
        """weight ROLE THOUSANDTHS"""
        self.submit(SetWeight(words[0], int(words[1])))

    def do_quota(self, words: list[str], options: Options) -> None:
        """quota ROLE [guarantee=cpus:4;mem:8GiB] [limit=…] [force]; nothing of both: none"""
        guarantee, limit = (
            parse_quantities(options.get(key, "")) for key in ("guarantee", "limit")
        )
        self.submit(SetQuota(words[0], guarantee, limit, "force" in words))

    def do_policy(self, words: list[str], options: Options) -> None:
        """policy ROLE [least=cpus:1;mem:1GiB] [sharers=2] [open] [reclaims]; nothing: none"""
        least = parse_quantities(options.get("least", ""))
        sharers = int(options.get("sharers", "1"))
        self.submit(SetPolicy(words[0], least, sharers, "open" in words, "reclaims" in words))

    def do_scarce(self, words: list[str], options: Options) -> None:
        """scarce RESOURCE…: begin with masters that are set so."""
        self.leader = Leader.with_settings(Settings(scarce_resources=frozenset(words)))
