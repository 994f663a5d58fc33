"""Allocation passes: every free agent goes to the poorest framework that wants it.

It goes whole to one that has not said what it wants, unless quotas leave less to it; of those that
have, each is given what it asked for.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from master.allocator.rations import Quota, Rations
from master.allocator.sorter import Sorter
from master.allocator.tree import WEIGHT_MILLI, MakeOrder, Order, RoleTree, is_within
from protocol.resources import Resources, sum_resources

STEPS = 4  # in which an agent is divided among frameworks that each want as much as they can get


@dataclass(frozen=True, slots=True)
class Claimant:
    """A framework that wants offers in a role, with what it has there: in use and offered."""

    framework_id: str
    role: str
    amounts: Mapping[str, int]
    is_resting: bool = False  # it is given nothing for now


@dataclass(frozen=True, slots=True)
class Stock:
    """A part of an agent that only one role and those below it may have."""

    reservation: str
    role: str
    resources: Resources
    volumes: tuple[str, ...] = ()
    volume_bytes: int = 0  # that these have together

    def less(self, part: "Stock | None") -> "Stock":
        """Return what is left when a part of it is taken: volumes go with the first."""
        if part is None:
            return self
        if part.volumes:
            return Stock(self.reservation, self.role, self.resources - part.resources)
        return replace(self, resources=self.resources - part.resources)


@dataclass(frozen=True, slots=True)
class Supply:
    """What an agent has to give: to anybody, and what is reserved."""

    agent_id: str
    resources: Resources
    reserved: tuple[Stock, ...] = ()

    @property
    def everything(self) -> Resources:
        if not self.reserved:
            return self.resources
        return sum_resources((self.resources, *(stock.resources for stock in self.reserved)))

    def less(self, part: "Supply") -> "Supply":
        """Return what is left when a part of it is taken."""
        reserved = self.reserved
        if part.reserved:
            taken = {stock.reservation: stock for stock in part.reserved}
            rest = (each.less(taken.get(each.reservation)) for each in reserved)
            reserved = tuple(each for each in rest if each.resources or each.volumes)
        return Supply(self.agent_id, self.resources - part.resources, reserved)

    @property
    def volume_bytes(self) -> int:
        return sum(stock.volume_bytes for stock in self.reserved)


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
    there is. `held` is what each role has, its silent frameworks' part included, and `charged` what
    quotas count of it; `weights_milli` of roles where it is not 1.
    """

    total: Mapping[str, int]
    held: Mapping[str, Mapping[str, int]]
    weights_milli: Mapping[str, int]
    claimants: tuple[Claimant, ...]
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    capacity: Mapping[str, int] = field(default_factory=dict)
    charged: Mapping[str, Mapping[str, int]] | None = None  # the same as `held`


@dataclass(frozen=True, slots=True)
class Allotment:
    """What a pass decided; `withheld` are agents of which quotas kept something back."""

    grants: tuple[Grant, ...]
    withheld: tuple[str, ...] = ()


class Wishes(Protocol):
    """What callers of a pass know of the takers."""

    def part_for(
        self, framework_id: str, role: str, supply: Supply, step: Mapping[str, int]
    ) -> Supply | None:
        """Return what of it a framework would take now: all, or about a step; None: nothing."""

    def grant(self, grant: Grant) -> None:
        """Count what is given for what is asked for."""

    def is_worth_offering(self, resources: Resources) -> bool:
        """Whether anybody could run anything on so little."""


