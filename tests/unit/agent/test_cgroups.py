"""Control groups: what is written where, in an own tree instead of the kernel's."""

import errno
import os
import signal
import subprocess
from pathlib import Path

import pytest

from agent.cgroups.files import Files, parse_keyed, parse_number
from agent.cgroups.hierarchy import MEMORY_BYTES_MIN, Counters, Limits
from agent.cgroups.mounts import Mounts, find_hierarchy, parse_mounts, restore_hierarchy
from agent.cgroups.v1 import HierarchyV1
from agent.cgroups.v2 import HierarchyV2
from tests.unit.agent.cgroup_tree import V1_FILES, V2_FILES, CgroupTree

LIMITS = Limits(cpus_milli=1500, memory_bytes=64 << 20, pids_max=20)
COUNTED = Counters(
    cpu_ns=123456789,
    throttled_ns=700,
    periods=9,
    throttled_periods=4,
    memory_bytes=4096,
    memory_peak_bytes=8192,
    pids=3,
    oom_kills=2,
)
MOUNTINFO = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
33 31 0:31 / /sys/fs/cgroup/with\\040blank rw - cgroup cgroup rw,memory
34 31 0:33 / /sys/fs/cgroup/systemd rw,relatime - cgroup systemd rw,xattr,name=systemd
35 31 0:34 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
"""


def v1_tree() -> tuple[CgroupTree, HierarchyV1]:
    tree = CgroupTree({f"/cg/{name}": files for name, files in V1_FILES.items()})
    hierarchy = HierarchyV1({name: f"/cg/{name}/quorate/t" for name in V1_FILES}, tree)
    hierarchy.prepare()
    return tree, hierarchy


def v2_tree() -> tuple[CgroupTree, HierarchyV2]:
    tree = CgroupTree({"/cg": V2_FILES})
    tree.groups["/cg"] = dict(V2_FILES, **{"cgroup.controllers": "cpu io memory pids"})
    hierarchy = HierarchyV2("/cg/quorate/t", files=tree)
    hierarchy.prepare()
    return tree, hierarchy


def test_mounts_are_read_with_comounted_controllers_and_blanks() -> None:
    mounts = parse_mounts(MOUNTINFO)
    cpu = "/sys/fs/cgroup/cpu,cpuacct"
    assert mounts.v1 == {"cpu": cpu, "cpuacct": cpu, "memory": "/sys/fs/cgroup/with blank"}
    assert mounts.v2 == "/sys/fs/cgroup/unified"


def test_hierarchy_v1_is_found_and_names_what_it_lacks() -> None:
    hierarchy, missing = find_hierarchy(parse_mounts(MOUNTINFO), "t", CgroupTree({}))
    assert hierarchy is not None
    assert hierarchy.name == "cgroups-v1:cpu,memory"
    assert missing == ("pids is not limited: no pids cgroup is mounted",)


def test_hierarchy_v2_is_found_when_v1_limits_nothing() -> None:
    tree, _ = v2_tree()
    hierarchy, missing = find_hierarchy(Mounts({"freezer": "/f"}, "/cg"), "t", tree)
    assert hierarchy is not None
    assert hierarchy.name == "cgroups-v2:cpu,memory,pids"
    assert missing == ()


def test_no_hierarchy_is_explained() -> None:
    hierarchy, missing = find_hierarchy(Mounts({}, ""), "t", CgroupTree({}))
    assert hierarchy is None
    assert "no cgroup controllers are mounted" in missing[0]


def test_description_restores_both_versions() -> None:
    for hierarchy in (v1_tree()[1], v2_tree()[1]):
        restored = restore_hierarchy(hierarchy.describe())
        assert restored.describe() == hierarchy.describe()
        assert restored.name == hierarchy.name


def test_v1_writes_each_limit_once_as_a_whole() -> None:
    tree, hierarchy = v1_tree()
    hierarchy.create("c1", LIMITS)
    assert tree.log == [
        ("/cg/cpu/quorate/t/c1/cpu.shares", "1536"),
        ("/cg/cpu/quorate/t/c1/cpu.cfs_quota_us", "150000"),
        ("/cg/memory/quorate/t/c1/memory.limit_in_bytes", str(64 << 20)),
        ("/cg/pids/quorate/t/c1/pids.max", "20"),
    ]


def test_v1_raises_small_amounts_to_what_the_kernel_takes() -> None:
    tree, hierarchy = v1_tree()
    hierarchy.create("c1", Limits(cpus_milli=1, memory_bytes=1, pids_max=0))
    assert [value for _, value in tree.log] == ["2", "1000", str(MEMORY_BYTES_MIN), "max"]


def test_v1_leaves_the_quota_to_a_tighter_group_above() -> None:
    tree, hierarchy = v1_tree()
    tree.refused["cpu.cfs_quota_us"] = errno.EINVAL
    hierarchy.create("c1", LIMITS)
    assert ("/cg/pids/quorate/t/c1/pids.max", "20") in tree.log


def test_v1_refused_limit_is_not_swallowed() -> None:
    tree, hierarchy = v1_tree()
    tree.refused["memory.limit_in_bytes"] = errno.EBUSY
    with pytest.raises(OSError, match=r"memory\.limit_in_bytes"):
        hierarchy.create("c1", LIMITS)


def test_v1_swap_is_held_to_the_memory_limit_where_it_is_accounted() -> None:
    files = {**V1_FILES["memory"], "memory.memsw.limit_in_bytes": "0"}
    tree = CgroupTree({"/cg/memory": files})
    hierarchy = HierarchyV1({"memory": "/cg/memory/quorate/t"}, tree)
    hierarchy.prepare()
    hierarchy.create("c1", LIMITS)
    assert [os.path.basename(path) for path, _ in tree.log] == [
        "memory.limit_in_bytes",
        "memory.memsw.limit_in_bytes",
    ]


def test_v1_comounted_controllers_share_one_entrance() -> None:
    tree = CgroupTree({"/cg/both": {**V1_FILES["cpu"], **V1_FILES["cpuacct"]}})
    directory = "/cg/both/quorate/t"
    hierarchy = HierarchyV1({"cpu": directory, "cpuacct": directory}, tree)
    hierarchy.prepare()
    hierarchy.create("c1", LIMITS)
    assert hierarchy.entrances("c1") == [f"{directory}/c1/tasks"]


@pytest.mark.parametrize("version", [1, 2])
def test_counters_are_read_from_all_controllers(version: int) -> None:
    _, hierarchy = v1_tree() if version == 1 else v2_tree()
    hierarchy.create("c1", LIMITS)
    expected = COUNTED if version == 1 else COUNTED._replace(cpu_ns=5000, throttled_ns=7000)
    assert hierarchy.count("c1") == expected


@pytest.mark.parametrize("version", [1, 2])
def test_counters_of_a_group_that_is_gone_are_zero(version: int) -> None:
    _, hierarchy = v1_tree() if version == 1 else v2_tree()
    assert hierarchy.count("gone") == Counters()


@pytest.mark.parametrize("version", [1, 2])
def test_group_with_processes_is_not_removed(version: int) -> None:
    tree, hierarchy = v1_tree() if version == 1 else v2_tree()
    hierarchy.create("c1", LIMITS)
    directory = next(path for path in tree.groups if path.endswith("/c1"))
    tree.members[directory] = [10]
    assert not hierarchy.remove("c1")
    tree.members.clear()
    assert hierarchy.remove("c1")
    assert hierarchy.remove("c1")
    assert hierarchy.containers() == []


@pytest.mark.parametrize("version", [1, 2])
def test_groups_above_go_when_no_container_is_left(version: int) -> None:
    tree, hierarchy = v1_tree() if version == 1 else v2_tree()
    hierarchy.create("c1", LIMITS)
    hierarchy.remove_empty()
    assert hierarchy.containers() == ["c1"]
    hierarchy.remove("c1")
    hierarchy.remove_empty()
    assert not [path for path in tree.groups if "quorate" in path]


def test_v1_kill_freezes_before_it_kills() -> None:
    tree, hierarchy = v1_tree()
    hierarchy.create("c1", LIMITS)
    victim = subprocess.Popen(["sleep", "60"])
    tree.members["/cg/pids/quorate/t/c1"] = [victim.pid]
    assert not hierarchy.kill("c1")
    assert victim.wait() == -signal.SIGKILL
    states = [value for path, value in tree.log if path.endswith("freezer.state")]
    assert states == ["FROZEN", "THAWED"]
    tree.members.clear()
    assert hierarchy.kill("c1")


def test_v2_kill_asks_the_kernel_once() -> None:
    tree, hierarchy = v2_tree()
    hierarchy.create("c1", LIMITS)
    tree.members["/cg/quorate/t/c1"] = [2**30]
    assert not hierarchy.kill("c1")
    assert tree.log[-1] == ("/cg/quorate/t/c1/cgroup.kill", "1")
    assert hierarchy.kill("c1")


def test_v2_writes_limits_and_passes_controllers_down() -> None:
    tree, hierarchy = v2_tree()
    hierarchy.create("c1", LIMITS)
    assert tree.log == [
        ("/cg/cgroup.subtree_control", "+cpu +memory +pids"),
        ("/cg/quorate/cgroup.subtree_control", "+cpu +memory +pids"),
        ("/cg/quorate/t/cgroup.subtree_control", "+cpu +memory +pids"),
        ("/cg/quorate/t/c1/cpu.weight", "150"),
        ("/cg/quorate/t/c1/cpu.max", "150000 100000"),
        ("/cg/quorate/t/c1/memory.max", str(64 << 20)),
        ("/cg/quorate/t/c1/pids.max", "20"),
    ]


def test_v2_does_not_ask_for_controllers_that_are_passed_down() -> None:
    tree, hierarchy = v2_tree()
    tree.log.clear()
    hierarchy.prepare()
    assert tree.log == []


def test_files_write_the_whole_value_and_forgive_what_is_gone(tmp_path: Path) -> None:
    files = Files()
    directory = f"{tmp_path}/group"
    files.make(directory)
    files.make(directory)
    with pytest.raises(FileNotFoundError):
        files.write(f"{directory}/cpu.shares", "2")  # never made: the kernel makes control files
    (tmp_path / "group" / "cpu.shares").write_text("1024")
    files.write(f"{directory}/cpu.shares", "2048")
    assert files.read(f"{directory}/cpu.shares") == "2048"
    assert files.read(f"{directory}/none") == ""
    assert files.children(str(tmp_path)) == ["group"]
    assert not files.remove(directory)
    (tmp_path / "group" / "cpu.shares").unlink()
    assert files.remove(directory)
    assert files.remove(directory)
    assert files.children(directory) == []


def test_numbers_are_read_leniently() -> None:
    assert parse_number("max\n") == 0
    assert parse_number("") == 0
    assert parse_keyed("a 1\nb x\nc 2 3\n") == {"a": 1}


SMALLER = Limits(cpus_milli=500, memory_bytes=48 << 20, pids_max=0)
LARGER = Limits(cpus_milli=3000, memory_bytes=96 << 20, pids_max=0)


def values(tree: CgroupTree, group: str) -> dict[str, str]:
    return {
        name: value
        for path, files in tree.groups.items()
        if path.endswith(group)
        for name, value in files.items()
    }


def test_v1_resize_changes_cpu_and_memory_and_no_more() -> None:
    tree, hierarchy = v1_tree()
    hierarchy.create("c1", LIMITS)
    tree.log.clear()
    assert hierarchy.resize("c1", LARGER) == ""
    assert tree.log == [
        ("/cg/memory/quorate/t/c1/memory.limit_in_bytes", str(96 << 20)),
        ("/cg/cpu/quorate/t/c1/cpu.shares", "3072"),
        ("/cg/cpu/quorate/t/c1/cpu.cfs_quota_us", "300000"),
    ]


@pytest.mark.parametrize(("limits", "first"), [(LARGER, "memsw"), (SMALLER, "limit")])
def test_v1_resize_never_asks_for_less_swap_than_memory(limits: Limits, first: str) -> None:
    files = {**V1_FILES["memory"], "memory.memsw.limit_in_bytes": "0"}
    tree = CgroupTree({"/cg/memory": files})
    hierarchy = HierarchyV1({"memory": "/cg/memory/quorate/t"}, tree)
    hierarchy.prepare()
    hierarchy.create("c1", LIMITS)
    tree.log.clear()
    assert hierarchy.resize("c1", limits) == ""
    assert tree.log[0][0].split(".")[1].startswith(first)
    assert len(tree.log) == 2


def test_v1_resize_below_what_is_used_is_refused_and_changes_nothing() -> None:
    tree, hierarchy = v1_tree()
    hierarchy.create("c1", LIMITS)
    before = values(tree, "/c1")
    tree.refused["memory.limit_in_bytes"] = errno.EBUSY
    fault = hierarchy.resize("c1", SMALLER)
    assert fault == "it uses 1 MiB of memory, more than 48 MiB"
    assert values(tree, "/c1") == before


def test_v1_resize_that_fails_halfway_takes_the_memory_back() -> None:
    files = {**V1_FILES["memory"], "memory.memsw.limit_in_bytes": "0"}
    tree = CgroupTree({"/cg/memory": files})
    hierarchy = HierarchyV1({"memory": "/cg/memory/quorate/t"}, tree)
    hierarchy.prepare()
    hierarchy.create("c1", LIMITS)
    tree.refused["memory.memsw.limit_in_bytes"] = errno.EBUSY
    assert hierarchy.resize("c1", SMALLER)
    assert values(tree, "/c1")["memory.limit_in_bytes"] == str(64 << 20)


def test_v2_resize_reclaims_first_and_kills_nobody() -> None:
    tree, hierarchy = v2_tree()
    hierarchy.create("c1", LIMITS)
    tree.log.clear()
    assert hierarchy.resize("c1", SMALLER) == ""
    written = [(os.path.basename(path), value) for path, value in tree.log]
    assert written == [
        ("memory.high", str(48 << 20)),
        ("memory.max", str(48 << 20)),
        ("memory.high", "max"),
        ("cpu.weight", "50"),
        ("cpu.max", "50000 100000"),
    ]


def test_v2_resize_below_what_is_used_is_refused_and_changes_nothing() -> None:
    tree, hierarchy = v2_tree()
    hierarchy.create("c1", LIMITS)
    group = next(path for path in tree.groups if path.endswith("/c1"))
    tree.groups[group]["memory.high"] = "max"
    tree.groups[group]["memory.current"] = str(50 << 20)
    before = values(tree, "/c1")
    assert hierarchy.resize("c1", SMALLER) == "it uses 50 MiB of memory, more than 48 MiB"
    assert values(tree, "/c1") == before


BURSTING = Limits(
    cpus_milli=500,
    memory_bytes=48 << 20,
    pids_max=20,
    cpus_limit_milli=2000,
    memory_limit_bytes=96 << 20,
)


def test_v1_lets_a_task_use_more_than_is_set_aside() -> None:
    tree, hierarchy = v1_tree()
    hierarchy.create("c1", BURSTING)
    assert tree.log == [
        ("/cg/cpu/quorate/t/c1/cpu.shares", "512"),
        ("/cg/cpu/quorate/t/c1/cpu.cfs_quota_us", "200000"),
        ("/cg/memory/quorate/t/c1/memory.limit_in_bytes", str(96 << 20)),
        ("/cg/memory/quorate/t/c1/memory.soft_limit_in_bytes", str(48 << 20)),
        ("/cg/pids/quorate/t/c1/pids.max", "20"),
    ]


def test_v2_lets_a_task_use_more_than_is_set_aside() -> None:
    tree, hierarchy = v2_tree()
    tree.log.clear()
    hierarchy.create("c1", BURSTING)
    assert {os.path.basename(path): value for path, value in tree.log} == {
        "cpu.weight": "50",
        "cpu.max": "200000 100000",
        "memory.max": str(96 << 20),
        "memory.low": str(48 << 20),
        "pids.max": "20",
    }


@pytest.mark.parametrize("version", [1, 2])
def test_resize_beyond_a_limit_raises_it(version: int) -> None:
    tree, hierarchy = v1_tree() if version == 1 else v2_tree()
    hierarchy.create("c1", BURSTING)
    wanted = BURSTING._replace(cpus_milli=3000, memory_bytes=128 << 20)
    assert hierarchy.resize("c1", wanted) == ""
    written = {os.path.basename(path): value for path, value in tree.log}
    hard, soft = (
        ("memory.limit_in_bytes", "memory.soft_limit_in_bytes")
        if version == 1
        else ("memory.max", "memory.low")
    )
    assert written[hard] == written[soft] == str(128 << 20)
