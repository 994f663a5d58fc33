"""One container's life: forked off the launcher, it starts the task, waits and records the end.

It outlives launcher and agent. What it writes in the runtime directory is the truth about the
container; its answer to the agent only spares reading it.
"""

import contextlib
import json
import os
import signal
import socket
import struct
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from agent.cgroups.hierarchy import Counters, Hierarchy, Limits
from agent.cgroups.mounts import restore_hierarchy
from agent.containerizer import records
from agent.containerizer.init import run_init
from agent.containerizer.namespaces import fork_into_namespaces, set_subreaper
from agent.containerizer.processes import (
    end_descendants,
    kill_all,
    kill_descendants,
    read_start_ticks,
)
from agent.containerizer.records import ExitRecord, Order, PidRecord
from agent.containerizer.task import ENTER, GO, READY, StepError, run_task

SO_PASSCRED = 16
DESCRIPTORS = struct.Struct("2i")  # claim, connection to the agent
CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
ANSWER_BYTES_MAX = 8192
EMPTY_TRIES_MAX = 2000  # at 5 ms: what a killed group may take to become empty
RECORD_TRIES_MAX = 60  # at 1 s: a full disk may be emptied by then

Answer = Callable[[dict[str, object]], None]


class Supervisor:
    """Starts one task and sees it end; `boot_id` and `oom` are the launcher's knowledge."""

    def __init__(self, boot_id: str, oom: str) -> None:
        """Make a supervisor without a container yet."""
        self._boot_id = boot_id
        self._oom = oom
        self._directory = ""
        self._child = 0  # ours: pid 1 of the namespace, or the task itself
        self._task = 0
        self._control: socket.socket | None = None
        self._outcome: socket.socket | None = None
        self._hierarchy: Hierarchy | None = None

    def prepare(self, is_namespaced: bool) -> None:
        """Fork what can be forked before there is anything to run. Raises OSError."""
        signal.signal(signal.SIGTERM, self._kill_tree)
        set_subreaper()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, SO_PASSCRED, 1)
        if is_namespaced:
            self._outcome, outcome = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._child = fork_into_namespaces()
            if self._child == 0:
                ours.close()
                self._outcome.close()
                run_init(theirs, outcome, self._oom)
            outcome.close()
        else:
            self._child = os.fork()
            if self._child == 0:
                run_task(theirs, self._oom)
        theirs.close()
        self._control = ours

    def supervise(self, directory: str, answer: Answer) -> None:
        """Run the container to its end; `answer` is told once how the start went."""
        self._directory = directory
        try:
            order = records.read_order(directory)
            started = self._start(order)
        except (StepError, OSError) as error:
            failed = error if isinstance(error, StepError) else StepError("start", str(error))
            self._give_up(failed)
            answer({"failed": [failed.step, failed.text]})
            return
        answer({"started": started._asdict()})
        status, counters = self._await_end(order)
        self._record(_describe_end(status, counters))

    def _start(self, order: Order) -> PidRecord:
        if self._control is None:
            raise StepError("fork", "no process could be forked")
        control = self._control
        with contextlib.suppress(ConnectionError):  # it failed: what it said is read next
            control.send(self._directory.encode())
        self._make_groups(order)  # while the task reads its order
        with contextlib.suppress(ConnectionError):
            control.send(ENTER)
        self._task = _await_ready(control)
        started = self._identify()
        try:
            records.write_pid(self._directory, started)
        except OSError as error:
            raise StepError("record", str(error)) from error
        with contextlib.suppress(ConnectionError):
            control.send(GO)
        message, _ = _hear(control)  # empty: exec closed the other end
        control.close()
        if message:
            raise StepError(*json.loads(message))
        return started

    def _make_groups(self, order: Order) -> None:
        if order.hierarchy:
            self._hierarchy = restore_hierarchy(order.hierarchy)
            limits = Limits(
                order.cpus_milli,
                order.memory_bytes,
                order.pids_max,
                order.cpus_limit_milli,
                order.memory_limit_bytes,
            )
            try:
                self._hierarchy.create(order.container, limits)
            except OSError as error:
                raise StepError("cgroup", str(error)) from error

    def _identify(self) -> PidRecord:
        init = self._child if self._outcome else 0
        return PidRecord(
            pid=self._task,
            start_ticks=read_start_ticks(self._task),
            init=init,
            init_ticks=read_start_ticks(init) if init else 0,
            supervisor=os.getpid(),
            supervisor_ticks=read_start_ticks(os.getpid()),
            boot_id=self._boot_id,
        )

    def _await_end(self, order: Order) -> tuple[int, Counters]:
        """Wait for the task, end the rest; return its wait status and what all used."""
        while True:
            pid, status, usage = os.wait4(-1, 0)
            if pid == self._child:
                break
        self._child = 0
        if self._outcome:  # pid 1 ended, and with it the namespace; killed, it told nothing
            message = self._outcome.recv(64)
            status = int(message) if message else signal.SIGKILL
        end_descendants()
        counters = Counters()
        if self._hierarchy:
            self._empty_groups(order.container)
            counters = self._hierarchy.count(order.container)
        cpu_ns = counters.cpu_ns or int((usage.ru_utime + usage.ru_stime) * 1e9)
        peak_bytes = counters.memory_peak_bytes or usage.ru_maxrss * 1024
        return status, counters._replace(cpu_ns=cpu_ns, memory_peak_bytes=peak_bytes)

    def _empty_groups(self, container: str) -> None:
        assert self._hierarchy
        for _ in range(EMPTY_TRIES_MAX):
            if self._hierarchy.kill(container):
                return
            time.sleep(0.005)

    def _give_up(self, error: StepError) -> None:
        """Leave nothing running and record why the command never ran."""
        if self._child:
            kill_all([self._child])
            end_descendants()
        if self._hierarchy:
            name = os.path.basename(self._directory)
            self._empty_groups(name)
            self._hierarchy.remove(name)
        self._record(ExitRecord(text=error.text, failed_step=error.step))

    def _record(self, record: ExitRecord) -> None:
        for _ in range(RECORD_TRIES_MAX):
            try:
                records.write_exit(self._directory, record)
            except FileNotFoundError:  # destroyed while it ended: nobody asks any more
                return
            except OSError:
                time.sleep(1.0)
            else:
                return

    def _kill_tree(self, number: int, frame: FrameType | None) -> None:
        """Answer the agent's SIGTERM: end everything; `_await_end` sees it happen."""
        if not self._child:
            return
        if self._outcome:
            kill_all([self._child])
        else:
            kill_descendants()


