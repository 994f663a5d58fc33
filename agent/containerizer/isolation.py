"""What containers can be fenced with on this machine, and what not and why."""

import errno
import hashlib
import os
from dataclasses import dataclass

from agent.cgroups.hierarchy import Hierarchy
from agent.cgroups.mounts import OURS, find_hierarchy, parse_mounts
from agent.containerizer.namespaces import NAMESPACES

CONTROL = "cgroup.subtree_control"  # of version 2: lets the groups below use a controller


@dataclass(frozen=True, slots=True)
class Isolation:
    """The fences of one agent's containers, and both said in words."""

    hierarchy: Hierarchy | None
    has_namespaces: bool
    enforced: tuple[str, ...]
    reductions: tuple[str, ...]


NONE = Isolation(
    hierarchy=None,
    has_namespaces=False,
    enforced=(),
    reductions=("nothing is isolated or limited: the process backend was chosen",),
)


def choose_isolation(work_dir: str, no_namespaces: str) -> Isolation:
    """Prepare what can be enforced; `no_namespaces` is the launcher's reason, if it has one."""
    enforced: list[str] = []
    reductions: list[str] = []
    hierarchy, missing = _prepare_groups(work_dir)
    reductions += missing
    if hierarchy is not None:
        enforced.append(hierarchy.name)
    if no_namespaces:
        reductions.append(f"tasks see all processes and mounts: {no_namespaces}")
    else:
        enforced.append("namespaces:" + ",".join(NAMESPACES))
    reductions.append("tasks share the network and the root file system of the machine")
    if os.geteuid() == 0:
        reductions.append("tasks that run as root keep root's capabilities; give tasks a user")
    return Isolation(hierarchy, not no_namespaces, tuple(enforced), tuple(reductions))


def name_tree(work_dir: str) -> str:
    """Return what the groups of one agent are called, apart from those of others."""
    return hashlib.sha256(work_dir.encode()).hexdigest()[:12]


def _prepare_groups(work_dir: str) -> tuple[Hierarchy | None, tuple[str, ...]]:
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        hierarchy, missing = find_hierarchy(parse_mounts(file.read()), name_tree(work_dir))
    if hierarchy is None:
        return None, missing
    try:
        hierarchy.prepare()
    except OSError as error:
        return None, (f"cpu, memory and pids are not limited: {explain_no_groups(error)}",)
    return hierarchy, missing


def explain_no_groups(error: OSError) -> str:
    """Say why no control groups can be made: the part of the tree, rather than our place there."""
    path = str(error.filename or "")
    place = path.partition(f"/{OURS}/")[0].removesuffix(f"/{OURS}").removesuffix(f"/{CONTROL}")
    if not place:
        return error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"this user may not make groups in {place}"
    if error.errno == errno.EROFS:
        return f"{place} is mounted read-only"
    return f"no groups can be made in {place}: {(error.strerror or 'no reason is known').lower()}"
