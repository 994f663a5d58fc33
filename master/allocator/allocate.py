"""One allocation pass: every free agent goes to the poorest framework that wants it.

It goes whole, unless quotas leave less of it to that framework.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from master.allocator.rations import Quota, Rations
from master.allocator.sorter import Sorter
from master.allocator.tree import WEIGHT_MILLI, MakeOrder, Order, RoleTree
from protocol.resources import Resources


@dataclass(frozen=True, slots=True)
class Claimant:
    """A framework that wants offers in a role, with what it has there: in use and offered."""

    framework_id: str
    role: str
    amounts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Supply:
    """What an agent has to give."""

    agent_id: str
    resources: Resources


@dataclass(frozen=True, slots=True)
class Grant:
    """The decision to offer an agent's resources, or a part of them."""

    framework_id: str
    role: str
    supply: Supply


@dataclass(frozen=True, slots=True)
class Standings:
    """Who takes part in a pass.

    `total` is what shares are shares of, without what fairness does not count; `capacity` is all
    there is. `held` is what each role has, its silent frameworks' part included; `weights_milli` of
    roles where it is not 1.
    """

    total: Mapping[str, int]
    held: Mapping[str, Mapping[str, int]]
    weights_milli: Mapping[str, int]
    claimants: tuple[Claimant, ...]
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    capacity: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Allotment:
    """What a pass decided; `withheld` are agents of which quotas kept something back."""

    grants: tuple[Grant, ...]
    withheld: tuple[str, ...] = ()


class Wishes(Protocol):
    """What callers of a pass know of the takers."""

    def is_refused(self, framework_id: str, role: str, supply: Supply) -> bool:
        """Whether a framework does not want this now."""

    def is_worth_offering(self, resources: Resources) -> bool:
        """Whether anybody could run anything on so little."""


def allocate(
    standings: Standings,
    supplies: Iterable[Supply],
    wishes: Wishes,
    make_order: MakeOrder | None = None,
) -> Allotment:
    """Return grants for all of the supplies that anybody wants and may have, fairest first.

    Roles go by their weighted dominant share, level by level of their tree, and frameworks within a
    role by theirs, or all by another order; each grant counts at once. Where there are quotas, who
    lacks some of a guarantee goes first, and a supply may be divided.
    """
    return _Pass(standings, wishes, make_order or partial(Sorter, standings.total)).run(supplies)


class _Pass:
    def __init__(self, standings: Standings, wishes: Wishes, make_order: MakeOrder) -> None:
        self._wishes = wishes
        self._is_cut = False  # quotas kept something of the supply at hand from somebody
        self._frameworks: dict[str, Order] = {}
        for claimant in standings.claimants:
            if claimant.role not in self._frameworks:
                self._frameworks[claimant.role] = make_order()
            order = self._frameworks[claimant.role]
            order.add(claimant.framework_id, claimant.amounts, WEIGHT_MILLI)
        held, weights = standings.held, standings.weights_milli
        self._roles = RoleTree(self._frameworks, held, weights, make_order)
        self._rations: Rations | None = None
        if standings.quotas:
            self._rations = Rations(standings.quotas, held, standings.capacity)

    def run(self, supplies: Iterable[Supply]) -> Allotment:
        grants: list[Grant] = []
        withheld: list[str] = []
        for supply in supplies:
            of_supply: dict[tuple[str, str], Grant] = {}
            left, self._is_cut = supply, False
            while left.resources and (grant := self._next(left)):
                self._charge(grant)
                given = grant.supply.resources
                key = grant.framework_id, grant.role
                before = of_supply.get(key)
                whole = given if before is None else before.supply.resources + given
                of_supply[key] = replace(grant, supply=replace(supply, resources=whole))
                left = replace(supply, resources=left.resources - given)
                if not self._wishes.is_worth_offering(left.resources):
                    break
            grants += of_supply.values()
            if self._is_cut and self._wishes.is_worth_offering(left.resources):
                withheld.append(supply.agent_id)
        return Allotment(tuple(grants), tuple(withheld))

    def _next(self, supply: Supply) -> Grant | None:
        """Return who is given what of a supply next."""
        if self._rations is None:
            return self._find(supply, self._roles)
        if any(self._rations.lacking_below("").values()):
            lacking = [role for role in self._roles if self._rations.owed(role)]
            if lacking and (grant := self._find(supply, lacking, is_owed=True)):
                return grant
        return self._find(supply, self._roles)

    def _find(self, supply: Supply, roles: Iterable[str], *, is_owed: bool = False) -> Grant | None:
        for role in roles:
            part = supply
            if self._rations is not None:
                caps = self._rations.caps(role, supply.resources.quantities, is_owed=is_owed)
                part = replace(supply, resources=supply.resources.capped(caps))
                self._is_cut = self._is_cut or part.resources != supply.resources
                if not self._wishes.is_worth_offering(part.resources):
                    continue
            for framework_id in self._frameworks[role]:
                if not self._wishes.is_refused(framework_id, role, part):
                    return Grant(framework_id, role, part)
        return None

    def _charge(self, grant: Grant) -> None:
        amounts = grant.supply.resources.quantities
        self._roles.charge(grant.role, amounts)
        self._frameworks[grant.role].charge(grant.framework_id, amounts)
        if self._rations is not None:
            self._rations.charge(grant.role, amounts)
