"""Archives of strangers are unpacked without harm."""

import gzip
import io
import lzma
import os
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import archive
from agent.archive import BadArchive, unpack

MIB = 1 << 20


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.linkname = target
    entry.mode = 0o6755
    return entry


def packed(tmp_path: Path, *entries: tarfile.TarInfo) -> str:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for entry in entries:
            content = b"abc" if entry.type == tarfile.REGTYPE else b""
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return str(path)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    directory = tmp_path / "target"
    directory.mkdir()
    return directory


def test_tar_is_unpacked_with_directories_modes_and_links(tmp_path: Path, target: Path) -> None:
    entries = (
        member("./", tarfile.DIRTYPE),
        member("./a/b/tool"),
        member("a/link", tarfile.SYMTYPE, "b/tool"),
        member("a/up", tarfile.SYMTYPE, "../a/b"),
        member("hard", tarfile.LNKTYPE, "a/b/tool"),
    )
    unpack(packed(tmp_path, *entries), str(target), MIB)
    assert (target / "a" / "link").read_bytes() == b"abc"
    assert (target / "a" / "up" / "tool").read_bytes() == b"abc"
    assert (target / "hard").samefile(target / "a" / "b" / "tool")
    assert (target / "a" / "b" / "tool").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize(
    "entries",
    [
        (member("../out"),),
        (member("/out"),),
        (member("a/../../out"),),
        (member("link", tarfile.SYMTYPE, "/etc"),),
        (member("link", tarfile.SYMTYPE, ".."),),
        (member("a/link", tarfile.SYMTYPE, "../../out"),),
        (member("a", tarfile.SYMTYPE, "."), member("b", tarfile.SYMTYPE, "a/..")),
        (member("hard", tarfile.LNKTYPE, "../secret"),),
        (member("hard", tarfile.LNKTYPE, "/etc/passwd"),),
        (member("pipe", tarfile.FIFOTYPE),),
        (member("device", tarfile.CHRTYPE),),
    ],
)
def test_tar_that_leads_out_is_refused(
    tmp_path: Path, target: Path, entries: tuple[tarfile.TarInfo, ...]
) -> None:
    (tmp_path / "secret").write_text("s")
    with pytest.raises(BadArchive):
        unpack(packed(tmp_path, *entries), str(target), MIB)
    assert not (tmp_path / "out").exists()


def test_tar_does_not_write_through_a_link_of_its_own(tmp_path: Path, target: Path) -> None:
    entries = (
        member("a/", tarfile.DIRTYPE),
        member("link", tarfile.SYMTYPE, "a"),
        member("link/file"),
    )
    with pytest.raises(OSError):
        unpack(packed(tmp_path, *entries), str(target), MIB)


def test_tar_replaces_a_link_instead_of_writing_to_its_target(tmp_path: Path, target: Path) -> None:
    unpack(
        packed(tmp_path, member("a"), member("l", tarfile.SYMTYPE, "a"), member("l")),
        str(target),
        MIB,
    )
    assert not (target / "l").is_symlink()


def test_archive_over_its_size_is_refused(tmp_path: Path, target: Path) -> None:
    with pytest.raises(BadArchive, match="more than 5 bytes"):
        unpack(packed(tmp_path, member("a"), member("b")), str(target), 5)


def test_tar_whose_names_would_fill_the_memory_is_refused(tmp_path: Path, target: Path) -> None:
    path = tmp_path / "a.tar.gz"
    name = tarfile.TarInfo("././@LongLink")
    name.type, name.size = tarfile.GNUTYPE_LONGNAME, 64 * MIB
    with gzip.open(path, "wb") as file:
        file.write(name.tobuf(tarfile.GNU_FORMAT))
        for _ in range(64):
            file.write(b"x" * MIB)
    tracemalloc.start()
    try:
        with pytest.raises(BadArchive, match="a header of 67108864 bytes"):
            unpack(str(path), str(target), 1 << 30)
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()


def test_tar_with_a_map_of_holes_is_refused(tmp_path: Path, target: Path) -> None:
    old, new = tmp_path / "old.tar", tmp_path / "new.tar"
    entry = tarfile.TarInfo("holes")
    entry.type = tarfile.GNUTYPE_SPARSE
    old.write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    entry = tarfile.TarInfo("holes")
    entry.size = 512
    entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    content = (b"100000000\n" + 251 * b"1\n").ljust(512)
    new.write_bytes(entry.tobuf(tarfile.PAX_FORMAT) + content + bytes(1024))
    for path in (old, new):
        with pytest.raises(BadArchive, match="has holes"):
            unpack(str(path), str(target), MIB)


def test_archive_that_is_none_is_refused(tmp_path: Path, target: Path) -> None:
    for name in ("a.tar", "a.zip"):
        (tmp_path / name).write_bytes(b"nonsense" * 100)
        with pytest.raises(BadArchive, match="cannot be read"):
            unpack(str(tmp_path / name), str(target), MIB)


