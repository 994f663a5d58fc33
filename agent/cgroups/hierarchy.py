"""What a tree of control groups does for a container, whatever version the kernel speaks."""

from typing import NamedTuple, Protocol

from agent.cgroups.files import Files

PERIOD_US = 100_000
QUOTA_US_MIN = 1_000  # the kernel refuses smaller quotas
MIB = 1 << 20
MEMORY_BYTES_MIN = 32 * MIB  # below this the loader of a plain program is killed before main


class Limits(NamedTuple):
    """What is set aside for a container, and the most that it may use.

    0 pids: no limit; 0 of another limit: no more than is set aside.
    """

    cpus_milli: int
    memory_bytes: int
    pids_max: int
    cpus_limit_milli: int = 0
    memory_limit_bytes: int = 0

    @property
    def quota_us(self) -> int:
        """CPU time per period of 100 ms."""
        cpus_milli = max(self.cpus_milli, self.cpus_limit_milli)
        return max(cpus_milli * PERIOD_US // 1000, QUOTA_US_MIN)

    @property
    def enforced_memory_bytes(self) -> int:
        return max(self.memory_bytes, self.memory_limit_bytes, MEMORY_BYTES_MIN)

    @property
    def kept_memory_bytes(self) -> int:
        """What the kernel leaves it when the machine is short; 0: it has no limit of its own."""
        return max(self.memory_bytes, MEMORY_BYTES_MIN) if self.memory_limit_bytes else 0


def describe_excess(used_bytes: int, limit_bytes: int) -> str:
    """Return why a container cannot have so little memory."""
    used, limit = (f"{-(-each // MIB)} MiB" for each in (used_bytes, limit_bytes))
    return f"it uses {used} of memory, more than {limit}"


class Counters(NamedTuple):
    """What a container has used and uses; 0 where the kernel does not say."""

    cpu_ns: int = 0
    throttled_ns: int = 0
    periods: int = 0
    throttled_periods: int = 0
    memory_bytes: int = 0
    memory_peak_bytes: int = 0
    pids: int = 0
    oom_kills: int = 0


class Controller(Protocol):
    """One kind of resource in one group directory."""

    name: str

    def limit(self, files: Files, directory: str, limits: Limits) -> None:
        """Write the limits that are this controller's. Raises OSError where one cannot hold."""

    def count(self, files: Files, directory: str) -> dict[str, int]:
        """Return the fields of Counters that are this controller's."""


class Hierarchy(Protocol):
    """The groups of all containers of one agent."""

    name: str  # such as "cgroups-v1:cpu,memory,pids"

    def describe(self) -> dict[str, object]:
        """Return what `restore_hierarchy` makes the same hierarchy of, in another process."""

    def prepare(self) -> None:
        """Make the groups above the containers. Raises OSError when that is not allowed here."""

    def create(self, container: str, limits: Limits) -> None:
        """Make the container's groups with their limits. Raises OSError."""

    def resize(self, container: str, limits: Limits) -> str:
        """Change cpu and memory of a container with processes in it.

        Returns why it cannot be, and then has changed nothing; empty when it is done. Raises
        OSError.
        """

    def entrances(self, container: str) -> list[str]:
        """Return the files to which a process writes `0` to enter the container."""

    def count(self, container: str) -> Counters:
        """Read what the container uses."""

    def processes(self, container: str) -> list[int]:
        """Return the pids inside, as this process sees them."""

    def kill(self, container: str) -> bool:
        """Send SIGKILL to every process inside; True when there was none."""

    def remove(self, container: str) -> bool:
        """Remove the container's groups; False while somebody is still inside."""

    def containers(self) -> list[str]:
        """Return the names of all containers that have a group."""

    def remove_empty(self) -> None:
        """Remove the groups that `prepare` made, as far as no container is left."""
