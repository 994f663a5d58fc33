"""A cgroup tree in memory: what the kernel does when groups are made, written and removed."""

import errno
import os

from agent.cgroups.files import Files

V1_FILES = {
    "cpu": {
        "cpu.shares": "1024",
        "cpu.cfs_quota_us": "-1",
        "cpu.stat": "nr_periods 9\nnr_throttled 4\nthrottled_time 700\n",
    },
    "cpuacct": {"cpuacct.usage": "123456789\n"},
    "memory": {
        "memory.limit_in_bytes": "9223372036854771712",
        "memory.usage_in_bytes": "4096\n",
        "memory.max_usage_in_bytes": "8192\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    },
    "pids": {"pids.max": "max", "pids.current": "3\n"},
    "freezer": {"freezer.state": "THAWED"},
}
V2_FILES = {
    "cgroup.subtree_control": "",
    "cgroup.kill": "",
    "cpu.max": "max 100000",
    "cpu.weight": "100",
    "cpu.stat": "usage_usec 5\nnr_periods 9\nnr_throttled 4\nthrottled_usec 7\n",
    "memory.max": "max",
    "memory.current": "4096\n",
    "memory.peak": "8192\n",
    "memory.events": "low 0\noom 1\noom_kill 2\n",
    "pids.max": "max",
    "pids.current": "3\n",
}


class CgroupTree(Files):
    """Groups by path; `roots` are the mount points with the files that their groups get."""

    def __init__(self, roots: dict[str, dict[str, str]]) -> None:
        self.roots = roots
        self.groups: dict[str, dict[str, str]] = {path: {} for path in roots}
        self.members: dict[str, list[int]] = {}
        self.log: list[tuple[str, str]] = []
        self.refused: dict[str, int] = {}  # file name → errno of a write

    def make(self, directory: str) -> None:
        if os.path.dirname(directory) not in self.groups:
            raise FileNotFoundError(errno.ENOENT, "no such group", directory)
        root = max((r for r in self.roots if directory.startswith(r + "/")), key=len)
        self.groups.setdefault(directory, dict(self.roots[root]))

    def remove(self, directory: str) -> bool:
        if self.members.get(directory) or self.children(directory):
            return False
        self.groups.pop(directory, None)
        return True

    def write(self, path: str, value: str) -> None:
        directory, name = os.path.split(path)
        if directory not in self.groups:
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        if name in self.refused:
            raise OSError(self.refused[name], os.strerror(self.refused[name]), path)
        self.log.append((path, value))
        if name == "cgroup.kill":
            self.members.pop(directory, None)
        elif name == "cgroup.subtree_control":
            self.groups[directory][name] = value.replace("+", "")
        else:
            self.groups[directory][name] = value

    def read(self, path: str) -> str:
        directory, name = os.path.split(path)
        if name == "cgroup.procs":
            return "".join(f"{pid}\n" for pid in self.members.get(directory, []))
        return self.groups.get(directory, {}).get(name, "")

    def exists(self, path: str) -> bool:
        directory, name = os.path.split(path)
        return name in self.groups.get(directory, {})

    def children(self, directory: str) -> list[str]:
        return sorted(
            os.path.basename(path) for path in self.groups if os.path.dirname(path) == directory
        )