def test_archive_cut_short_is_refused(tmp_path: Path, target: Path) -> None:
    path = packed(tmp_path, member("a"))
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2])
    with pytest.raises(BadArchive):
        unpack(path, str(target), MIB)


def zipped(tmp_path: Path, fill: Callable[[zipfile.ZipFile], None]) -> str:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        fill(archive)
    return str(path)


def test_zip_is_unpacked_with_modes(tmp_path: Path, target: Path) -> None:
    def fill(archive: zipfile.ZipFile) -> None:
        tool = zipfile.ZipInfo("bin/tool")
        tool.external_attr = 0o100755 << 16
        archive.writestr(tool, "run")
        archive.writestr("readme", "text")

    unpack(zipped(tmp_path, fill), str(target), MIB)
    assert os.access(target / "bin" / "tool", os.X_OK)
    assert (target / "readme").read_text() == "text"


@pytest.mark.parametrize(
    ("name", "mode", "content"),
    [("../out", 0o100644, "x"), ("link", 0o120777, "/etc"), ("pipe", 0o010644, "")],
)
def test_zip_that_leads_out_is_refused(
    tmp_path: Path, target: Path, name: str, mode: int, content: str
) -> None:
    def fill(archive: zipfile.ZipFile) -> None:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, content)

    with pytest.raises(BadArchive):
        unpack(zipped(tmp_path, fill), str(target), MIB)


def packed_by_xz(tmp_path: Path, content: bytes, dictionary_bytes: int = MIB) -> str:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": dictionary_bytes}]
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        entry = member("a/file")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    path = tmp_path / "a.tar.xz"
    half = len(plain.getvalue()) // 2
    streams = (plain.getvalue()[:half], plain.getvalue()[half:])
    path.write_bytes(b"".join(lzma.compress(each, filters=filters) for each in streams))
    return str(path)


def test_tar_in_two_streams_of_xz_is_unpacked(tmp_path: Path, target: Path) -> None:
    content = os.urandom(3 * MIB)
    unpack(packed_by_xz(tmp_path, content), str(target), 4 * MIB)
    assert (target / "a" / "file").read_bytes() == content


def test_xz_that_wants_too_much_memory_is_refused(tmp_path: Path, target: Path) -> None:
    # Only the size that the block's header names is changed, and the header's own check sum.
    path = Path(packed_by_xz(tmp_path, b"abc"))
    content = bytearray(path.read_bytes())
    header = content[12 : 12 + (content[12] + 1) * 4]
    at = header.index(bytes((0x21, 1))) + 2
    header[at] = 40  # 4 GiB
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "little")
    content[12 : 12 + len(header)] = header
    path.write_bytes(content)
    with pytest.raises(BadArchive, match="limit exceeded"):
        unpack(str(path), str(target), MIB)


def test_xz_that_is_cut_short_or_garbled_is_refused(tmp_path: Path, target: Path) -> None:
    path = Path(packed_by_xz(tmp_path, os.urandom(MIB)))
    content = path.read_bytes()
    for bad in (content[: MIB // 2], content[: MIB // 2] + bytes(MIB)):
        path.write_bytes(bad)
        with pytest.raises(BadArchive, match="cannot be read"):
            unpack(str(path), str(target), 4 * MIB)


def test_zip_with_a_directory_too_large_is_refused_unread(tmp_path: Path, target: Path) -> None:
    path = Path(zipped(tmp_path, lambda zip_file: zip_file.writestr("a", "abc")))
    content = bytearray(path.read_bytes())
    content[-10:-6] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(b"")
    with path.open("r+b") as file:
        file.truncate(1 << 30)  # a hole
        file.seek(0, os.SEEK_END)
        file.write(content)
    tracemalloc.start()
    try:
        with pytest.raises(BadArchive, match="a directory of 1073741824 bytes"):
            unpack(str(path), str(target), MIB)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


def test_zip_of_too_many_members_is_refused_before_they_are_listed(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MEMBERS_MAX", 3)

    def fill(zip_file: zipfile.ZipFile) -> None:
        for number in range(4):
            zip_file.writestr(f"file{number}", "abc")

    with pytest.raises(BadArchive, match="more than 3 members"):
        unpack(zipped(tmp_path, fill), str(target), MIB)
    assert not list(target.iterdir())


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_packed_in_a_way_without_bounds_is_refused(
    tmp_path: Path, target: Path, method: int
) -> None:
    def fill(zip_file: zipfile.ZipFile) -> None:
        zip_file.writestr("a", "abc", method)

    with pytest.raises(BadArchive, match="otherwise than by deflate"):
        unpack(zipped(tmp_path, fill), str(target), MIB)
