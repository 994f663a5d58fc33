"""Rations: guarantees are kept free, limits hold, at every level of the tree."""

from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from master.allocator.allocate import Allotment, Claimant, Ledger, Standings, Supply
from master.allocator.rations import Quota, Rations, guaranteed
from protocol.resources import Resources
from tests.unit.master.test_allocate import Wishes, nobody

ROLES = ("a", "a/b", "a/b/c", "a/d", "e", "e/f")
Amounts = dict[str, int]


def supplies(count: int, cpus: int = 1000) -> list[Supply]:
    return [Supply(f"a{number}", Resources({"cpus": cpus})) for number in range(count)]


def give(
    quotas: dict[str, Quota],
    roles: tuple[str, ...],
    agents: int,
    *,
    held: dict[str, Amounts] | None = None,
    cpus: int = 1000,
    capacity: int = 0,
) -> Allotment:
    whole = {"cpus": capacity or agents * cpus}
    claimants = tuple(Claimant(f"f-{role}", role, {}) for role in roles)
    taking_part = Standings(whole, held or {}, {}, claimants, quotas, whole)
    return Ledger(taking_part).allocate(supplies(agents, cpus), Wishes(nobody))


def given_to(allotment: Allotment) -> Amounts:
    count: Counter[str] = Counter()
    for grant in allotment.grants:
        count[grant.role] += grant.supply.resources.scalars["cpus"]
    return dict(count)


def test_guarantee_is_kept_free_while_nobody_uses_it() -> None:
    allotment = give({"a": Quota({"cpus": 6000})}, ("e",), 10)
    assert given_to(allotment) == {"e": 4000}
    assert len(allotment.withheld) == 6


def test_guarantee_is_served_before_fairness() -> None:
    allotment = give({"a": Quota({"cpus": 6000})}, ("a", "e"), 10, held={"a": {"cpus": 2000}})
    assert given_to(allotment)["a"] >= 4000
    assert sum(given_to(allotment).values()) <= 10_000


def test_guarantee_that_is_used_up_keeps_nothing() -> None:
    allotment = give(
        {"a": Quota({"cpus": 6000})}, ("e",), 4, held={"a": {"cpus": 6000}}, capacity=10_000
    )
    assert given_to(allotment) == {"e": 4000}
    assert allotment.withheld == ()


def test_limit_bounds_a_role_and_all_below_it() -> None:
    quotas = {"a": Quota({}, {"cpus": 3000}), "a/b": Quota({}, {"cpus": 1000})}
    assert given_to(give(quotas, ("a/b", "a/d"), 10)) == {"a/b": 1000, "a/d": 2000}


def test_supply_is_divided_where_a_limit_cuts_it() -> None:
    allotment = give({"a": Quota({}, {"cpus": 3000})}, ("a", "e"), 1, cpus=8000)
    assert given_to(allotment) == {"a": 3000, "e": 5000}
    assert [grant.supply.agent_id for grant in allotment.grants] == ["a0", "a0"]


def test_limit_of_nothing_gives_nothing() -> None:
    allotment = give({"a": Quota({}, {"cpus": 0})}, ("a",), 3)
    assert allotment.grants == ()
    assert len(allotment.withheld) == 3


def test_numbers_of_ports_can_be_bounded() -> None:
    supply = Supply(
        "a0", Resources({"cpus": 1000}, {"ports": ((31_000, 31_009), (32_000, 32_009))})
    )
    claimants = (Claimant("f1", "a", {}),)
    whole = supply.resources.quantities
    quotas = {"a": Quota({}, {"ports": 12_000})}
    taking_part = Standings({"cpus": 1000}, {}, {}, claimants, quotas, whole)
    (grant,) = Ledger(taking_part).allocate([supply], Wishes(nobody)).grants
    assert grant.supply.resources.ranges == {"ports": ((31_000, 31_009), (32_000, 32_001))}


def test_children_owe_together_what_their_parent_is_promised() -> None:
    quotas = {
        "a": Quota({"cpus": 5000}),
        "a/b": Quota({"cpus": 2000}),
        "a/d": Quota({"cpus": 1000}),
    }
    assert guaranteed(quotas) == {"cpus": 5000}
    assert guaranteed(quotas, "a") == {"cpus": 3000}
    rations = Rations(quotas, {"a/d": {"cpus": 4500}}, {"cpus": 10_000})
    assert rations.lacking_below("") == {"cpus": 2000}  # a/b's own, though a lacks only 500
    assert rations.owed("a/b") == {"cpus": 2000}
    assert rations.owed("a/d") == {}  # what a lacks is kept for a/b


def test_siblings_divide_what_their_parent_is_promised_beyond_their_own() -> None:
    quotas = {
        "a": Quota({"cpus": 5000}),
        "a/b": Quota({"cpus": 2000}),
        "a/d": Quota({"cpus": 1000}),
    }
    rations = Rations(quotas, {}, {"cpus": 10_000})
    owed = [rations.owed(role)["cpus"] for role in ("a", "a/b", "a/d", "a/x")]
    assert owed == [2000, 4000, 3000, 2000]


amounts = st.integers(0, 8).map(lambda cpus: {"cpus": cpus * 500})
quotas = st.dictionaries(st.sampled_from(ROLES), st.builds(Quota, amounts, amounts), max_size=5)


@given(
    quotas,
    st.sets(st.sampled_from(ROLES), min_size=1),
    st.dictionaries(st.sampled_from(ROLES), amounts),
    st.integers(1, 8),
)
def test_grants_break_no_limit_and_take_no_promised_thing(
    quotas: dict[str, Quota], roles: set[str], held: dict[str, Amounts], agents: int
) -> None:
    """Whoever gets something stays within every limit, and leaves to the others what they lack."""
    for role, quota in quotas.items():
        limit = quota.limit["cpus"]
        assume(max(quota.guarantee["cpus"], guaranteed(quotas, role).get("cpus", 0)) <= limit)
        assume(guaranteed(quotas, role).get("cpus", 0) <= quota.guarantee["cpus"])
    in_use = sum(each["cpus"] for each in held.values())
    capacity = in_use + agents * 1000
    allotment = give(quotas, tuple(sorted(roles)), agents, held=held, capacity=capacity)
    account = Rations(quotas, held, {"cpus": capacity})
    for grant in allotment.grants:
        lacked = account.lacking_below("").get("cpus", 0)
        account.charge(grant.role, grant.supply.resources.quantities)
        taken = grant.supply.resources.scalars["cpus"]
        still = account.lacking_below("").get("cpus", 0)
        free = capacity - in_use - taken
        in_use += taken
        assert still <= free or lacked - still == taken
        for role in {grant.role, grant.role.rpartition("/")[0]} & set(quotas):
            assert not account.is_over(role)
