"""Control groups of version 1: one tree per controller, our subtree in each."""

import errno
import os
import signal

from agent.cgroups.files import Files, parse_keyed, parse_number
from agent.cgroups.hierarchy import Controller, Counters, Limits, describe_excess

SHARES_MIN, SHARES_MAX = 2, 262_144
SHARES_PER_CPU = 1024
TREE_TRIES_MAX = 5


class Cpu:
    """A lower bound by shares and an upper bound by quota."""

    name = "cpu"

    def limit(self, files: Files, directory: str, limits: Limits) -> None:
        shares = limits.cpus_milli * SHARES_PER_CPU // 1000
        files.write(f"{directory}/cpu.shares", str(min(max(shares, SHARES_MIN), SHARES_MAX)))
        try:
            files.write(f"{directory}/cpu.cfs_quota_us", str(limits.quota_us))
        except OSError as error:
            if (
                error.errno != errno.EINVAL
            ):  # EINVAL: the group above has a smaller quota, which binds
                raise

    def count(self, files: Files, directory: str) -> dict[str, int]:
        stat = parse_keyed(files.read(f"{directory}/cpu.stat"))
        return {
            "periods": stat.get("nr_periods", 0),
            "throttled_periods": stat.get("nr_throttled", 0),
            "throttled_ns": stat.get("throttled_time", 0),
        }


class CpuAccount:
    """CPU time used."""

    name = "cpuacct"

    def limit(self, files: Files, directory: str, limits: Limits) -> None:
        """Accounting limits nothing."""

    def count(self, files: Files, directory: str) -> dict[str, int]:
        return {"cpu_ns": parse_number(files.read(f"{directory}/cpuacct.usage"))}


class Memory:
    """A hard limit, with swap held to the same where the kernel accounts it."""

    name = "memory"

    def limit(self, files: Files, directory: str, limits: Limits) -> None:
        value = str(limits.enforced_memory_bytes)
        files.write(f"{directory}/memory.limit_in_bytes", value)
        swap = f"{directory}/memory.memsw.limit_in_bytes"  # after the memory: never below it
        if files.exists(swap):
            files.write(swap, value)
        self._keep(files, directory, limits)

    def _keep(self, files: Files, directory: str, limits: Limits) -> None:
        """Have what exceeds the soft limit reclaimed first when the machine is short."""
        if kept := limits.kept_memory_bytes:
            files.write(f"{directory}/memory.soft_limit_in_bytes", str(kept))

    def count(self, files: Files, directory: str) -> dict[str, int]:
        peak = files.read(f"{directory}/memory.max_usage_in_bytes")
        control = parse_keyed(files.read(f"{directory}/memory.oom_control"))
        return {
            "memory_bytes": parse_number(files.read(f"{directory}/memory.usage_in_bytes")),
            "memory_peak_bytes": parse_number(peak),
            "oom_kills": control.get("oom_kill", 0),
        }

    def resize(self, files: Files, directory: str, limits: Limits) -> str:
        """Change the limit of a group in use; the kernel refuses what it cannot reclaim.

        Returns why it cannot be; empty when it is done. Raises OSError for anything else.
        """
        value = limits.enforced_memory_bytes
        memory = f"{directory}/memory.limit_in_bytes"
        swap = f"{directory}/memory.memsw.limit_in_bytes"
        before = parse_number(files.read(memory))
        paths = [memory, swap] if files.exists(swap) else [memory]
        if value > before:
            paths.reverse()  # swap is never below the memory
        for number, path in enumerate(paths):
            try:
                files.write(path, str(value))
            except OSError as error:
                for done in reversed(paths[:number]):
                    files.write(done, str(before))
                if error.errno != errno.EBUSY:
                    raise
                used = parse_number(files.read(f"{directory}/memory.usage_in_bytes"))
                return describe_excess(used, value)
        self._keep(files, directory, limits)
        return ""


class Pids:
    """How many processes and threads there may be."""

    name = "pids"

    def limit(self, files: Files, directory: str, limits: Limits) -> None:
        files.write(f"{directory}/pids.max", str(limits.pids_max) if limits.pids_max else "max")

    def count(self, files: Files, directory: str) -> dict[str, int]:
        return {"pids": parse_number(files.read(f"{directory}/pids.current"))}


