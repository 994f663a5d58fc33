"""Writing down a big state in a child process, while this one goes on changing it.

A fork shows the child the state as it is at that moment, and costs this process a few milliseconds
for every 100 MB of memory. The child dumps, writes into a pipe, and is gone; it touches no file,
no database and no event loop. Nothing it does or fails to do can harm more than this snapshot.
"""

import asyncio
import ctypes
import fcntl
import gc
import os
import signal
import struct
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from rlog.dump import Dumping, Outline, WholeDump, outline_of
from rlog.garbage import Freezer
from rlog.rows import CHUNK_BYTES

INLINE_BYTES_MAX = 512 << 10  # dumped in less time than a fork takes
AHEAD_CHUNKS = 4  # read from the child ahead of the disk
PIPE_BYTES = 1 << 20  # what an unprivileged process may have
NICENESS = 19  # of the child: heartbeats are urgent, a snapshot never is
FAILURE_BYTES_MAX = 500
_HEADER = struct.Struct("<QII")  # size, checksum of the whole, how many checksums follow
_FAILED = (1 << 64) - 1  # as a size: the text of a failure follows
_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1)

_libc = ctypes.CDLL(None, use_errno=True)


class ForkingDumper:
    """Writes small states down at once, and big ones in a child."""

    def __init__(self, inline_bytes_max: int = INLINE_BYTES_MAX) -> None:
        self._inline_bytes_max = inline_bytes_max
        self._freezer = Freezer()

    def begin(
        self, dump: Callable[[], bytes], expected_bytes: int, wake: Callable[[], None]
    ) -> Dumping:
        """Begin; a child that cannot be made shows as a failure."""
        if expected_bytes < self._inline_bytes_max:
            return WholeDump(dump())
        return ForkedDump(dump, wake, self._freezer)


class ForkedDump:
    """What a child sends through a pipe: an outline, then the content."""

    def __init__(
        self, dump: Callable[[], bytes], wake: Callable[[], None], freezer: Freezer
    ) -> None:
        self.outline: Outline | None = None
        self.failure = ""
        self._wake = wake
        self._chunks: deque[bytes] = deque()
        self._head, self._partial = bytearray(), bytearray()
        self._received = 0
        self._loop = asyncio.get_running_loop()
        self._pipe = self._process = -1
        self._is_listening = False
        try:
            freezer.freeze()  # a collection would write to every page, and so copy all of them
            self._fork(dump)
        except OSError as error:
            self.failure = f"no child can be made: {error.strerror}"
        else:
            self._listen()

    @property
    def is_ready(self) -> bool:
        """Whether a chunk has arrived."""
        return bool(self._chunks)

    def take(self, most: int) -> list[bytes]:
        """Return chunks that have arrived, and have the child go on."""
        taken = [self._chunks.popleft() for _ in range(min(most, len(self._chunks)))]
        self._listen()
        return taken

    def close(self) -> None:
        """End the child, whatever it does."""
        self._hang_up()
        self._chunks.clear()
        if self._process >= 0:
            signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def _fork(self, dump: Callable[[], bytes]) -> None:
        self._pipe, theirs = os.pipe()
        parent = os.getpid()
        # A signal for the child must not find our handlers, which write into our event loop.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                _be_child(dump, theirs, parent)
        except OSError:
            self._hang_up()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(theirs)
        os.set_blocking(self._pipe, False)
        self._process = os.pidfd_open(pid)
        self._loop.add_reader(self._process, self._reap, pid)

    def _listen(self) -> None:
        if not self._is_listening and self._pipe >= 0 and len(self._chunks) < AHEAD_CHUNKS:
            self._is_listening = True
            self._loop.add_reader(self._pipe, self._read)

    def _rest(self) -> None:
        if self._is_listening:
            self._is_listening = False
            self._loop.remove_reader(self._pipe)

    def _hang_up(self) -> None:
        self._rest()
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def _read(self) -> None:
        outline = self.outline
        wanted = CHUNK_BYTES - len(self._partial if outline is not None else b"")
        data = os.read(self._pipe, wanted)
        if not data:
            self._end()
        elif outline is None:
            self._head += data
            self._read_outline()
        else:
            self._partial += data
            self._received += len(data)
            self._cut(outline)

    def _read_outline(self) -> None:
        """Take the outline off the front of what arrived; what follows it is content."""
        if len(self._head) < _HEADER.size:
            return
        size, crc, count = _HEADER.unpack_from(self._head)
        end = _HEADER.size + 4 * count
        if size == _FAILED or len(self._head) < end:
            return
        checksums = struct.unpack_from(f"<{count}I", self._head, _HEADER.size)
        self.outline = Outline(size, crc, checksums)
        self._partial = self._head[end:]
        self._received = len(self._partial)
        self._head.clear()
        self._cut(self.outline)
        self._wake()

    def _cut(self, outline: Outline) -> None:
        is_whole = self._received == outline.size
        while len(self._partial) >= CHUNK_BYTES or (is_whole and self._partial):
            self._chunks.append(bytes(self._partial[:CHUNK_BYTES]))
            del self._partial[:CHUNK_BYTES]
            self._wake()
        if len(self._chunks) >= AHEAD_CHUNKS:
            self._rest()

    def _end(self) -> None:
        """Note that the child closed its end: with everything said, or in the middle."""
        self._hang_up()
        if self.outline is None or self._received != self.outline.size:
            told = bytes(self._head[_HEADER.size :]).decode(errors="replace")
            self.failure = told or f"the child ended after {self._received} bytes"
            self._wake()

    def _reap(self, pid: int) -> None:
        self._loop.remove_reader(self._process)
        os.close(self._process)
        self._process = -1
        os.waitpid(pid, 0)
        self._wake()


def _be_child(dump: Callable[[], bytes], pipe: int, parent: int) -> NoReturn:
    """Dump, send, and be gone without a trace of our own in anything that was inherited."""
    try:
        _give_way()
        _leave_parent(pipe)
        if os.getppid() == parent:  # or it died before it could be watched
            _send_all(pipe, dump)
    finally:
        os._exit(0)


def _give_way() -> None:
    """Let others run first, and wake up without taking the processor from anybody.

    Not SCHED_IDLE: under programs that use all processors such a child would never be done.
    """
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _leave_parent(pipe: int) -> None:
    """Keep nothing of the parent but its memory and the pipe, and die with it."""
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Links and locks that outlived the parent in here would look as if it were alive.
    os.closerange(0, pipe)
    os.closerange(pipe + 1, os.sysconf("SC_OPEN_MAX"))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    gc.disable()
    _enlarge(pipe)


def _send_all(pipe: int, dump: Callable[[], bytes]) -> None:
    try:
        content = dump()
    except BaseException as error:
        text = f"the state cannot be dumped: {error!r}".encode()[:FAILURE_BYTES_MAX]
        _send(pipe, _HEADER.pack(_FAILED, 0, 0) + text)
        return
    outline = outline_of(content)
    count = len(outline.checksums)
    _send(pipe, _HEADER.pack(outline.size, outline.crc, count))
    _send(pipe, struct.pack(f"<{count}I", *outline.checksums))
    _send(pipe, content)


def _send(pipe: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(pipe, view) :]


def _enlarge(pipe: int) -> None:
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        return  # this user has many pipes already; a small one does as well