class Ledger:
    """The standings of all who take part, kept in order from pass to pass.

    What frameworks get and give back is charged as it happens. Whatever changes who takes part, or
    what shares are shares of, needs a new ledger.
    """

    def __init__(self, standings: Standings, make_order: MakeOrder | None = None) -> None:
        """Roles and frameworks go by their shares, or all by another order."""
        make_order = make_order or partial(Sorter, standings.total)
        self._frameworks: dict[str, Order] = {}
        self._claims: set[tuple[str, str]] = set()
        for claimant in standings.claimants:
            if claimant.role not in self._frameworks:
                self._frameworks[claimant.role] = make_order()
            order = self._frameworks[claimant.role]
            order.add(claimant.framework_id, claimant.amounts, WEIGHT_MILLI)
            order.rest(claimant.framework_id, is_resting=claimant.is_resting)
            self._claims.add((claimant.framework_id, claimant.role))
        held, weights = standings.held, standings.weights_milli
        self._roles = RoleTree(self._frameworks, held, weights, make_order)
        self._rations: Rations | None = None
        if standings.quotas:
            charged = held if standings.charged is None else standings.charged
            self._rations = Rations(standings.quotas, charged, standings.capacity)

    def charge(
        self,
        framework_id: str,
        role: str,
        amounts: Mapping[str, int],
        unreserved: Mapping[str, int] | None = None,
    ) -> None:
        """Count what a framework is offered, or uses, in a role.

        `unreserved` is what is not of reservations, all unless given: quotas count those anyway.
        """
        self._roles.charge(role, amounts)
        if (framework_id, role) in self._claims:
            self._frameworks[role].charge(framework_id, amounts)
        if self._rations is not None:
            self._rations.charge(role, amounts if unreserved is None else unreserved)

    def credit(
        self,
        framework_id: str,
        role: str,
        amounts: Mapping[str, int],
        unreserved: Mapping[str, int] | None = None,
    ) -> None:
        """Count what a framework has no more."""
        less = None if unreserved is None else _negative(unreserved)
        self.charge(framework_id, role, _negative(amounts), less)

    def rest(self, framework_id: str, role: str, *, is_resting: bool) -> None:
        """Pass a framework by for a while."""
        if (framework_id, role) in self._claims:
            self._frameworks[role].rest(framework_id, is_resting=is_resting)

    def order(self) -> list[tuple[str, str]]:
        """Return roles and frameworks as they would be served now."""
        return list(self.in_order())

    def in_order(self) -> Iterator[tuple[str, str]]:
        """Go through roles and frameworks as they would be served now."""
        for role in self._roles:
            for framework_id in self._frameworks[role]:
                yield role, framework_id

    def lacking(self) -> dict[str, int]:
        """Return what all together lack of their guarantees."""
        rations = self._rations
        lacking = {} if rations is None else rations.lacking_below("")
        return {name: amount for name, amount in lacking.items() if amount}

    def allocate(
        self,
        supplies: Iterable[Supply],
        wishes: Wishes,
        only: tuple[str, str] | None = None,
    ) -> Allotment:
        """Return grants for all of the supplies that anybody wants and may have, fairest first.

        Roles go level by level of their tree, then frameworks within a role. Each grant counts for
        the next ones; that none is charged for good leaves it to the caller what becomes of them.
        With quotas, who lacks some of a guarantee goes first. A supply may be divided.
        `only`: a framework and its role, when nobody else wants any of it.
        """
        grants: list[Grant] = []
        seeker = _Seeker(self._roles, self._frameworks, self._rations, wishes)
        if only is not None:
            framework_id, role = only
            seeker = _Seeker((role,), {role: (framework_id,)}, self._rations, wishes)
        try:
            withheld = [each.agent_id for each in supplies if self._divide(each, seeker, grants)]
        finally:
            for grant in reversed(grants):
                self.credit(grant.framework_id, grant.role, *_amounts_of(grant.supply))
        return Allotment(_joined(grants), tuple(withheld))

    def _divide(self, supply: Supply, seeker: "_Seeker", grants: list[Grant]) -> bool:
        """Add grants of a supply; return whether quotas kept a part of it back."""
        seeker.begin(supply)
        left = supply
        while grant := seeker.next(left):
            self.charge(grant.framework_id, grant.role, *_amounts_of(grant.supply))
            seeker.wishes.grant(grant)
            grants.append(grant)
            left = left.less(grant.supply)
            if not left.reserved and not seeker.wishes.is_worth_offering(left.resources):
                return False
        return seeker.is_cut


