"""Entitlements divide the whole, level by level, by weight."""

from hypothesis import given
from hypothesis import strategies as st

from master.allocator.entitlement import WHOLE, entitle

ROLES = ["a", "a/b", "a/b/c", "a/d", "e", "e/f"]


def test_siblings_share_by_weight_what_their_parent_has() -> None:
    parts = entitle(["eng/search", "eng/ads", "sales"], {"eng": 3000, "eng/ads": 2000})
    assert parts == {
        "eng/search": WHOLE * 3 // 4 // 3,
        "eng/ads": WHOLE * 3 // 4 * 2 // 3,
        "sales": WHOLE // 4,
    }


def test_role_with_sub_roles_stands_beside_them() -> None:
    assert entitle(["eng", "eng/ads"], {}) == {"eng": WHOLE // 2, "eng/ads": WHOLE // 2}


@given(
    st.lists(st.sampled_from(ROLES), min_size=1, unique=True),
    st.dictionaries(st.sampled_from(ROLES), st.integers(1, 9000)),
)
def test_parts_make_the_whole(roles: list[str], weights: dict[str, int]) -> None:
    parts = entitle(roles, weights)
    assert sorted(parts) == sorted(roles)
    assert WHOLE - 100 <= sum(parts.values()) <= WHOLE
