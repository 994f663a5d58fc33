"""Fetcher: brings what a task's URIs name into its sandbox before its command starts."""

import grp
import http.client
import os
import pwd
import stat
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPMessage
from typing import IO

from agent.archive import BadArchive, Owner, is_archive, unpack
from agent.paths import split_inside
from protocol.errors import Fault
from protocol.messages.values import Uri

CHUNK_BYTES = 1 << 20
WEB_SCHEMES = ("http", "https")
STALL_S = 60.0  # a server that is silent for so long is given up


class FetchFailed(Fault):
    """A URI could not be brought in; the text names it and says why."""


class Fetcher:
    """Fetches for one launch; runs in a thread beside the loop."""

    def __init__(
        self, sandbox: str, owner: Owner, bytes_max: int, is_wanted: Callable[[], bool]
    ) -> None:
        self._sandbox = sandbox
        self._owner = owner
        self._bytes_max = bytes_max
        self._is_wanted = is_wanted

    def fetch(self, uris: tuple[Uri, ...]) -> None:
        """Bring every URI in, in order.

        Raises: FetchFailed.
        """
        for uri in uris:
            try:
                self._fetch_one(uri)
            except BadArchive as error:
                raise FetchFailed(f"{uri.value}: {error}") from error
            except (OSError, ValueError, http.client.HTTPException) as error:
                raise FetchFailed(f"{uri.value}: {_text_of(error)}") from error

    def _fetch_one(self, uri: Uri) -> None:
        name = file_name(uri)
        path = os.path.join(self._sandbox, name)
        with open_source(uri.value, self._owner) as source:
            self._write(uri, source, path)
        if uri.extract and is_archive(name):
            unpack(path, self._sandbox, self._bytes_max, self._owner)
            os.unlink(path)

    def _write(self, uri: Uri, source: IO[bytes], path: str) -> None:
        mode = 0o755 if uri.executable else 0o644
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        promised = source.length if isinstance(source, http.client.HTTPResponse) else None
        written = 0
        with open(os.open(path, flags, mode), "wb") as out:
            for chunk in _chunks(source):
                if not self._is_wanted():
                    raise FetchFailed(f"{uri.value}: no longer wanted")
                written += len(chunk)
                if written > self._bytes_max:
                    raise FetchFailed(f"{uri.value}: more than {self._bytes_max} bytes")
                out.write(chunk)
            if promised is not None and written < promised:
                raise FetchFailed(f"{uri.value}: ended after {written} of {promised} bytes")
            if self._owner is not None:
                os.fchown(out.fileno(), *self._owner)
            os.fchmod(out.fileno(), mode)


def file_name(uri: Uri) -> str:
    """The name of the file in the sandbox: the one asked for, else the last of the path.

    Raises: ValueError when there is none that stays in the sandbox.
    """
    name = uri.filename or os.path.basename(urllib.parse.urlsplit(uri.value).path)
    parts = split_inside(urllib.parse.unquote(name) if not uri.filename else name)
    if len(parts) != 1 or parts[0] in ("stdout", "stderr"):
        raise ValueError(f"{name!r} cannot be a file name in the sandbox")
    return parts[0]


def open_source(value: str, owner: Owner) -> IO[bytes]:
    """The content behind a URI; a local file must be readable for the task's user.

    Raises: ValueError for a URI of another kind, OSError.
    """
    split = urllib.parse.urlsplit(value)
    if split.scheme in WEB_SCHEMES:
        return _open_page(value)
    if split.scheme == "file" and split.netloc in ("", "localhost"):
        path = urllib.parse.unquote(split.path)
    elif not split.scheme and value.startswith("/"):
        path = value
    else:
        raise ValueError("only http://, https://, file:/// and absolute paths are fetched")
    return _open_file(os.path.realpath(path), owner)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to pages only, and reads nothing of what comes with them."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        fp.close()  # or all of it would be read, however much that is
        if urllib.parse.urlsplit(newurl).scheme not in WEB_SCHEMES:
            raise ValueError(f"it redirects to {newurl[:200]!r}, and only http(s) is followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open_page(url: str) -> IO[bytes]:
    opener = urllib.request.build_opener(_Redirects)
    try:
        page: IO[bytes] = opener.open(url, timeout=STALL_S)
    except urllib.error.HTTPError as error:
        error.close()  # it is a response too, and holds the connection
        raise ValueError(f"HTTP {error.code} {error.reason}") from None
    return page


def _open_file(path: str, owner: Owner) -> IO[bytes]:
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(source)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("not a regular file")
        if owner is not None:
            _check_permits(path, found, owner[0])
    except BaseException:
        os.close(source)
        raise
    return open(source, "rb")


def _check_permits(path: str, found: os.stat_result, uid: int) -> None:
    """Refuse what the agent may read and the task's user may not: the agent is no way around."""
    if uid == 0:
        return
    groups = groups_of(uid)
    if not _permits(found, uid, groups, 0o4):
        raise PermissionError("the task's user may not read it")
    parent = os.path.dirname(path)
    while True:
        if not _permits(os.stat(parent), uid, groups, 0o1):
            raise PermissionError(f"the task's user may not enter {parent}")
        if parent == "/":
            return
        parent = os.path.dirname(parent)


def groups_of(uid: int) -> frozenset[int]:
    """The groups of a user, none when the user has no account here."""
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return frozenset()
    members = (group.gr_gid for group in grp.getgrall() if account.pw_name in group.gr_mem)
    return frozenset((account.pw_gid, *members))


def _permits(found: os.stat_result, uid: int, groups: frozenset[int], bit: int) -> bool:
    if found.st_uid == uid:
        return bool(found.st_mode & bit << 6)
    if found.st_gid in groups:
        return bool(found.st_mode & bit << 3)
    return bool(found.st_mode & bit)


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    """Yield what there is as it comes: a server that drips must not hold us until it stops."""
    read = source.read1 if isinstance(source, http.client.HTTPResponse) else source.read
    while chunk := read(CHUNK_BYTES):
        yield chunk


def _text_of(error: Exception) -> str:
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