class _Seeker:
    """Finds takers of one supply after another."""

    def __init__(
        self,
        roles: Iterable[str],
        frameworks: Mapping[str, Iterable[str]],
        rations: Rations | None,
        wishes: Wishes,
    ) -> None:
        self._roles = roles
        self._frameworks = frameworks
        self._rations = rations
        self.wishes = wishes
        self.is_cut = False  # quotas kept something of the supply from somebody
        self._step: Mapping[str, int] = {}

    def begin(self, supply: Supply) -> None:
        """Turn to a supply: who asks for many tasks is given so much of it at a time."""
        self.is_cut = False
        amounts = supply.resources.quantities
        self._step = {name: amount // STEPS for name, amount in amounts.items()}

    def next(self, supply: Supply) -> Grant | None:
        """Return who is given what of it next."""
        if self._rations is None:
            return self._find(supply, self._roles)
        if any(self._rations.lacking_below("").values()):
            lacking = [role for role in self._roles if self._rations.owed(role)]
            if lacking and (grant := self._find(supply, lacking, is_owed=True)):
                return grant
        return self._find(supply, self._roles)

    def _find(self, supply: Supply, roles: Iterable[str], *, is_owed: bool = False) -> Grant | None:
        is_whole = self._rations is None and not supply.reserved
        for role in roles:
            part = supply if is_whole else self._part_for(role, supply, is_owed=is_owed)
            if part is None:
                continue
            for framework_id in self._frameworks[role]:
                taken = self.wishes.part_for(framework_id, role, part, self._step)
                if taken is not None:
                    return Grant(framework_id, role, taken)
        return None

    def _part_for(self, role: str, supply: Supply, *, is_owed: bool) -> Supply | None:
        """Return what a role may have of a supply, None when it is too little to be offered."""
        resources = supply.resources
        if self._rations is not None:
            caps = self._rations.caps(role, resources.quantities, is_owed=is_owed)
            resources = resources.capped(caps)
            self.is_cut = self.is_cut or resources != supply.resources
        reserved = tuple(stock for stock in supply.reserved if is_within(role, stock.role))
        if not reserved and not self.wishes.is_worth_offering(resources):
            return None
        return Supply(supply.agent_id, resources, reserved)


def _joined(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    """Return one grant for all parts of an agent that a framework is given in a role."""
    joined: dict[tuple[str, str, str], Grant] = {}
    for grant in grants:
        key = grant.framework_id, grant.role, grant.supply.agent_id
        known, part = joined.get(key), grant.supply
        if known is not None:
            resources = known.supply.resources + part.resources
            reserved = _together(known.supply.reserved + part.reserved)
            part = replace(part, resources=resources, reserved=reserved)
        joined[key] = replace(grant, supply=part)
    return tuple(joined.values())


def _together(stocks: Iterable[Stock]) -> tuple[Stock, ...]:
    """Return one stock for all parts of a reservation."""
    found: dict[str, Stock] = {}
    for stock in stocks:
        known, whole = found.get(stock.reservation), stock
        if known is not None:
            with_volumes = stock if stock.volumes else known
            whole = replace(with_volumes, resources=known.resources + stock.resources)
        found[stock.reservation] = whole
    return tuple(found.values())


def _amounts_of(supply: Supply) -> tuple[Mapping[str, int], Mapping[str, int] | None]:
    """Return the quantities of all of it, and of what is not reserved if that is not all."""
    if not supply.reserved:
        return supply.resources.quantities, None
    return supply.everything.quantities, supply.resources.quantities


def _negative(amounts: Mapping[str, int]) -> Mapping[str, int]:
    return {name: -amount for name, amount in amounts.items()}
