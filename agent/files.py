"""Files: lets operators read what tasks have written, and nothing else."""

import asyncio
import os
import stat
from collections.abc import Callable
from functools import partial

import structlog

from agent.core.state import State
from agent.paths import Paths, open_inside, split_inside
from protocol.codecs.operator import decode_operator_message, encode_operator_message
from protocol.errors import Fault
from protocol.ids import task_key
from protocol.messages.link import Leader
from protocol.messages.operator import Failed, FileChunk, OperatorMessage, ReadFile
from protocol.peer import Peer

log = structlog.get_logger()

LENGTH_MAX = 256 << 10
READS_MAX = 64  # on their way at once; each holds a thread's time and a chunk
OUTPUTS = ("stdout", "stderr")


class Unreadable(Fault):
    """The file cannot be had: a reason's name and a text."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Files:
    """Receives operators' links on the agent's own server."""

    def __init__(self, paths: Paths, state: Callable[[], State]) -> None:
        self._paths = paths
        self._state = state
        self._reads: set[asyncio.Future[FileChunk]] = set()

    def connected(self, peer: Peer) -> None:
        """Operators ask when they like."""

    def disconnected(self, peer: Peer, reason: str) -> None:
        """What is being read for it is dropped when sent."""

    def leader_changed(self, peer: Peer, leader: Leader) -> None:
        """Operators do not say who leads."""

    def received(self, peer: Peer, payload: bytes, epoch: int) -> None:
        """Answer one request. Raises: Malformed."""
        request = decode_operator_message(payload)
        call = request.call
        if not isinstance(request, ReadFile):
            text = f"an agent answers ReadFile, not {type(request).__name__}"
            self._answer(peer, Failed(call, "UNSUPPORTED", text))
        elif len(self._reads) >= READS_MAX:
            self._answer(peer, Failed(call, "OVERLOADED", f"{READS_MAX} reads are on their way"))
        else:
            key = task_key(request.framework_id, request.task_id)
            live = self._state().live.get(key, 0)
            reading = asyncio.get_running_loop().run_in_executor(
                None, read_chunk, self._paths, request, live
            )
            self._reads.add(reading)
            reading.add_done_callback(partial(self._finish, peer, call))

    def _finish(self, peer: Peer, call: int, reading: "asyncio.Future[FileChunk]") -> None:
        self._reads.discard(reading)
        if reading.cancelled():
            return
        error = reading.exception()
        if error is None:
            self._answer(peer, reading.result())
        elif isinstance(error, Unreadable):
            self._answer(peer, Failed(call, error.reason, str(error)))
        else:
            log.error("reading a file failed", exc_info=error)
            self._answer(peer, Failed(call, "INTERNAL", "the agent failed to read the file"))

    def _answer(self, peer: Peer, message: OperatorMessage) -> None:
        peer.send(encode_operator_message(message))


def read_chunk(paths: Paths, request: ReadFile, live: int) -> FileChunk:
    """A piece of a file in the sandbox of a task's newest launch.

    `live` is that launch while it has not ended, else 0. Output that is not there yet is empty.
    Raises: Unreadable.
    """
    sandbox = paths.newest_sandbox(request.framework_id, request.task_id)
    is_output = request.file in OUTPUTS
    if is_output and live and (sandbox is None or sandbox.launch < live):
        return FileChunk(call=request.call)
    if sandbox is None:
        text = f"no sandbox of task {request.task_id} of {request.framework_id} is here"
        raise Unreadable("UNKNOWN_TASK", text)
    try:
        root = os.open(sandbox.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            descriptor = open_inside(root, split_inside(request.file), os.O_RDONLY)
        finally:
            os.close(root)
    except FileNotFoundError:
        if is_output:
            return FileChunk(call=request.call, is_final=not live)
        raise Unreadable("UNKNOWN_FILE", f"the sandbox has no {request.file}") from None
    except (ValueError, OSError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unreadable("BAD_FILE", f"{request.file}: {text}") from error
    try:
        return _read_open(descriptor, request, is_ended=not live)
    finally:
        os.close(descriptor)


def _read_open(descriptor: int, request: ReadFile, *, is_ended: bool) -> FileChunk:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable("BAD_FILE", f"{request.file} is not a regular file")
    offset = min(request.offset, found.st_size)
    length = min(request.length or LENGTH_MAX, LENGTH_MAX)
    content = os.pread(descriptor, length, offset)
    size = max(found.st_size, offset + len(content))
    return FileChunk(
        call=request.call,
        content=content,
        size_bytes=size,
        is_final=is_ended and offset + len(content) >= size,
    )
