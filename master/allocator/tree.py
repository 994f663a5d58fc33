"""The order of fairness in a tree of roles: at every level the poorest branch goes first.

A role is a path such as `eng/search`; what a branch has is what all below it have. The frameworks
of a role that has sub-roles in the running stand beside these as one branch more, of weight 1.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

HERE = "/."  # ends the name of the branch of a role's own frameworks
WEIGHT_MILLI = 1000  # where nobody chose another


class Order(Protocol):
    """Names in the order in which they are served."""

    def add(self, name: str, amounts: Mapping[str, int], weight_milli: int) -> None: ...

    def charge(self, name: str, amounts: Mapping[str, int]) -> None: ...

    def rest(self, name: str, *, is_resting: bool) -> None: ...

    def __iter__(self) -> Iterator[str]: ...


MakeOrder = Callable[[], Order]


class RoleTree:
    """Roles that want offers, in the order of fairness, while amounts are charged to them."""

    def __init__(
        self,
        roles: Iterable[str],
        held: Mapping[str, Mapping[str, int]],
        weights_milli: Mapping[str, int],
        make_order: MakeOrder,
    ) -> None:
        """`held` is what every role itself holds, those that want nothing included."""
        self._branches: dict[str, Order] = {}
        sums = sum_up(held)
        self._added: set[str] = set()
        for role in sorted(roles):
            for parent, branch in self._path(role):
                if branch in self._added:
                    continue
                self._added.add(branch)
                amounts = held.get(role, {}) if branch.endswith(HERE) else sums.get(branch, {})
                order = self._branches.get(parent)
                if order is None:
                    order = self._branches[parent] = make_order()
                order.add(branch, amounts, weights_milli.get(branch, WEIGHT_MILLI))

    def charge(self, role: str, amounts: Mapping[str, int]) -> None:
        """Give a role more, which moves it and all above it back; those that want nothing count."""
        for parent, branch in self._path(role):
            if branch in self._added:
                self._branches[parent].charge(branch, amounts)

    def __iter__(self) -> Iterator[str]:
        """Go from the poorest branch to the richest, and in each likewise."""
        return self._walk("")

    def _walk(self, node: str) -> Iterator[str]:
        for branch in self._branches.get(node, ()):
            if branch.endswith(HERE):
                yield node
            elif branch in self._branches:
                yield from self._walk(branch)

    @staticmethod
    def _path(role: str) -> Iterator[tuple[str, str]]:
        parent = ""
        for branch in lineage(role):
            yield parent, branch
            parent = branch
        yield parent, parent + HERE


def lineage(role: str) -> Iterator[str]:
    """Return `a`, `a/b` and `a/b/c` of `a/b/c`."""
    end = role.find("/")
    while end >= 0:
        yield role[:end]
        end = role.find("/", end + 1)
    yield role


def is_within(role: str, above: str) -> bool:
    """Whether a role is that one, or below it."""
    return role == above or role.startswith(above + "/")


def sum_up(held: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Return what each role and all below it hold together."""
    sums: dict[str, dict[str, int]] = {}
    for role, amounts in held.items():
        for branch in lineage(role):
            account = sums.setdefault(branch, {})
            for name, amount in amounts.items():
                account[name] = account.get(name, 0) + amount
    return sums
