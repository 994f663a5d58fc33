"""One allocation pass: who is given what."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from master.allocator.allocate import Claimant, Grant, Ledger, Standings, Supply
from master.allocator.lottery import Lottery
from master.allocator.sorter import Sorter
from master.allocator.tree import MakeOrder, RoleTree, sum_up
from protocol.resources import Resources

Refusing = Callable[[str, str, Supply], bool]


@dataclass(frozen=True)
class Wishes:
    is_refused: Refusing

    def part_for(
        self, framework_id: str, role: str, supply: Supply, step: Mapping[str, int]
    ) -> Supply | None:
        return None if self.is_refused(framework_id, role, supply) else supply

    def grant(self, grant: Grant) -> None:
        return

    def is_worth_offering(self, resources: Resources) -> bool:
        return resources.scalars.get("cpus", 0) >= 100


def give(
    standings: Standings,
    supplies: list[Supply],
    is_refused: Refusing,
    make_order: MakeOrder | None = None,
) -> tuple[Grant, ...]:
    return Ledger(standings, make_order).allocate(supplies, Wishes(is_refused)).grants


def supplies(count: int) -> list[Supply]:
    return [Supply(f"a{number}", Resources({"cpus": 1000})) for number in range(count)]


def standings(weights: dict[str, int], claims: list[tuple[str, str]], total: int) -> Standings:
    return Standings(
        total={"cpus": total * 1000},
        held={},
        weights_milli=weights,
        claimants=tuple(Claimant(framework, role, {}) for framework, role in claims),
    )


def nobody(framework_id: str, role: str, supply: Supply) -> bool:
    return False


def test_nobody_who_wants_nothing_is_given() -> None:
    assert give(standings({}, [], 3), supplies(3), nobody) == ()


def test_refused_supply_goes_to_the_next() -> None:
    def first(framework_id: str, role: str, supply: Supply) -> bool:
        return framework_id == "f1"

    grants = give(standings({"a": 1000}, [("f1", "a"), ("f2", "a")], 2), supplies(2), first)
    assert [grant.framework_id for grant in grants] == ["f2", "f2"]


def test_silent_frameworks_count_for_their_role() -> None:
    given_so_far = Standings(
        total={"cpus": 4000},
        held={"a": {"cpus": 2000}},
        weights_milli={},
        claimants=(Claimant("f1", "a", {}), Claimant("f2", "b", {})),
    )
    grants = give(given_so_far, supplies(2), nobody)
    assert [grant.role for grant in grants] == ["b", "b"]


def test_sub_roles_share_what_their_parent_is_given() -> None:
    claims = [("f1", "eng/search"), ("f2", "eng/ads"), ("f3", "sales")]
    grants = give(standings({"eng/search": 3000}, claims, 16), supplies(16), nobody)
    count = Counter(grant.role for grant in grants)
    assert count == {"sales": 8, "eng/search": 6, "eng/ads": 2}


def test_frameworks_of_a_parent_are_a_branch_beside_its_sub_roles() -> None:
    claims = [("f1", "eng"), ("f2", "eng"), ("f3", "eng/ads"), ("f4", "eng/search")]
    grants = give(standings({}, claims, 12), supplies(12), nobody)
    count = Counter(grant.framework_id for grant in grants)
    assert count == {"f1": 2, "f2": 2, "f3": 4, "f4": 4}


def test_parent_answers_for_a_silent_sub_role() -> None:
    given_so_far = Standings(
        total={"cpus": 8000},
        held={"eng/silent": {"cpus": 4000}},
        weights_milli={},
        claimants=(Claimant("f1", "eng/search", {}), Claimant("f2", "sales", {})),
    )
    grants = give(given_so_far, supplies(4), nobody)
    assert [grant.role for grant in grants] == ["sales"] * 4


def test_excluded_resource_makes_nobody_rich() -> None:
    given_so_far = Standings(
        total={"cpus": 4000},
        held={"a": {"gpus": 8}, "b": {"cpus": 1000}},
        weights_milli={},
        claimants=(Claimant("f1", "a", {"gpus": 8}), Claimant("f2", "b", {"cpus": 1000})),
    )
    assert [grant.role for grant in give(given_so_far, supplies(1), nobody)] == ["a"]


def test_chance_serves_by_weight_whatever_is_held() -> None:
    claims = [("f1", "a"), ("f2", "b")]
    taking_part = replace(standings({"a": 3000}, claims, 1), held={"a": {"cpus": 1000}})
    grants = give(taking_part, supplies(4000), nobody, partial(Lottery, "7"))
    assert 2800 < sum(grant.role == "a" for grant in grants) < 3200


@given(
    st.dictionaries(st.sampled_from(["a", "a/b", "a/b/c", "a/d", "e", "e/f"]), st.integers(1, 4)),
    st.integers(0, 40),
)
def test_every_branch_of_the_tree_gets_its_part(weights: dict[str, int], agents: int) -> None:
    """No branch is a grant ahead of a sibling that wanted it, over their weights."""
    claims = [(f"f-{role}", role) for role in weights]
    milli = {role: weight * 1000 for role, weight in weights.items()}
    grants = give(standings(milli, claims, 40), supplies(agents), nobody)
    assert len(grants) == (agents if weights else 0)
    tree = RoleTree(weights, {}, milli, partial(Sorter, {"cpus": 40_000}))
    assert set(tree) == set(weights)
    held = sum_up({r: {"cpus": sum(g.role == r for g in grants)} for r in weights})
    tops = {branch for branch in held if "/" not in branch}
    for one in tops:
        for other in tops:
            mine, its = held[one]["cpus"], held[other]["cpus"]
            assert (mine - 1) * weights.get(other, 1) <= its * weights.get(one, 1)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 60))
def test_grants_follow_the_weights(first: int, second: int, agents: int) -> None:
    weights = {"a": first * 1000, "b": second * 1000}
    grants = give(standings(weights, [("f1", "a"), ("f2", "b")], agents), supplies(agents), nobody)
    of_first = sum(grant.role == "a" for grant in grants)
    fair = agents * first / (first + second)
    assert len(grants) == agents
    assert abs(of_first - fair) <= 1
