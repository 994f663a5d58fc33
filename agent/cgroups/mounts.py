"""Which cgroup trees this machine has mounted, and our place in them."""

from typing import NamedTuple

from agent.cgroups.files import Files
from agent.cgroups.hierarchy import Hierarchy
from agent.cgroups.v1 import CONTROLLERS as CONTROLLERS_V1
from agent.cgroups.v1 import LIMITING, HierarchyV1
from agent.cgroups.v2 import CONTROLLERS as CONTROLLERS_V2
from agent.cgroups.v2 import HierarchyV2

OURS = "quorate"


class Mounts(NamedTuple):
    """Mount points by controller for version 1, and the one of version 2 (empty: none)."""

    v1: dict[str, str]
    v2: str


def parse_mounts(mountinfo: str) -> Mounts:
    """Read /proc/self/mountinfo."""
    v1: dict[str, str] = {}
    v2 = ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.partition(" ")
        if kind not in ("cgroup", "cgroup2"):
            continue
        point = left.split()[4].encode().decode("unicode_escape")  # mountinfo escapes blanks
        if kind == "cgroup2":
            v2 = v2 or point
            continue
        for option in options.split()[-1].split(","):
            if option in CONTROLLERS_V1:
                v1.setdefault(option, point)
    return Mounts(v1, v2)


def find_hierarchy(
    mounts: Mounts, tree: str, files: Files | None = None
) -> tuple[Hierarchy | None, tuple[str, ...]]:
    """Return the hierarchy for containers of `tree`, and what it cannot limit and why."""
    files = files or Files()
    if any(name in mounts.v1 for name in LIMITING):
        directories = {name: f"{point}/{OURS}/{tree}" for name, point in mounts.v1.items()}
        missing = tuple(name for name in LIMITING if name not in mounts.v1)
        return HierarchyV1(directories, files), _explain(missing)
    if mounts.v2:
        offered = files.read(f"{mounts.v2}/cgroup.controllers").split()
        found = tuple(name for name in CONTROLLERS_V2 if name in offered)
        if found:
            missing = tuple(name for name in CONTROLLERS_V2 if name not in found)
            return HierarchyV2(f"{mounts.v2}/{OURS}/{tree}", found, files), _explain(missing)
    return None, ("cpu, memory and pids are not limited: no cgroup controllers are mounted",)


def restore_hierarchy(description: dict[str, object]) -> Hierarchy:
    """Make a hierarchy of what `Hierarchy.describe` returned."""
    if description["version"] == 1:
        directories = description["directories"]
        assert isinstance(directories, dict)
        return HierarchyV1(directories)
    controllers = description["controllers"]
    assert isinstance(controllers, list)
    return HierarchyV2(str(description["directory"]), tuple(controllers))


def _explain(missing: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name} is not limited: no {name} cgroup is mounted" for name in missing)