class Freezer:
    """Stops a container as a whole, so that nobody forks while it is killed."""

    name = "freezer"

    def limit(self, files: Files, directory: str, limits: Limits) -> None:
        """Freezing limits nothing."""

    def count(self, files: Files, directory: str) -> dict[str, int]:
        return {}

    @staticmethod
    def write_state(files: Files, directory: str, state: str) -> None:
        try:
            files.write(f"{directory}/freezer.state", state)
        except OSError:  # killing works without, only less surely at once
            return


CONTROLLERS: dict[str, Controller] = {
    controller.name: controller for controller in (Cpu(), CpuAccount(), Memory(), Pids(), Freezer())
}
LIMITING = ("cpu", "memory", "pids")


class HierarchyV1:
    """Our subtree in the tree of each controller; co-mounted controllers share a directory."""

    def __init__(self, directories: dict[str, str], files: Files | None = None) -> None:
        """Take controller name → directory of all our containers."""
        assert directories.keys() <= CONTROLLERS.keys()
        self._directories = directories
        self._files = files or Files()
        self.name = "cgroups-v1:" + ",".join(n for n in LIMITING if n in directories)

    def describe(self) -> dict[str, object]:
        return {"version": 1, "directories": self._directories}

    def prepare(self) -> None:
        for directory in self._distinct():
            make_tree(self._files, directory)

    def create(self, container: str, limits: Limits) -> None:
        for directory in self._distinct():
            self._files.make(f"{directory}/{container}")
        for name, directory in self._directories.items():
            CONTROLLERS[name].limit(self._files, f"{directory}/{container}", limits)

    def resize(self, container: str, limits: Limits) -> str:
        if directory := self._directories.get("memory"):
            fault = Memory().resize(self._files, f"{directory}/{container}", limits)
            if fault:
                return fault
        if directory := self._directories.get("cpu"):
            Cpu().limit(self._files, f"{directory}/{container}", limits)
        return ""

    def entrances(self, container: str) -> list[str]:
        # `0` to `tasks` by a single-threaded process itself spares the RCU grace period that a
        # write to cgroup.procs waits for after some quiet.
        return [f"{directory}/{container}/tasks" for directory in self._distinct()]

    def count(self, container: str) -> Counters:
        counted: dict[str, int] = {}
        for name, directory in self._directories.items():
            counted |= CONTROLLERS[name].count(self._files, f"{directory}/{container}")
        return Counters(**counted)

    def processes(self, container: str) -> list[int]:
        pids: set[int] = set()
        for directory in self._distinct():
            pids.update(map(int, self._files.read(f"{directory}/{container}/cgroup.procs").split()))
        return sorted(pids)

    def kill(self, container: str) -> bool:
        freezer = self._directories.get("freezer")
        pids = self.processes(container)
        if not pids:
            return True
        if freezer:
            Freezer.write_state(self._files, f"{freezer}/{container}", "FROZEN")
            pids = self.processes(container)
        kill_processes(pids)
        if freezer:
            Freezer.write_state(self._files, f"{freezer}/{container}", "THAWED")
        return False

    def remove(self, container: str) -> bool:
        removed = [self._files.remove(f"{d}/{container}") for d in self._distinct()]
        return all(removed)

    def containers(self) -> list[str]:
        return sorted({name for d in self._distinct() for name in self._files.children(d)})

    def remove_empty(self) -> None:
        for directory in self._distinct():
            if self._files.remove(directory):
                self._files.remove(os.path.dirname(directory))

    def _distinct(self) -> list[str]:
        return list(dict.fromkeys(self._directories.values()))


def make_tree(files: Files, directory: str) -> None:
    """Make the group of an agent and the one above, which another agent may just be removing."""
    for _ in range(TREE_TRIES_MAX):
        files.make(os.path.dirname(directory))
        try:
            files.make(directory)
        except FileNotFoundError:
            continue
        return
    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), directory)


def kill_processes(pids: list[int]) -> None:
    """Send SIGKILL to each that is still there."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
