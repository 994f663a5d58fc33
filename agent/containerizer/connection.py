"""The agent's side of the launcher: starting it when there is none, asking, hearing answers."""

import asyncio
import fcntl
import json
import os
import resource
import socket
import subprocess
import sys

from agent.containerizer import launcher
from agent.containerizer.containerizer import LauncherUnavailable, WorkDirectoryInUse

CONNECT_TRIES_MAX = 100  # at 50 ms: a launcher of an old version must have let go by then
CONNECT_PAUSE_S = 0.05
WELCOME_TIMEOUT_S = 10.0
START_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 30.0  # forks and fsyncs of a machine near its end
ANSWER_BYTES_MAX = 16384
# As this process was started, before main raises it: tasks are to have what they always had.
DESCRIPTORS_MAX = resource.getrlimit(resource.RLIMIT_NOFILE)[0]

Message = dict[str, object]


class LauncherConnection:
    """One open connection; what is asked is answered, or lost with the connection."""

    def __init__(self, link: socket.socket) -> None:
        """Take a connected, non-blocking socket that was welcomed."""
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._pending: dict[str, asyncio.Future[Message | None]] = {}
        self.is_open = True
        self._loop.add_reader(link, self._hear)

    @property
    def is_busy(self) -> bool:
        return bool(self._pending)

    async def ask_launch(self, container: str) -> Message | None:
        """Ask for a launch; None when the answer was lost, and with it the connection."""
        assert container not in self._pending
        answer: asyncio.Future[Message | None] = self._loop.create_future()
        self._pending[container] = answer
        try:
            self._link.send(json.dumps({"launch": container}).encode())
            return await asyncio.wait_for(answer, ANSWER_TIMEOUT_S)
        except (OSError, TimeoutError):  # BlockingIOError: it stopped reading long ago
            self.close()
            return None
        finally:
            self._pending.pop(container, None)

    def close(self) -> None:
        """Let go, which loses all answers; idempotent."""
        if not self.is_open:
            return
        self.is_open = False
        self._loop.remove_reader(self._link)
        self._link.close()
        for answer in self._pending.values():
            if not answer.done():
                answer.set_result(None)

    def _hear(self) -> None:
        try:
            content = self._link.recv(ANSWER_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            content = b""
        if not content:
            self.close()
            return
        message: Message = json.loads(content)
        answer = self._pending.get(str(message["container"]))
        if answer is not None and not answer.done():
            answer.set_result(message)


def lock_containers(work_dir: str) -> int:
    """Return the lock that makes this the only agent here. Raises WorkDirectoryInUse."""
    handle = os.open(f"{work_dir}/containers.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise WorkDirectoryInUse(f"another agent runs its containers in {work_dir}") from None
    return handle


async def reach_launcher(work_dir: str) -> tuple[socket.socket, Message]:
    """Return a connection to a launcher of our version and its welcome, starting one if needed.

    Raises: LauncherUnavailable.
    """
    text = ""
    for _ in range(CONNECT_TRIES_MAX):
        link = _connect(work_dir)
        if link is None:
            text = await asyncio.get_running_loop().run_in_executor(None, _start, work_dir)
            link = _connect(work_dir)
        if link is not None:
            try:
                welcome = await _greet(link)
            except TimeoutError:
                link.close()
                raise LauncherUnavailable("the launcher serves somebody else or hangs") from None
            if welcome.get("version") == launcher.VERSION:
                return link, welcome
            link.close()  # it steps aside, or ended just now
        await asyncio.sleep(CONNECT_PAUSE_S)
    raise LauncherUnavailable(f"the launcher did not start: {text or 'no reason given'}")


async def _greet(link: socket.socket) -> Message:
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[bytes] = loop.create_future()

    def hear() -> None:
        loop.remove_reader(link)
        try:
            content = link.recv(ANSWER_BYTES_MAX)
        except OSError:
            content = b""
        if not heard.done():
            heard.set_result(content)

    loop.add_reader(link, hear)
    try:
        link.send(json.dumps({"version": launcher.VERSION}).encode())
        content = await asyncio.wait_for(heard, WELCOME_TIMEOUT_S)
    except BrokenPipeError:
        return {}
    finally:
        loop.remove_reader(link)
    welcome: Message = json.loads(content) if content else {}
    return welcome


def _connect(work_dir: str) -> socket.socket | None:
    """Return a connection to whoever listens; named by descriptor, for paths of any length."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link.setblocking(False)
    directory = os.open(work_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        link.connect(f"/proc/self/fd/{directory}/{launcher.SOCKET}")
    except OSError:
        link.close()
        return None
    finally:
        os.close(directory)
    return link


def _start(work_dir: str) -> str:
    """Start a launcher that is nobody's child; returns what it said instead of listening."""
    command = [sys.executable, "-I", "-S", "-E", launcher.__file__, work_dir, str(DESCRIPTORS_MAX)]
    try:
        starter = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=START_TIMEOUT_S,
            check=False,
            env={},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return starter.stderr.decode(errors="replace").strip()
