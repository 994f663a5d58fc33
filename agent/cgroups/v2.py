"""Control groups of version 2: one tree, our subtree in it."""

import os

from agent.cgroups.files import Files, parse_keyed, parse_number
from agent.cgroups.hierarchy import PERIOD_US, Counters, Limits, describe_excess
from agent.cgroups.v1 import kill_processes

CONTROLLERS = ("cpu", "memory", "pids")
WEIGHT_MIN, WEIGHT_MAX = 1, 10_000
WEIGHT_PER_CPU = 100


class HierarchyV2:
    """One directory per container; the groups above it hold no processes."""

    def __init__(
        self,
        directory: str,
        controllers: tuple[str, ...] = CONTROLLERS,
        files: Files | None = None,
    ) -> None:
        """Take the directory of all our containers, two levels below the tree's root."""
        self._directory = directory
        self._controllers = controllers
        self._files = files or Files()
        self.name = "cgroups-v2:" + ",".join(controllers)

    def describe(self) -> dict[str, object]:
        controllers = list(self._controllers)
        return {"version": 2, "directory": self._directory, "controllers": controllers}

    def prepare(self) -> None:
        ours = os.path.dirname(self._directory)
        self._pass_down(os.path.dirname(ours))
        for directory in (ours, self._directory):
            self._files.make(directory)
            self._pass_down(directory)

    def create(self, container: str, limits: Limits) -> None:
        directory = f"{self._directory}/{container}"
        self._files.make(directory)
        self._limit_cpu(directory, limits)
        if "memory" in self._controllers:
            self._files.write(f"{directory}/memory.max", str(limits.enforced_memory_bytes))
            if self._files.exists(f"{directory}/memory.swap.max"):
                self._files.write(f"{directory}/memory.swap.max", "0")
            self._keep(directory, limits)
        if "pids" in self._controllers:
            value = str(limits.pids_max) if limits.pids_max else "max"
            self._files.write(f"{directory}/pids.max", value)

    def resize(self, container: str, limits: Limits) -> str:
        directory = f"{self._directory}/{container}"
        fault = ""
        if "memory" in self._controllers:
            fault = self._resize_memory(directory, limits.enforced_memory_bytes)
        if not fault:
            self._limit_cpu(directory, limits)
            if "memory" in self._controllers:
                self._keep(directory, limits)
        return fault

    def _keep(self, directory: str, limits: Limits) -> None:
        """Protect what is set aside from being reclaimed while others exceed theirs."""
        if kept := limits.kept_memory_bytes:
            self._files.write(f"{directory}/memory.low", str(kept))

    def _limit_cpu(self, directory: str, limits: Limits) -> None:
        if "cpu" in self._controllers:
            weight = limits.cpus_milli * WEIGHT_PER_CPU // 1000
            weight = min(max(weight, WEIGHT_MIN), WEIGHT_MAX)
            self._files.write(f"{directory}/cpu.weight", str(weight))
            self._files.write(f"{directory}/cpu.max", f"{limits.quota_us} {PERIOD_US}")

    def _resize_memory(self, directory: str, value: int) -> str:
        """Reclaim down to the limit first: `memory.max` below what is used would kill."""
        high = f"{directory}/memory.high"
        self._files.write(high, str(value))
        try:
            used = parse_number(self._files.read(f"{directory}/memory.current"))
            if used > value:
                return describe_excess(used, value)
            self._files.write(f"{directory}/memory.max", str(value))
        finally:
            self._files.write(high, "max")
        return ""

    def entrances(self, container: str) -> list[str]:
        return [f"{self._directory}/{container}/cgroup.procs"]

    def count(self, container: str) -> Counters:
        directory = f"{self._directory}/{container}"
        stat = parse_keyed(self._files.read(f"{directory}/cpu.stat"))
        events = parse_keyed(self._files.read(f"{directory}/memory.events"))
        return Counters(
            cpu_ns=stat.get("usage_usec", 0) * 1000,
            throttled_ns=stat.get("throttled_usec", 0) * 1000,
            periods=stat.get("nr_periods", 0),
            throttled_periods=stat.get("nr_throttled", 0),
            memory_bytes=parse_number(self._files.read(f"{directory}/memory.current")),
            memory_peak_bytes=parse_number(self._files.read(f"{directory}/memory.peak")),
            pids=parse_number(self._files.read(f"{directory}/pids.current")),
            oom_kills=events.get("oom_kill", 0),
        )

    def processes(self, container: str) -> list[int]:
        text = self._files.read(f"{self._directory}/{container}/cgroup.procs")
        return sorted(map(int, text.split()))

    def kill(self, container: str) -> bool:
        pids = self.processes(container)
        if not pids:
            return True
        kill_file = f"{self._directory}/{container}/cgroup.kill"
        if self._files.exists(kill_file):
            self._files.write(kill_file, "1")
        else:  # kernels before 5.14
            kill_processes(pids)
        return False

    def remove(self, container: str) -> bool:
        return self._files.remove(f"{self._directory}/{container}")

    def containers(self) -> list[str]:
        return self._files.children(self._directory)

    def remove_empty(self) -> None:
        if self._files.remove(self._directory):
            self._files.remove(os.path.dirname(self._directory))

    def _pass_down(self, directory: str) -> None:
        """Let the groups below use our controllers, asking only for what they lack."""
        path = f"{directory}/cgroup.subtree_control"
        passed = self._files.read(path).split()
        wanted = " ".join(f"+{name}" for name in self._controllers if name not in passed)
        if wanted:
            self._files.write(path, wanted)
