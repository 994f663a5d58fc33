"""The containerizer of Linux machines: namespaces and control groups where the agent may use them.

The records in the runtime directories are the truth; what is held here is only the watching.
"""

import asyncio
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace

import structlog

from agent.cgroups.hierarchy import Hierarchy, Limits
from agent.containerizer import records
from agent.containerizer.connection import (
    LauncherConnection,
    Message,
    lock_containers,
    reach_launcher,
)
from agent.containerizer.containerizer import (
    Amounts,
    ContainerSpec,
    Exited,
    LauncherUnavailable,
    LaunchFailed,
    Started,
)
from agent.containerizer.isolation import NONE, choose_isolation
from agent.containerizer.launcher import CONTAINERS
from agent.containerizer.outcome import describe_exit, describe_loss, measure_process
from agent.containerizer.processes import (
    find_session,
    has_ended,
    kill_all,
    open_process,
    read_boot_id,
    send_signal,
)
from agent.containerizer.records import ExitRecord, Order, PidRecord
from agent.containerizer.watch import Watch, kill_directly
from protocol.messages.values import ContainerUsage

LAUNCH_TRIES_MAX = 3  # each with a launcher of its own
CLAIMED_TRIES_MAX = 12_000  # at PAUSE_S: a supervisor that lives but whose disk does not answer
END_TRIES_MAX = 2000  # at PAUSE_S: a killed container that is not empty yet
PAUSE_S = 0.005
GONE = ".gone-"

log = structlog.get_logger()