def _await_ready(control: socket.socket) -> int:
    """Return the task's pid as the kernel translates it into our namespace."""
    message, ancillary = _hear(control)
    if message != READY:
        if message:
            raise StepError(*json.loads(message))
        raise StepError("start", "the first process was killed before the command")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            return int(CREDENTIALS.unpack(content)[0])
    raise StepError("start", "the kernel did not tell the first process")


def _hear(control: socket.socket) -> tuple[bytes, list[tuple[int, int, bytes]]]:
    """Return the task's next message with what the kernel adds; empty when it has gone."""
    space = socket.CMSG_SPACE(CREDENTIALS.size)
    try:
        message, ancillary, _, _ = control.recvmsg(ANSWER_BYTES_MAX, space)
    except ConnectionResetError:  # it left something unread; its last words come after this
        message, ancillary, _, _ = control.recvmsg(ANSWER_BYTES_MAX, space)
    return message, ancillary


def _describe_end(status: int, counters: Counters) -> ExitRecord:
    code = os.waitstatus_to_exitcode(status)
    return ExitRecord(
        exit_code=max(code, 0),
        signal=max(-code, 0),
        cpu_ns=counters.cpu_ns,
        memory_peak_bytes=counters.memory_peak_bytes,
        oom_kills=counters.oom_kills,
    )


def run_supervisor(link: socket.socket, is_namespaced: bool, boot_id: str, oom: str) -> NoReturn:
    """Wait on `link` for a container, and supervise it; the process ends with it in any case."""
    try:
        supervisor = Supervisor(boot_id, oom)
        with contextlib.suppress(OSError):  # told when somebody wants a container of us
            supervisor.prepare(is_namespaced)
        message, ancillary, _, _ = link.recvmsg(
            ANSWER_BYTES_MAX, socket.CMSG_SPACE(DESCRIPTORS.size), socket.MSG_CMSG_CLOEXEC
        )
        link.close()
        if not message:  # the launcher ended without a use for us
            os._exit(0)
        claim, number = DESCRIPTORS.unpack(ancillary[0][2])  # the claim stays locked while we live
        directory = message.decode()
        agent = socket.socket(fileno=number)

        def answer(words: dict[str, object]) -> None:
            with contextlib.suppress(OSError):  # the agent went: its successor reads the records
                container = os.path.basename(directory)
                agent.send(json.dumps({"container": container, **words}).encode())
            agent.close()

        supervisor.supervise(directory, answer)
        os.close(claim)
    except BaseException:
        traceback.print_exc()  # into the launcher's log
        os._exit(1)
    os._exit(0)
