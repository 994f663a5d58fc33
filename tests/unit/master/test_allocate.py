"""One allocation pass: who is given what."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from master.allocator.allocate import Claimant, RoleStanding, Standings, Supply, allocate
from protocol.resources import Resources

Refusing = Callable[[str, str, Supply], bool]


def supplies(count: int) -> list[Supply]:
    return [Supply(f"a{number}", Resources({"cpus": 1000})) for number in range(count)]


def standings(weights: dict[str, int], claims: list[tuple[str, str]], total: int) -> Standings:
    return Standings(
        total={"cpus": total * 1000},
        roles={role: RoleStanding({}, weight) for role, weight in weights.items()},
        claimants=tuple(Claimant(framework, role, {}) for framework, role in claims),
    )


def nobody(framework_id: str, role: str, supply: Supply) -> bool:
    return False


def test_nobody_who_wants_nothing_is_given() -> None:
    assert allocate(standings({}, [], 3), supplies(3), nobody) == []


def test_refused_supply_goes_to_the_next() -> None:
    def first(framework_id: str, role: str, supply: Supply) -> bool:
        return framework_id == "f1"

    grants = allocate(standings({"a": 1000}, [("f1", "a"), ("f2", "a")], 2), supplies(2), first)
    assert [grant.framework_id for grant in grants] == ["f2", "f2"]


def test_silent_frameworks_count_for_their_role() -> None:
    given_so_far = Standings(
        total={"cpus": 4000},
        roles={"a": RoleStanding({"cpus": 2000}, 1000), "b": RoleStanding({}, 1000)},
        claimants=(Claimant("f1", "a", {}), Claimant("f2", "b", {})),
    )
    grants = allocate(given_so_far, supplies(2), nobody)
    assert [grant.role for grant in grants] == ["b", "b"]


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 60))
def test_grants_follow_the_weights(first: int, second: int, agents: int) -> None:
    weights = {"a": first * 1000, "b": second * 1000}
    grants = allocate(
        standings(weights, [("f1", "a"), ("f2", "b")], agents), supplies(agents), nobody
    )
    of_first = sum(grant.role == "a" for grant in grants)
    fair = agents * first / (first + second)
    assert len(grants) == agents
    assert abs(of_first - fair) <= 1
