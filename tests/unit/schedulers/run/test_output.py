"""Output: followed to its end, in whole lines where tasks mix."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from protocol.codecs.operator import decode_operator_message, encode_operator_message
from protocol.credentials import Credentials, load_credentials
from protocol.handshake import LinkIdentity
from protocol.messages.link import Leader, LinkRole
from protocol.messages.operator import Failed, FileChunk, ReadFile
from protocol.peer import Peer
from protocol.server import Server, ServerConfig
from schedulers.run.output import AgentOutput, LineWriter, Source, follow


class FileServer:
    """An agent that has one file, which grows as the test says."""

    def __init__(self) -> None:
        self.content: bytes | None = None  # None: no sandbox yet
        self.is_final = False
        self.reads = 0
        self.on_read: Callable[[], None] = lambda: None

    def connected(self, peer: Peer) -> None:
        return

    def disconnected(self, peer: Peer, reason: str) -> None:
        return

    def leader_changed(self, peer: Peer, leader: Leader) -> None:
        return

    def received(self, peer: Peer, payload: bytes, epoch: int) -> None:
        request = decode_operator_message(payload)
        assert isinstance(request, ReadFile)
        self.reads += 1
        self.on_read()
        if self.content is None:
            answer: Failed | FileChunk = Failed(request.call, "UNKNOWN_TASK", "no sandbox")
        else:
            piece = self.content[request.offset : request.offset + min(request.length, 5)]
            answer = FileChunk(request.call, piece, len(self.content), self.is_final)
        peer.send(encode_operator_message(answer))


async def nowhere(source: Source) -> str:
    return ""


def run_follow(server: FileServer, written: list[bytes], ended: asyncio.Event) -> str:
    async def main() -> str:
        config = ServerConfig("agent", "", Credentials.insecure(), is_insecure=True)
        listening = Server(config, {LinkRole.OPERATOR: server})
        port = await listening.start("127.0.0.1", 0)
        identity = LinkIdentity(LinkRole.OPERATOR, "test", "", Credentials.insecure())
        output = AgentOutput(f"127.0.0.1:{port}", identity, nowhere, print)
        source = Source("fw-1", "t-0", "stdout", b"", written.append)
        try:
            async with asyncio.timeout(10):
                return await follow(output, source, ended)
        finally:
            await output.close()
            await listening.stop()

    with capture_logs():
        return asyncio.run(main())


def test_follow_copies_a_file_as_it_grows_until_the_end() -> None:
    server, written, ended = FileServer(), list[bytes](), asyncio.Event()

    def grow() -> None:
        if server.reads == 2:
            server.content = b"hello "
        elif server.reads == 6:
            server.content = b"hello world\n"
        elif server.reads == 12:
            server.is_final = True

    server.on_read = grow
    assert run_follow(server, written, ended) == ""
    assert b"".join(written) == b"hello world\n" and len(written) >= 3


def test_follow_reads_to_the_end_when_the_task_has_ended_before() -> None:
    server, written, ended = FileServer(), list[bytes](), asyncio.Event()
    server.content = b"all of it is here"
    ended.set()
    assert run_follow(server, written, ended) == ""
    assert b"".join(written) == server.content


def own_secret(tmp_path: Path, secret: str) -> Credentials:
    path = tmp_path / secret
    path.touch(0o600)
    path.write_text(f"someone {secret} operator\n")
    return load_credentials(str(path))


def test_an_agent_that_refuses_us_is_named_once_and_not_waited_for(tmp_path: Path) -> None:
    told: list[str] = []

    async def main() -> str:
        config = ServerConfig("agent", "", own_secret(tmp_path, "right"))
        listening = Server(config, {LinkRole.OPERATOR: FileServer()})
        port = await listening.start("127.0.0.1", 0)
        wrong = own_secret(tmp_path, "guessed")
        identity = LinkIdentity(LinkRole.OPERATOR, "test", "someone", wrong)
        output = AgentOutput(f"127.0.0.1:{port}", identity, nowhere, told.append)
        source = Source("fw-1", "t-0", "stdout", b"", print)
        ended = asyncio.Event()
        try:
            async with asyncio.timeout(5):
                assert await output.read(source, 0) is None
                assert len(told) == 1, "before the task has ended"
                ended.set()
                return await follow(output, source, ended)
        finally:
            await output.close()
            await listening.stop()

    with capture_logs():
        assert asyncio.run(main()) == "stdout of t-0 from byte 0 on"
    assert len(told) == 1
    assert "cannot be read: refused: " in told[0]


def test_an_agent_that_moved_is_read_where_it_is_now() -> None:
    server, told = FileServer(), list[str]()
    server.content = b"here"

    async def main() -> bytes:
        config = ServerConfig("agent", "", Credentials.insecure(), is_insecure=True)
        listening = Server(config, {LinkRole.OPERATOR: server})
        port = await listening.start("127.0.0.1", 0)

        async def locate(source: Source) -> str:
            return f"127.0.0.1:{port}"

        identity = LinkIdentity(LinkRole.OPERATOR, "test", "", Credentials.insecure())
        output = AgentOutput("127.0.0.1:9", identity, locate, told.append)
        source = Source("fw-1", "t-0", "stdout", b"", print)
        try:
            async with asyncio.timeout(10):
                assert await output.read(source, 0) is None
                chunk = await output.read(source, 0)
        finally:
            await output.close()
            await listening.stop()
        assert chunk is not None
        return chunk.content

    with capture_logs():
        assert asyncio.run(main()) == b"here"
    assert told == []


lines = st.lists(st.binary(max_size=20), max_size=8)


@given(lines, st.lists(st.integers(1, 7), min_size=1, max_size=40))
def test_lines_get_their_prefix_however_they_arrive(pieces: list[bytes], sizes: list[int]) -> None:
    content = b"\n".join(pieces)
    written: list[bytes] = []
    writer = LineWriter(Source("", "", "", b"3| ", written.append))
    rest = content
    for size in sizes:
        writer.write(rest[:size])
        rest = rest[size:]
    writer.write(rest)
    writer.finish()
    assert all(part.endswith(b"\n") for part in written), "never a part of a line"
    found = b"".join(written)
    expected = content.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    assert found == b"".join(b"3| " + line + b"\n" for line in expected)


def test_one_task_alone_is_copied_as_it_is() -> None:
    written: list[bytes] = []
    writer = LineWriter(Source("", "", "", b"", written.append))
    writer.write(b"no end of line")
    writer.finish()
    assert written == [b"no end of line"]


def test_a_line_without_end_is_written_in_pieces() -> None:
    written: list[bytes] = []
    writer = LineWriter(Source("", "", "", b"> ", written.append))
    writer.write(b"x" * (100 << 10))
    assert written == [b"> " + b"x" * (100 << 10) + b"\n"]
