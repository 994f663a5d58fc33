"""URIs are brought in, or it is said why not."""

import contextlib
import os
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.fetcher import Fetcher, FetchFailed, file_name
from protocol.messages.values import Uri

NOBODY = 65534


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return


@contextlib.contextmanager
def web(directory: Path, kind: type[QuietHandler] = QuietHandler) -> Iterator[str]:
    """A web server on this machine."""
    handler = partial(kind, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "file").write_text("content")
    return directory


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    directory = tmp_path / "sandbox"
    directory.mkdir()
    return directory


def fetch(sandbox: Path, *uris: Uri, bytes_max: int = 1 << 20, is_wanted: bool = True) -> None:
    Fetcher(str(sandbox), None, bytes_max, lambda: is_wanted).fetch(uris)


def test_file_is_copied_by_path_and_by_uri(source: Path, sandbox: Path) -> None:
    fetch(sandbox, Uri(f"{source}/file"), Uri(f"file://{source}/file", filename="other"))
    assert (sandbox / "file").read_text() == (sandbox / "other").read_text() == "content"
    assert not os.access(sandbox / "file", os.X_OK) or os.geteuid() == 0


def test_executable_is_made_so(source: Path, sandbox: Path) -> None:
    fetch(sandbox, Uri(f"{source}/file", executable=True))
    assert (sandbox / "file").stat().st_mode & 0o777 == 0o755


def test_page_is_loaded(source: Path, sandbox: Path) -> None:
    with web(source) as address:
        fetch(sandbox, Uri(f"{address}/file?version=2"))
    assert (sandbox / "file").read_text() == "content"


def test_page_that_is_missing_is_named(source: Path, sandbox: Path) -> None:
    with web(source) as address, pytest.raises(FetchFailed) as caught:
        fetch(sandbox, Uri(f"{address}/missing"))
    assert str(caught.value) == f"{address}/missing: HTTP 404 File not found"


def test_archive_is_unpacked_and_removed(source: Path, sandbox: Path) -> None:
    with tarfile.open(source / "a.tgz", "w:gz") as archive:
        archive.add(source / "file", "inside/file")
    fetch(sandbox, Uri(f"{source}/a.tgz", extract=True))
    assert (sandbox / "inside" / "file").read_text() == "content"
    assert not (sandbox / "a.tgz").exists()


def test_archive_stays_when_nobody_asked_to_unpack_it(source: Path, sandbox: Path) -> None:
    (source / "a.tgz").write_text("anything")
    fetch(sandbox, Uri(f"{source}/a.tgz"))
    assert (sandbox / "a.tgz").read_text() == "anything"


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        (Uri("/missing/file"), "No such file or directory"),
        (Uri("ftp://host/file"), "only http://"),
        (Uri("relative"), "only http://"),
        (Uri("/etc"), "not a regular file"),
        (Uri("/dev/zero"), "not a regular file"),
        (Uri("http://127.0.0.1:1/file"), "Connection refused"),
        (Uri("/etc/passwd", filename="../up"), "leads out"),
        (Uri("/etc/passwd", filename="a/b"), "cannot be a file name"),
        (Uri("/etc/passwd", filename="stdout"), "cannot be a file name"),
        (Uri("http://host/"), "is not a file name"),
    ],
)
def test_uri_that_cannot_be_had_is_named(sandbox: Path, uri: Uri, text: str) -> None:
    with pytest.raises(FetchFailed) as caught:
        fetch(sandbox, uri)
    assert str(caught.value).startswith(f"{uri.value}: ")
    assert text in str(caught.value)


def test_file_over_the_limit_is_refused(source: Path, sandbox: Path) -> None:
    with pytest.raises(FetchFailed, match="more than 3 bytes"):
        fetch(sandbox, Uri(f"{source}/file"), bytes_max=3)


def test_fetching_ends_when_nobody_wants_it(source: Path, sandbox: Path) -> None:
    with pytest.raises(FetchFailed, match="no longer wanted"):
        fetch(sandbox, Uri(f"{source}/file"), is_wanted=False)


class RedirectHandler(QuietHandler):
    """Sends everybody elsewhere, with a page that never ends but is not worth reading."""

    elsewhere = ""

    def do_GET(self) -> None:
        if self.path == "/file":
            super().do_GET()
            return
        self.send_response(302)
        self.send_header("Location", self.elsewhere)
        self.send_header("Content-Length", str(1 << 40))
        self.end_headers()


@pytest.mark.parametrize(
    ("elsewhere", "text"),
    [
        ("ftp://127.0.0.1:1/file", "only http"),
        ("file:///etc/passwd", "not allowed"),
        ("/file", ""),
    ],
)
def test_redirect_is_followed_to_pages_only(
    source: Path, sandbox: Path, elsewhere: str, text: str
) -> None:
    kind = type("Handler", (RedirectHandler,), {"elsewhere": elsewhere})
    with web(source, kind) as address:
        if text:
            with pytest.raises(FetchFailed, match=text):
                fetch(sandbox, Uri(f"{address}/page"))
        else:
            fetch(sandbox, Uri(f"{address}/page"))
            assert (sandbox / "page").read_text() == "content"


class DripHandler(QuietHandler):
    """Sends a byte, and the next one when somebody has looked at the first."""

    looked = threading.Event()
    was_looked_at = False

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"x")
        self.wfile.flush()
        DripHandler.was_looked_at = self.looked.wait(5.0)
        with contextlib.suppress(OSError):
            self.wfile.write(b"x")


def test_fetching_from_a_server_that_drips_ends_when_nobody_wants_it(sandbox: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), DripHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}"

        def is_wanted() -> bool:
            DripHandler.looked.set()
            return False

        with pytest.raises(FetchFailed, match="no longer wanted"):
            Fetcher(str(sandbox), None, 1 << 20, is_wanted).fetch((Uri(f"{address}/file"),))
        server.shutdown()
        thread.join()
    assert DripHandler.was_looked_at


def test_file_that_the_tasks_user_may_not_read_is_refused(source: Path, sandbox: Path) -> None:
    (source / "file").chmod(0o600)
    fetcher = Fetcher(str(sandbox), (NOBODY, NOBODY), 1 << 20, lambda: True)
    with pytest.raises(FetchFailed, match="may not"):
        fetcher.fetch((Uri(f"{source}/file"),))


def test_name_comes_from_the_path_of_the_uri() -> None:
    assert file_name(Uri("http://host/a/b%20c.tgz?x=/y#z")) == "b c.tgz"
