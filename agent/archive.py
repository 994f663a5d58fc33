"""Archives: unpacking what a stranger packed, without leaving the directory or filling the disk."""

import contextlib
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import IO, Any, Self

from agent.paths import open_inside, open_parent, split_inside
from protocol.errors import Fault

MEMBERS_MAX = 100_000  # more is a bomb, or belongs on a shared disk
CHUNK_BYTES = 1 << 20
TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
TAR_EXTENSIONS = frozenset(
    {
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
    }
)
EXTENSION_BYTES_MAX = 1 << 20
XZ_MAGIC = b"\xfd7zXZ\0"
XZ_MEMORY_MAX = 128 << 20  # the strongest preset needs 65 MiB; a header may ask for 4 GiB
ENTRY_BYTES_MIN = 46  # of a member in a zip file's directory
DIRECTORY_BYTES_MAX = 32 << 20  # of all of them, which are read at once
ENTRY_MAGIC = b"PK\1\2"

UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
)

Owner = tuple[int, int] | None


class BadArchive(Fault):
    """The archive breaks a rule; the text says which member and why."""


class _Header(tarfile.TarInfo):
    """A member's header; those that tarfile would read into memory whole must be small.

    A few compressed kilobytes can hold a name, or a map of holes, of gigabytes.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if header.type in TAR_EXTENSIONS and header.size > EXTENSION_BYTES_MAX:
            raise BadArchive(f"a header of {header.size} bytes; at most {EXTENSION_BYTES_MAX}")
        if header.type == tarfile.GNUTYPE_SPARSE:
            raise BadArchive(f"{header.name!r} has holes; pack it without --sparse")
        return header

    def _proc_gnusparse_10(self, *args: object) -> None:
        raise BadArchive(f"{self.name!r} has holes; pack it without --sparse")


class _Tar(tarfile.TarFile):
    """Opens what it can open within bounds; xz comes to it unpacked."""

    OPEN_METH = MappingProxyType({"tar": "taropen", "gz": "gzopen", "bz2": "bz2open"})


class _Xz(io.RawIOBase):
    """The content of an xz file, read with a bound on what its dictionary may take."""

    def __init__(self, packed: IO[bytes]) -> None:
        super().__init__()
        self._packed = packed
        self._unpacker = _new_unpacker()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = b""
        while not content:
            chunk = b""
            if self._unpacker.eof:
                chunk = self._unpacker.unused_data.lstrip(b"\0")
                self._unpacker = _new_unpacker()  # streams may follow each other
                chunk = chunk or self._packed.read(CHUNK_BYTES).lstrip(b"\0")
                if not chunk:
                    return 0
            elif self._unpacker.needs_input:
                chunk = self._packed.read(CHUNK_BYTES)
                if not chunk:
                    raise EOFError("it is cut short")
            content = self._unpacker.decompress(chunk, len(buffer))
        buffer[: len(content)] = content
        return len(content)


class _Zip(io.BufferedReader):
    """A zip file whose directory is small enough to be read at once, as zipfile does."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size <= MEMBERS_MAX * ENTRY_BYTES_MIN:
            return super().read(size)  # of a member, or a directory without too many
        if size > DIRECTORY_BYTES_MAX:
            raise BadArchive(f"a directory of {size} bytes; at most {DIRECTORY_BYTES_MAX}")
        directory = super().read(size)
        if directory.count(ENTRY_MAGIC) > MEMBERS_MAX:
            raise BadArchive(f"it holds more than {MEMBERS_MAX} members")
        return directory


class _Kind(Enum):
    FILE = 1
    DIRECTORY = 2
    SYMBOLIC_LINK = 3
    HARD_LINK = 4


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    kind: _Kind
    mode: int
    size_bytes: int
    target: str
    open: Callable[[], IO[bytes]]


def is_archive(name: str) -> bool:
    """Whether a file of this name would be unpacked."""
    return name.lower().endswith((*TAR_ENDINGS, ".zip"))


def unpack(path: str, directory: str, bytes_max: int, owner: Owner = None) -> None:
    """Unpack a tar or zip file into a directory; every file there belongs to `owner` if given.

    Refuses absolute names, "..", links that lead out, devices, and more than `bytes_max`.
    Raises: BadArchive, OSError.
    """
    members = _zip_members if path.lower().endswith(".zip") else _tar_members
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    free = bytes_max
    try:
        for count, member in enumerate(members(path)):
            if count >= MEMBERS_MAX:
                raise BadArchive(f"it holds more than {MEMBERS_MAX} members")
            free -= member.size_bytes
            if free < 0:
                raise BadArchive(f"it unpacks to more than {bytes_max} bytes")
            _place(root, member, owner)
    except UNREADABLE as error:
        raise BadArchive(f"it cannot be read: {error}") from error
    finally:
        os.close(root)


