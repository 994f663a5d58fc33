"""One allocation pass: every free agent goes whole to the poorest framework that wants it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from master.allocator.sorter import Sorter
from protocol.resources import Resources

WEIGHT_MILLI = 1000  # of every framework within its role


@dataclass(frozen=True, slots=True)
class Claimant:
    """A framework that wants offers in a role, with what it has there: in use and offered."""

    framework_id: str
    role: str
    amounts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RoleStanding:
    """What a role has, its silent frameworks' part included, and what it is entitled to."""

    amounts: Mapping[str, int]
    weight_milli: int


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
    """Who takes part in a pass; `total` is what shares are shares of."""

    total: Mapping[str, int]
    roles: Mapping[str, RoleStanding]
    claimants: tuple[Claimant, ...]


def allocate(
    standings: Standings,
    supplies: Iterable[Supply],
    is_refused: Callable[[str, str, Supply], bool],
) -> list[Grant]:
    """Return a grant for each supply that anybody wants, fairest first.

    Roles go by their weighted dominant share, frameworks within a role by theirs; each grant counts
    at once. `is_refused(framework_id, role, supply)` says who does not want which supply.
    """
    roles = Sorter(standings.total)
    frameworks: dict[str, Sorter] = {}
    for claimant in standings.claimants:
        if claimant.role not in frameworks:
            standing = standings.roles[claimant.role]
            frameworks[claimant.role] = Sorter(standings.total)
            roles.add(claimant.role, standing.amounts, standing.weight_milli)
        frameworks[claimant.role].add(claimant.framework_id, claimant.amounts, WEIGHT_MILLI)
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
    roles: Sorter,
    frameworks: Mapping[str, Sorter],
    is_refused: Callable[[str, str, Supply], bool],
) -> Grant | None:
    for role in roles:
        for framework_id in frameworks[role]:
            if not is_refused(framework_id, role, supply):
                return Grant(framework_id, role, supply)
    return None
