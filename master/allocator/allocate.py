"""One allocation pass: every free agent goes whole to the poorest framework that wants it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

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
    """The decision to offer an agent's resources."""

    framework_id: str
    role: str
    supply: Supply


@dataclass(frozen=True, slots=True)
class Standings:
    """Who takes part in a pass.

    `total` is what shares are shares of, without what fairness does not count; `held` is what each
    role has, its silent frameworks' part included; `weights_milli` of roles where it is not 1.
    """

    total: Mapping[str, int]
    held: Mapping[str, Mapping[str, int]]
    weights_milli: Mapping[str, int]
    claimants: tuple[Claimant, ...]


def allocate(
    standings: Standings,
    supplies: Iterable[Supply],
    is_refused: Callable[[str, str, Supply], bool],
    make_order: MakeOrder | None = None,
) -> list[Grant]:
    """Return a grant for each supply that anybody wants, fairest first.

    Roles go by their weighted dominant share, level by level of their tree, and frameworks within a
    role by theirs, or all by another order; each grant counts at once.
    `is_refused(framework_id, role, supply)` says who does not want which supply.
    """
    make_order = make_order or partial(Sorter, standings.total)
    frameworks: dict[str, Order] = {}
    for claimant in standings.claimants:
        if claimant.role not in frameworks:
            frameworks[claimant.role] = make_order()
        frameworks[claimant.role].add(claimant.framework_id, claimant.amounts, WEIGHT_MILLI)
    roles = RoleTree(frameworks, standings.held, standings.weights_milli, make_order)
    grants: list[Grant] = []
    for supply in supplies:
        grant = _grant(supply, roles, frameworks, is_refused)
        if grant is not None:
            grants.append(grant)
            scalars = supply.resources.scalars
            roles.charge(grant.role, scalars)
            frameworks[grant.role].charge(grant.framework_id, scalars)
    return grants


def _grant(
    supply: Supply,
    roles: RoleTree,
    frameworks: Mapping[str, Order],
    is_refused: Callable[[str, str, Supply], bool],
) -> Grant | None:
    for role in roles:
        for framework_id in frameworks[role]:
            if not is_refused(framework_id, role, supply):
                return Grant(framework_id, role, supply)
    return None
