"""Entitlements: which part of the cluster is each role's, of those that want or have anything."""

from collections.abc import Iterable, Mapping

from master.allocator.tree import HERE, WEIGHT_MILLI, lineage

WHOLE = 10**12  # as `SHARE_UNITS` of the sorter


def entitle(roles: Iterable[str], weights_milli: Mapping[str, int]) -> dict[str, int]:
    """Return the part of each role in `WHOLE`: at every level by weight among siblings.

    A role that has sub-roles stands beside them with what is its own.
    """
    children: dict[str, dict[str, None]] = {}
    wanted = list(dict.fromkeys(roles))
    for role in wanted:
        parent = ""
        for branch in lineage(role):
            children.setdefault(parent, {})[branch] = None
            parent = branch
    for role in wanted:
        if role in children:
            children[role][role + HERE] = None
    parts: dict[str, int] = {}
    _divide("", WHOLE, (children, weights_milli), parts)
    return parts


def _divide(
    node: str,
    part: int,
    tree: tuple[Mapping[str, Mapping[str, None]], Mapping[str, int]],
    parts: dict[str, int],
) -> None:
    children, weights = tree
    branches = children.get(node)
    if branches is None:
        parts[node.removesuffix(HERE)] = part
        return
    whole = sum(weights.get(branch, WEIGHT_MILLI) for branch in branches)
    for branch in branches:
        _divide(branch, part * weights.get(branch, WEIGHT_MILLI) // whole, tree, parts)