class NativeContainerizer:
    """Implements `containerizer.Containerizer`; one per work directory and process."""

    def __init__(self, work_dir: str, clock_ns: Callable[[], int], backend: str = "native") -> None:
        """Take an existing directory; `backend` "process" asks for no isolation at all."""
        assert backend in ("native", "process")
        self.isolation: tuple[str, ...] = ()
        self.reductions: tuple[str, ...] = ()
        self.on_exit: Callable[[str, Exited], None] = lambda container, exited: None
        self.launcher_pid = 0
        self._work_dir = os.path.abspath(work_dir)
        self._clock_ns = clock_ns
        self._backend = backend
        self._hierarchy: Hierarchy | None = None
        self._has_namespaces = False
        self._boot_id = read_boot_id()
        self._lock: int | None = None
        self._connecting = asyncio.Lock()
        self._connection: LauncherConnection | None = None
        self._watches: dict[str, Watch] = {}
        self._burials: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        if self._lock is None:
            self._lock = lock_containers(self._work_dir)
        try:
            await self._connect()
        except LauncherUnavailable:
            await self.stop()
            raise

    async def launch(self, spec: ContainerSpec) -> Started | LaunchFailed:
        assert spec.directory == self._directory(spec.container)
        for _ in range(LAUNCH_TRIES_MAX):
            try:
                connection = await self._connect()
                self._write_order(spec)
            except LauncherUnavailable as error:
                return LaunchFailed("launcher", str(error))
            except FileExistsError as error:
                return LaunchFailed("claim", str(error))
            except OSError as error:
                return LaunchFailed("directory", str(error))
            answer = await connection.ask_launch(spec.container)
            if answer is None or "broken" in answer:
                outcome = await self._settle_launch(spec.container)
            else:
                outcome = self._conclude_launch(spec.container, answer)
            if outcome is not None:
                return outcome
        return LaunchFailed("launcher", "it ended each time before the command began")

    async def adopt(self, container: str) -> Started | Exited | None:
        if container in self._watches:
            return _started(self._watches[container].record)
        found = await self._look_up(container)
        if found is None:
            return None
        if isinstance(found, ExitRecord):
            return describe_exit(found)
        ended = self._watch(container, found)
        if ended is None:
            return _started(found)
        if ended.was_lost and found.boot_id == self._boot_id:
            await self._bury(container, found)
        return ended

    async def signal(self, container: str, signal: int) -> None:
        watch = self._watches.get(container)
        if watch is None:
            return
        if signal == 9:
            watch.end_tree(self._hierarchy, container)
        else:
            watch.signal(signal)

    async def kill(self, container: str, grace_s: float, signal: int = 15) -> None:
        watch = self._watches.get(container)
        if watch is not None:
            watch.terminate(grace_s, self._hierarchy, container, signal)

    async def resize(self, container: str, amounts: Amounts) -> str:
        if container not in self._watches:
            return "it does not run"
        if self._hierarchy is None:
            return ""
        limits = Limits(pids_max=0, **asdict(amounts))
        running = asyncio.get_running_loop()  # reclaiming memory may take the kernel a while
        try:
            return await running.run_in_executor(None, self._hierarchy.resize, container, limits)
        except OSError as error:
            log.warning("a container cannot be resized", container=container, reason=str(error))
            return f"its limits cannot be changed: {error.strerror or error}"

    def usage(self, container: str) -> ContainerUsage | None:
        watch = self._watches.get(container)
        if watch is None:
            return None
        stamp_ns = self._clock_ns()
        if self._hierarchy is None:
            return replace(measure_process(watch.record.pid), stamp_ns=stamp_ns)
        counters = self._hierarchy.count(container)._asdict()
        del counters["oom_kills"]
        return ContainerUsage(**counters, stamp_ns=stamp_ns)

    async def destroy(self, container: str) -> None:
        directory = self._directory(container)
        watch = self._watches.pop(container, None)
        if watch is not None:
            watch.close()
        record = records.read_pid(directory)
        if record is not None and record.boot_id == self._boot_id:
            await self._bury(container, record)
        if self._hierarchy is not None:
            await self._remove_groups(container)
        gone = f"{self._work_dir}/{CONTAINERS}/{GONE}{container}"
        try:
            os.rename(directory, gone)  # at once: half a record would tell another story
        except FileNotFoundError:
            return
        shutil.rmtree(gone, ignore_errors=True)

    async def stop(self) -> None:
        for burial in self._burials:
            burial.cancel()
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()
        is_busy = False
        if self._connection is not None:
            is_busy = self._connection.is_busy
            self._connection.close()
            self._connection = None
        if self._hierarchy is not None and not is_busy:
            self._hierarchy.remove_empty()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # Connection

    async def _connect(self) -> LauncherConnection:
        """Return the open connection, or a new one. Raises LauncherUnavailable."""
        async with self._connecting:
            if self._connection is not None and self._connection.is_open:
                return self._connection
            os.makedirs(f"{self._work_dir}/{CONTAINERS}", 0o700, exist_ok=True)
            link, welcome = await reach_launcher(self._work_dir)
            self._connection = LauncherConnection(link)
            is_first = self.launcher_pid == 0
            self.launcher_pid = int(str(welcome["pid"]))
            if is_first:
                self._isolate(str(welcome["reduced"]))
                await self._sweep()
            return self._connection

    def _isolate(self, no_namespaces: str) -> None:
        if self._backend == "process":
            chosen = NONE
        else:
            chosen = choose_isolation(self._work_dir, no_namespaces)
        self._hierarchy = chosen.hierarchy
        self._has_namespaces = chosen.has_namespaces
        self.isolation, self.reductions = chosen.enforced, chosen.reductions

    async def _sweep(self) -> None:
        """Remove what a destroy that was cut short, or a launch that never was, left over."""
        names = os.listdir(f"{self._work_dir}/{CONTAINERS}")
        for name in names:
            if name.startswith(GONE):
                shutil.rmtree(f"{self._work_dir}/{CONTAINERS}/{name}", ignore_errors=True)
        if self._hierarchy is not None:
            for container in self._hierarchy.containers():
                if container not in names:
                    await self._remove_groups(container)

    # Containers

    def _directory(self, container: str) -> str:
        return f"{self._work_dir}/{CONTAINERS}/{container}"

    def _write_order(self, spec: ContainerSpec) -> None:
        """Write what the supervisor is to do. Raises FileExistsError when one did it before."""
        os.makedirs(spec.directory, 0o700, exist_ok=True)
        if records.is_claimed(spec.directory):
            raise FileExistsError("a container of this name was launched before")
        order = Order(
            container=spec.container,
            argv=list(spec.argv),
            environment=dict(spec.environment),
            sandbox=spec.sandbox,
            cpus_milli=spec.cpus_milli,
            memory_bytes=spec.memory_bytes,
            pids_max=spec.pids_max,
            user=spec.user,
            hostname=spec.hostname,
            has_namespaces=self._has_namespaces,
            hierarchy=self._hierarchy.describe() if self._hierarchy else {},
            binds=tuple((each.directory, each.path, each.is_read_only) for each in spec.volumes),
            cpus_limit_milli=spec.cpus_limit_milli,
            memory_limit_bytes=spec.memory_limit_bytes,
        )
        records.write_order(spec.directory, order)

    def _conclude_launch(self, container: str, answer: Message) -> Started | LaunchFailed:
        if isinstance(failed := answer.get("failed"), list):
            return LaunchFailed(*failed)
        started = answer["started"]
        assert isinstance(started, dict)
        return self._begin(container, PidRecord(**started))

    async def _settle_launch(self, container: str) -> Started | LaunchFailed | None:
        """Find out what became of a launch that nobody answered; None: nobody will begin it."""
        directory = self._directory(container)
        try:
            os.close(records.take_claim(directory))
        except FileExistsError:
            pass
        else:
            try:
                await self._connect()  # heard: whoever was asked is gone, or has met our claim
            except LauncherUnavailable as error:
                return LaunchFailed("launcher", str(error))
            records.drop_claim(directory)
            return None
        found = await self._look_up(container)
        if found is None:
            return None
        if isinstance(found, PidRecord):
            return self._begin(container, found)
        if found.failed_step:
            return LaunchFailed(found.failed_step, found.text)
        record = records.read_pid(directory)
        assert record is not None  # written before the exec whose end is recorded
        return self._begin(container, record)

    def _begin(self, container: str, record: PidRecord) -> Started:
        """Watch a container that was started just now and may have ended since."""
        ended = self._watch(container, record)
        if ended is not None:
            self._report(container, ended)
        return _started(record)

    async def _look_up(self, container: str) -> PidRecord | ExitRecord | None:
        """Return the newest record; None when nothing was or will be run of it.

        Raises: LauncherUnavailable when its supervisor lives but records nothing.
        """
        directory = self._directory(container)
        for _ in range(CLAIMED_TRIES_MAX):
            if not records.is_claimed(directory):
                return None
            is_supervised = records.is_supervised(directory)
            found = records.read_exit(directory) or records.read_pid(directory)
            if found is not None:
                return found
            if not is_supervised:
                records.drop_claim(directory)
                return None
            await asyncio.sleep(PAUSE_S)
        raise LauncherUnavailable(f"container {container} neither starts nor fails")

    def _watch(self, container: str, record: PidRecord) -> Exited | None:
        """Watch a container; returns its end instead when it is over."""
        if record.boot_id != self._boot_id:
            return describe_loss("the machine restarted while it ran")
        watch = Watch(record, lambda: self._end_seen(container))
        ended = records.read_exit(self._directory(container))  # after looking for the supervisor
        if ended is None and not watch.is_empty:
            self._watches[container] = watch
            watch.begin()
            return None
        watch.close()
        if ended is not None:
            return describe_exit(ended)
        return describe_loss("its supervisor was killed")

    def _end_seen(self, container: str) -> None:
        watch = self._watches[container]
        record = records.read_exit(self._directory(container))
        if record is None and watch.follow_task():
            log.warning("supervisor of a running container is gone", container=container)
            return
        del self._watches[container]
        watch.close()
        if record is not None:
            self._report(container, describe_exit(record))
            return
        burial = asyncio.get_running_loop().create_task(self._report_loss(container, watch.record))
        self._burials.add(burial)
        burial.add_done_callback(self._burials.discard)

    async def _report_loss(self, container: str, record: PidRecord) -> None:
        if self._hierarchy is None:  # its leader ended just now: the number is still its own
            kill_all(find_session(record.pid))
        await self._bury(container, record)
        self._report(container, describe_loss("its supervisor was killed"))

    def _report(self, container: str, exited: Exited) -> None:
        # In a later turn, so that whoever launched it has heard of the start.
        asyncio.get_running_loop().call_soon(lambda: self.on_exit(container, exited))

    async def _bury(self, container: str, record: PidRecord) -> None:
        """End whatever still runs of a container, by its supervisor if that lives."""
        supervisor = open_process(record.supervisor, record.supervisor_ticks)
        if supervisor is not None:
            try:
                await self._end_supervisor(supervisor)
            finally:
                os.close(supervisor)
        for _ in range(END_TRIES_MAX):
            kill_directly(record, self._hierarchy, container)
            if self._hierarchy is None or not self._hierarchy.processes(container):
                return
            await asyncio.sleep(PAUSE_S)
        log.warning("processes of a container do not end", container=container)

    async def _end_supervisor(self, supervisor: int) -> None:
        send_signal(supervisor, 15)
        for _ in range(END_TRIES_MAX):
            if has_ended(supervisor):
                return
            await asyncio.sleep(PAUSE_S)

    async def _remove_groups(self, container: str) -> None:
        assert self._hierarchy is not None
        for _ in range(END_TRIES_MAX):
            self._hierarchy.kill(container)
            if self._hierarchy.remove(container):
                return
            await asyncio.sleep(PAUSE_S)
        log.warning("a control group stays busy", container=container)


def _started(record: PidRecord) -> Started:
    return Started(record.pid, record.start_ticks)
