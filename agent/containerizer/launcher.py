"""The launcher: a small process that forks a supervisor per container and outlives the agent.

Run by file path as `python -I -S -E launcher.py <work_dir> <descriptors>`: it imports only the
standard library and its siblings, for every page it holds is copied into every container's
supervisor. It serves one connection at a time to its end, so what an old agent asked is done before
a new one is heard.
"""

import contextlib
import fcntl
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import time
import warnings  # noqa: F401 - os.execvpe would import it in every child
from types import FrameType

PACKAGES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if __name__ == "__main__":
    sys.path.append(PACKAGES)

from agent.containerizer.namespaces import probe_namespaces  # noqa: E402 - needs the path above
from agent.containerizer.pool import Pool  # noqa: E402
from agent.containerizer.processes import read_boot_id  # noqa: E402
from agent.containerizer.records import drop_claim, read_order, take_claim  # noqa: E402

VERSION = 1  # raised with any change of messages or records: launchers of other versions step aside
SOCKET, LOCK, LOG = "launcher.sock", "launcher.lock", "launcher.log"
CONTAINERS = "containers"
REQUEST_BYTES_MAX = 4096
LOG_BYTES_MAX = 1 << 20
BACKLOG = 8
IDLE_S = 60.0  # without an agent; the next one starts a new launcher in some 50 ms
SEND_TIMEOUT_S = 10
REFILL_MS = 20  # of quiet: forking ahead must not slow down a launch
OOM_SCORE = -500


class Launcher:
    """Serves agents of one work directory, one after the other."""

    def __init__(self, work_dir: str, lock: int, listener: socket.socket) -> None:
        self._containers = f"{work_dir}/{CONTAINERS}"
        self._lock = lock  # held by this process alone, to its end
        self._listener = listener
        self._agent: socket.socket | None = None
        self._supervisors: dict[int, str] = {}
        self._no_namespaces = probe_namespaces()
        self._pool = Pool(not self._no_namespaces, read_boot_id(), protect_from_oom())
        self._woken, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def serve(self) -> None:
        """Answer until no agent has been there for a while."""
        signal.signal(signal.SIGCHLD, _wake)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        gc.collect()
        gc.freeze()  # no page is written in children for the sake of counting garbage
        while True:
            source = self._agent or self._listener
            poll = select.poll()
            poll.register(source, select.POLLIN)
            poll.register(self._woken, select.POLLIN)
            wants_more = self._agent is not None and not self._pool.is_full
            ready = poll.poll(self._choose_timeout_ms(wants_more))
            if not ready and wants_more:
                self._refill()
            elif not ready:
                return
            for descriptor, _ in ready:
                if descriptor == self._woken:
                    self._reap()
                elif self._agent:
                    if not self._hear():
                        return
                else:
                    self._accept()

    def _choose_timeout_ms(self, wants_more: bool) -> float | None:
        if wants_more:
            return REFILL_MS
        return None if self._agent else IDLE_S * 1000

    def _refill(self) -> None:
        try:
            self._pool.refill()
        except OSError:  # the next launch tells why
            time.sleep(REFILL_MS / 1000)

    def _accept(self) -> None:
        agent, _ = self._listener.accept()
        timeout = SEND_TIMEOUT_S.to_bytes(8, sys.byteorder) + bytes(8)  # struct timeval
        agent.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        self._agent = agent

    def _hear(self) -> bool:
        """Do what one message asks; False when this launcher shall step aside."""
        assert self._agent
        try:
            content = self._agent.recv(REQUEST_BYTES_MAX)
        except OSError:
            content = b""
        if not content:
            self._agent.close()
            self._agent = None
            return True
        request = json.loads(content)
        if "launch" in request:
            self._launch(request["launch"])
            return True
        self._tell({"version": VERSION, "pid": os.getpid(), "reduced": self._no_namespaces})
        return bool(request["version"] == VERSION)

    def _launch(self, container: str) -> None:
        assert self._agent
        assert "/" not in container
        directory = f"{self._containers}/{container}"
        try:
            claim = take_claim(directory)
        except FileExistsError:
            text = "a container of this name was launched before"
            self._tell({"container": container, "failed": ["claim", text]})
            return
        except OSError as error:
            self._tell({"container": container, "failed": ["claim", str(error)]})
            return
        try:
            is_namespaced = read_order(directory).has_namespaces
            supervisor = self._pool.assign(directory, is_namespaced, claim, self._agent.fileno())
        except OSError as error:  # nobody has our claim: it may be tried again
            drop_claim(directory)
            self._tell({"container": container, "failed": ["fork", str(error)]})
        else:
            self._supervisors[supervisor] = container
        finally:
            os.close(claim)

    def _reap(self) -> None:
        """Forget supervisors that ended; tell the agent of one that may not have answered."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._pool.forget(pid)
            container = self._supervisors.pop(pid, None)
            if container and status != 0 and self._agent:
                self._tell({"container": container, "broken": True})

    def _tell(self, message: dict[str, object]) -> None:
        assert self._agent
        with contextlib.suppress(OSError):  # it went: the next read says so
            self._agent.send(json.dumps(message).encode())


def _wake(number: int, frame: FrameType | None) -> None:
    """Be there, so that Python writes the signal to the wakeup descriptor."""


def protect_from_oom() -> str:
    """Make the kernel spare launcher and supervisors; return what tasks go back to."""
    path = "/proc/self/oom_score_adj"
    with open(path, encoding="ascii") as file:
        before = file.read().strip()
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(str(min(OOM_SCORE, int(before))))
    except OSError:  # not ours to lower without privileges
        return before
    return before


def lock_work_dir(work_dir: str) -> int:
    """Return the locked file that makes this the only launcher. Raises BlockingIOError."""
    handle = os.open(f"{work_dir}/{LOCK}", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle


def listen(work_dir: str) -> socket.socket:
    """Return the listening socket; named through its directory's descriptor, for any length."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{work_dir}/{SOCKET}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    directory = os.open(work_dir, os.O_RDONLY | os.O_DIRECTORY)
    os.umask(0o177)
    listener.bind(f"/proc/self/fd/{directory}/{SOCKET}")
    os.umask(0o077)
    os.close(directory)
    listener.listen(BACKLOG)
    return listener


def leave_starter(work_dir: str) -> None:
    """Go on as a process of our own session; the starter ends, which says that we listen."""
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    path = f"{work_dir}/{LOG}"
    flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
    if os.path.exists(path) and os.path.getsize(path) > LOG_BYTES_MAX:
        flags |= os.O_TRUNC
    log = os.open(path, flags, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)


def main() -> None:
    work_dir = os.path.abspath(sys.argv[1])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), hard))  # of tasks, not of agents
    try:
        lock = lock_work_dir(work_dir)
        listener = listen(work_dir)
    except BlockingIOError:
        sys.exit("another launcher runs for this work directory")
    leave_starter(work_dir)
    Launcher(work_dir, lock, listener).serve()


if __name__ == "__main__":
    main()