def _tar_members(path: str) -> Iterator[_Member]:
    kinds = {
        tarfile.REGTYPE: _Kind.FILE,
        tarfile.AREGTYPE: _Kind.FILE,
        tarfile.DIRTYPE: _Kind.DIRECTORY,
        tarfile.SYMTYPE: _Kind.SYMBOLIC_LINK,
        tarfile.LNKTYPE: _Kind.HARD_LINK,
    }
    with open(path, "rb") as packed, _open_tar(packed) as archive:
        for entry in archive:
            kind = kinds.get(entry.type)
            if kind is None:
                raise BadArchive(f"{entry.name!r} is neither a file nor a directory nor a link")

            def opened(entry: tarfile.TarInfo = entry) -> IO[bytes]:
                content = archive.extractfile(entry)
                assert content is not None
                return content

            size = entry.size if kind is _Kind.FILE else 0
            yield _Member(entry.name, kind, entry.mode, size, entry.linkname, opened)


def _open_tar(packed: io.BufferedReader) -> tarfile.TarFile:
    if not packed.peek(len(XZ_MAGIC)).startswith(XZ_MAGIC):
        return _Tar.open(fileobj=packed, mode="r:*", tarinfo=_Header)
    content = io.BufferedReader(_Xz(packed), CHUNK_BYTES)
    return _Tar.open(fileobj=content, mode="r|", tarinfo=_Header)


def _new_unpacker() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_MAX)


def _zip_members(path: str) -> Iterator[_Member]:
    with _Zip(io.FileIO(path)) as packed, zipfile.ZipFile(packed) as archive:
        for entry in archive.infolist():
            mode = entry.external_attr >> 16
            if entry.flag_bits & 1:
                raise BadArchive(f"{entry.filename!r} is encrypted")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # zipfile unpacks these without any bound.
                raise BadArchive(f"{entry.filename!r} is packed otherwise than by deflate")

            def opened(entry: zipfile.ZipInfo = entry) -> IO[bytes]:
                return archive.open(entry)

            if entry.is_dir():
                yield _Member(entry.filename, _Kind.DIRECTORY, mode or 0o755, 0, "", opened)
            elif stat.S_ISLNK(mode):
                with opened() as content:
                    target = os.fsdecode(content.read(4096))
                yield _Member(entry.filename, _Kind.SYMBOLIC_LINK, mode, 0, target, opened)
            elif mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise BadArchive(f"{entry.filename!r} is neither a file nor a directory nor a link")
            else:
                size = entry.file_size
                yield _Member(entry.filename, _Kind.FILE, mode or 0o644, size, "", opened)


def _place(root: int, member: _Member, owner: Owner) -> None:
    """Make one member below `root`, following no link on the way."""
    if member.kind is _Kind.DIRECTORY and member.name.strip("/") in ("", "."):
        return
    try:
        parts = split_inside(member.name)
    except ValueError as error:
        raise BadArchive(str(error)) from error
    parent = open_parent(root, parts, is_making=True)
    try:
        if member.kind is _Kind.FILE:
            _write_file(parent, parts[-1], member, owner)
        elif member.kind is _Kind.DIRECTORY:
            with contextlib.suppress(FileExistsError):
                os.mkdir(parts[-1], 0o755, dir_fd=parent)
            _give(parent, parts[-1], owner)
        elif member.kind is _Kind.SYMBOLIC_LINK:
            _check_target(member, depth=len(parts) - 1)
            os.symlink(member.target, parts[-1], dir_fd=parent)
            _give(parent, parts[-1], owner)
        else:
            _link(root, parent, parts[-1], member)
    finally:
        os.close(parent)


def _write_file(parent: int, name: str, member: _Member, owner: Owner) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)  # a later member replaces an earlier one, never through it
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(name, flags, 0o600, dir_fd=parent), "wb") as out, member.open() as content:
        left = member.size_bytes
        while left and (chunk := content.read(min(CHUNK_BYTES, left))):
            out.write(chunk)
            left -= len(chunk)
        if left:
            raise BadArchive(f"{member.name!r} is cut short")
        if owner is not None:
            os.fchown(out.fileno(), *owner)
        os.fchmod(out.fileno(), member.mode & 0o755 | 0o600)  # never set-uid


def _check_target(member: _Member, depth: int) -> None:
    """Refuse a symbolic link that could lead out: it may climb first, and only that far."""
    parts = [part for part in member.target.split("/") if part not in ("", ".")]
    climbs = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    if member.target.startswith("/") or climbs > depth or ".." in parts[climbs:]:
        raise BadArchive(f"{member.name!r} is a link that leads out, to {member.target!r}")


def _link(root: int, parent: int, name: str, member: _Member) -> None:
    try:
        source = open_inside(root, split_inside(member.target), os.O_RDONLY)
    except (ValueError, OSError) as error:
        raise BadArchive(f"{member.name!r} links to {member.target!r}: {error}") from error
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise BadArchive(f"{member.name!r} links to something that is not a file")
        os.link(f"/proc/self/fd/{source}", name, dst_dir_fd=parent, follow_symlinks=True)
    finally:
        os.close(source)


def _give(parent: int, name: str, owner: Owner) -> None:
    if owner is not None:
        os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)
