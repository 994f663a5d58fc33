"""Follows what tasks write, read from their sandboxes on the agents."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from protocol.client import OperatorClient
from protocol.errors import Denied, Fault
from protocol.handshake import LinkIdentity
from protocol.messages.operator import FileChunk, ReadFile

CHUNK_BYTES = 256 << 10
POLL_S_MIN = 0.05
POLL_S_MAX = 0.5
READS_MAX = 16  # at once on one agent
PATIENCE_S = 10.0  # an agent that does not answer after a task has ended is given up
ANSWER_S = 5.0  # an agent that restarted at the same address answers by then
RETRY_S = 2.0  # between two tries of an agent that cannot be read
LINE_BYTES_MAX = 64 << 10  # a longer one is written in pieces
REMEDIES = {
    "SECRET_NEEDED": "; give --credentials FILE",
    "WRONG_SECRET": "; compare our line in --credentials with the agent's",
}


@dataclass(frozen=True, slots=True)
class Source:
    """One file of one task, and where to write it; an empty prefix leaves it as it is."""

    framework_id: str
    task_id: str
    file: str
    prefix: bytes
    sink: Callable[[bytes], None]


def write_stdout(content: bytes) -> None:
    """Write to our stdout. Raises: BrokenPipeError."""
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def write_stderr(content: bytes) -> None:
    """Write to our stderr. Raises: BrokenPipeError."""
    sys.stderr.buffer.write(content)
    sys.stderr.buffer.flush()


class AgentOutput:
    """Reads files on one agent, over one link that is opened when first needed.

    `locate` tells an agent's address of now; `warn` hears once why files cannot be read.
    """

    def __init__(
        self,
        address: str,
        identity: LinkIdentity,
        locate: Callable[[Source], Awaitable[str]],
        warn: Callable[[str], None],
    ) -> None:
        self.is_denied = False  # by the agent, which would deny it again
        self._address = address
        self._identity = identity
        self._locate = locate
        self._warn = warn
        self._client: OperatorClient | None = None
        self._opening = asyncio.Lock()
        self._reads = asyncio.Semaphore(READS_MAX)
        self._next_try_s = 0.0
        self._has_warned = False

    async def read(self, source: Source, offset: int) -> FileChunk | None:
        """Return what is there from `offset` on; None when it cannot be had now."""
        question = ReadFile(
            framework_id=source.framework_id,
            task_id=source.task_id,
            file=source.file,
            offset=offset,
            length=CHUNK_BYTES,
        )
        async with self._reads:
            client = await self._open(source)
            if client is None:
                return None
            try:
                answer = await client.ask(question, ANSWER_S)
            except Fault as fault:
                await self._drop(client, fault, source)
                return None
        # The sandbox is made a moment after the task is accepted; what stays is given up later.
        return answer if isinstance(answer, FileChunk) else None

    async def close(self) -> None:
        """Close the link."""
        if self._client is not None:
            await self._client.close()

    async def _open(self, source: Source) -> OperatorClient | None:
        async with self._opening:
            if self._client is None and asyncio.get_running_loop().time() >= self._next_try_s:
                try:
                    self._client = await OperatorClient.connect_agent(
                        self._address, self._identity, PATIENCE_S
                    )
                    self.is_denied = False
                except Fault as fault:
                    await self._recover(fault, source)
            return self._client

    async def _drop(self, client: OperatorClient, fault: Fault, source: Source) -> None:
        """Close a link that does not answer, unless another read has done so."""
        async with self._opening:
            if self._client is client:
                self._client = None
                await client.close()
                await self._recover(fault, source)

    async def _recover(self, fault: Fault, source: Source) -> None:
        """Go where the agent is now; when it is nowhere else, say what is wrong and pause."""
        address = await self._locate(source)
        if address and address != self._address:
            self._address = address
            return
        self.is_denied = isinstance(fault, Denied)
        self._next_try_s = asyncio.get_running_loop().time() + RETRY_S
        if self._has_warned:
            return
        self._has_warned = True
        why = f"{fault} Trying on."
        if isinstance(fault, Denied):
            why = f"refused: {fault}{REMEDIES.get(fault.code, '')}"
        self._warn(f"the output of tasks at {self._address} cannot be read: {why}")


async def follow(output: AgentOutput, source: Source, ended: asyncio.Event) -> str:
    """Copy a file as it grows until the task has ended and all is copied.

    Returns what is missing, empty when nothing is. Raises: BrokenPipeError.
    """
    loop = asyncio.get_running_loop()
    lines = LineWriter(source)
    offset, pause_s = 0, POLL_S_MIN
    given_up_s: float | None = None
    while True:
        was_ended = ended.is_set()
        chunk = await output.read(source, offset)
        if chunk is not None and chunk.content:
            offset += len(chunk.content)
            # A pipe that nobody empties must not hold the links.
            await loop.run_in_executor(None, lines.write, chunk.content)
            pause_s = POLL_S_MIN
            continue
        if chunk is not None and (chunk.is_final or was_ended):
            break
        if chunk is None and was_ended:
            given_up_s = given_up_s or loop.time() + PATIENCE_S
            if output.is_denied or loop.time() >= given_up_s:
                await loop.run_in_executor(None, lines.finish)
                return f"{source.file} of {source.task_id} from byte {offset} on"
        await _wait(ended, pause_s if not was_ended else POLL_S_MIN)
        pause_s = min(2 * pause_s, POLL_S_MAX)
    await loop.run_in_executor(None, lines.finish)
    return ""


async def _wait(ended: asyncio.Event, pause_s: float) -> None:
    """Pause, but no longer than until the task has ended."""
    if ended.is_set():
        await asyncio.sleep(pause_s)
        return
    try:
        async with asyncio.timeout(pause_s):
            await ended.wait()
    except TimeoutError:
        return


class LineWriter:
    """Puts the source's prefix before each line; writes whole lines so that tasks do not mix."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._partial = b""

    def write(self, content: bytes) -> None:
        """Write the lines that are complete."""
        prefix, sink = self._source.prefix, self._source.sink
        if not prefix:
            sink(content)
            return
        *lines, self._partial = (self._partial + content).split(b"\n")
        if len(self._partial) > LINE_BYTES_MAX:
            lines.append(self._partial)
            self._partial = b""
        if lines:
            sink(b"".join(prefix + line + b"\n" for line in lines))

    def finish(self) -> None:
        """Write a last line that has no end."""
        if self._partial:
            self._source.sink(self._source.prefix + self._partial + b"\n")
            self._partial = b""
