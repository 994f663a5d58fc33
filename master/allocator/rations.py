"""Rations: what roles may still be given under their quotas, and what is kept for others.

A guarantee that is not used up keeps so much of the cluster free for its role, or lets it have that
first; a limit bounds what a role and all below it have. Both hold at every level of the tree.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from master.allocator.tree import lineage, sum_up

Amounts = dict[str, int]
NOTHING: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True)
class Quota:
    """What a role is promised, and the most that it may have; names that are absent are free."""

    guarantee: Amounts = field(default_factory=dict)
    limit: Amounts = field(default_factory=dict)


class Rations:
    """Keeps account while a pass gives; amounts as `Resources.quantities`."""

    def __init__(
        self,
        quotas: Mapping[str, Quota],
        held: Mapping[str, Mapping[str, int]],
        capacity: Mapping[str, int],
    ) -> None:
        """`held` is what each role itself has in use or is offered."""
        self._quotas = quotas
        self._held = sum_up(held)
        self._free = dict(capacity)
        for role, amounts in self._held.items():
            if "/" not in role:
                for name, amount in amounts.items():
                    self._free[name] = self._free.get(name, 0) - amount
        self._owed: dict[str, Amounts] = {}  # what branches with quotas in them lack
        self._below: dict[str, Amounts] = {}  # what the branches right below one lack together
        for branch in _deepest_first(branch for role in quotas for branch in lineage(role)):
            self._settle(branch)

    def owed(self, role: str) -> Amounts:
        """Return what a role may have of what its branches lack of their guarantees.

        What is promised to other branches beside its path, and below itself, is theirs.
        """
        most: Amounts = {}
        theirs: Amounts = {}
        on_path: Mapping[str, int] = NOTHING
        for branch in _deepest_first(lineage(role)):
            for name, amount in self._below.get(branch, NOTHING).items():
                theirs[name] = theirs.get(name, 0) + amount - on_path.get(name, 0)
            on_path = self._owed.get(branch, NOTHING)
            for name, amount in on_path.items():
                if (rest := amount - theirs.get(name, 0)) > most.get(name, 0):
                    most[name] = rest
        return most

    def held(self, role: str) -> Mapping[str, int]:
        """Return what a role and all below it have."""
        return self._held.get(role, NOTHING)

    def is_over(self, role: str) -> bool:
        """Whether a role has more than its own limit."""
        held = self.held(role)
        limit = self._quotas[role].limit if role in self._quotas else NOTHING
        return any(held.get(name, 0) > amount for name, amount in limit.items())

    def is_short_of(self, amounts: Mapping[str, int]) -> bool:
        """Whether less than is kept for guarantees is free of any of these."""
        kept = self.lacking_below("")
        return any(kept.get(name, 0) > self._free.get(name, 0) for name in amounts)

    def lacking_below(self, role: str) -> Mapping[str, int]:
        """Return what the branches right below one lack together."""
        return self._below.get(role, NOTHING)

    def caps(self, role: str, supply: Mapping[str, int], *, is_owed: bool) -> Amounts:
        """Return the most that a role may be given of a supply, of each name that is bounded.

        `is_owed`: only what it lacks of a guarantee is given of names that it has guarantees of.
        Where a guarantee keeps a part of a supply, it keeps such a part of all that is in it: cpus
        without memory would be of no use to whom they are kept for.
        """
        caps = self._kept_back(self.owed(role), supply, is_owed=is_owed)
        for branch in lineage(role):
            quota = self._quotas.get(branch)
            if quota is None:
                continue
            held = self._held.get(branch, NOTHING)
            for name, amount in quota.limit.items():
                room = max(0, amount - held.get(name, 0))
                caps[name] = min(caps.get(name, room), room)
        return caps

    def _kept_back(
        self, owed: Mapping[str, int], supply: Mapping[str, int], *, is_owed: bool
    ) -> Amounts:
        """Return what guarantees leave of a supply for a role that is owed so much."""
        caps: Amounts = {}
        cut, whole = 1, 1  # the smallest part that is left of anything
        for name, kept in self.lacking_below("").items():
            there = supply.get(name, 0)
            own = owed.get(name, 0)
            spare = max(0, self._free.get(name, 0) - kept)
            caps[name] = own if is_owed and own else own + spare
            if there and caps[name] * whole < cut * there:
                cut, whole = caps[name], there
        if cut < whole:
            for name in supply.keys() - caps.keys():
                caps[name] = supply[name] * cut // whole
        return caps

    def charge(self, role: str, amounts: Mapping[str, int]) -> None:
        """Count what a role is given."""
        for name, amount in amounts.items():
            self._free[name] = self._free.get(name, 0) - amount
        for branch in _deepest_first(lineage(role)):
            account = self._held.setdefault(branch, {})
            for name, amount in amounts.items():
                account[name] = account.get(name, 0) + amount
            if branch in self._owed:
                self._settle(branch)

    def take_back(self, role: str, amounts: Mapping[str, int]) -> None:
        """Count what a role is given no more."""
        self.charge(role, {name: -amount for name, amount in amounts.items()})

    def _settle(self, branch: str) -> None:
        """Find out what a branch lacks: its own guarantee, or more if all below it lack more."""
        lacking = dict(self._below.get(branch, NOTHING))
        quota = self._quotas.get(branch)
        if quota is not None:
            held = self._held.get(branch, NOTHING)
            for name, amount in quota.guarantee.items():
                lacking[name] = max(lacking.get(name, 0), amount - held.get(name, 0))
        known = self._owed.get(branch, NOTHING)
        above = self._below.setdefault(branch.rpartition("/")[0], {})
        for name, amount in lacking.items():
            above[name] = above.get(name, 0) + amount - known.get(name, 0)
        self._owed[branch] = lacking


def guaranteed(quotas: Mapping[str, Quota], parent: str = "") -> Amounts:
    """Return what is guaranteed below a role altogether; without one, in the whole cluster."""
    rations = Rations(quotas, {}, {})
    return dict(rations.lacking_below(parent))


def _deepest_first(branches: Iterable[str]) -> list[str]:
    return sorted(set(branches), key=lambda branch: (-branch.count("/"), branch))
