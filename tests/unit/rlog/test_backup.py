"""Backups of a log: whole or refused, and what a restored member begins with."""

import io
import random
import zlib
from pathlib import Path

import pytest

from protocol.errors import Broken, Malformed
from rlog.archive import open_archive
from rlog.backup import BackupWriter, Header, check_backup, read_backup
from rlog.dump import WholeDump
from rlog.membership import (
    NOOP,
    PAYLOAD,
    configuration_command,
    founding_command,
    kind_of,
    noop_command,
    payload_command,
)
from rlog.messages import Entry
from rlog.restore import TERMS_SKIPPED, restore
from rlog.rows import CHUNK_BYTES, Snapshot
from rlog.store import Store

CONTENT = random.Random(5).randbytes(CHUNK_BYTES + 99)
SNAPSHOT = Snapshot(40, 3, 2, ("a:1", "b:1"), len(CONTENT), zlib.crc32(CONTENT))
ENTRIES = [
    Entry(41, 3, payload_command(b"one")),
    Entry(42, 4, noop_command()),
    Entry(43, 4, configuration_command(("a:1",))),
    Entry(44, 4, payload_command(b"two")),
]


def write_backup(path: Path, snapshot: Snapshot = SNAPSHOT, committed: int = 44) -> Path:
    writer = BackupWriter(str(path), Header("red", "a:1", 4, committed, 10**18, snapshot))
    for chunk in WholeDump(CONTENT).take(1 << 20) if snapshot.index else ():
        writer.add_chunk(chunk)
    writer.add_entries(ENTRIES[:2])
    writer.add_entries(ENTRIES[2:])
    writer.close()
    return path


def check(content: bytes) -> Header:
    return check_backup(read_backup(io.BytesIO(content)))


def close_with(header: Header) -> bytes:
    return f"restored {header.committed}".encode()


def test_backup_holds_what_was_written(tmp_path: Path) -> None:
    with write_backup(tmp_path / "b").open("rb") as file:
        header, *blocks, _ = read_backup(file)
    assert isinstance(header, Header)
    assert (header.cluster, header.snapshot) == ("red", SNAPSHOT)
    assert b"".join(each for each in blocks if isinstance(each, bytes)) == CONTENT
    assert [entry for each in blocks if isinstance(each, list) for entry in each] == ENTRIES


def test_backup_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    content = write_backup(tmp_path / "b").read_bytes()
    cuts = [*range(200), *range(len(content) - 400, len(content)), *range(0, len(content), 4999)]
    for cut in cuts:
        with pytest.raises(Malformed):
            check(content[:cut])
    assert check(content).committed == 44


def test_backup_with_a_flipped_bit_anywhere_is_refused(tmp_path: Path) -> None:
    content = write_backup(tmp_path / "b").read_bytes()
    for place in [
        *range(200),
        *range(len(content) - 400, len(content)),
        *range(0, len(content), 997),
    ]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(Malformed):
            check(bytes(flipped))


def test_backup_without_its_end_entries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="entries 45 to 50 are missing"):
        check(write_backup(tmp_path / "b", committed=50).read_bytes())


def test_backup_is_never_written_over(tmp_path: Path) -> None:
    before = write_backup(tmp_path / "b").read_bytes()
    with pytest.raises(FileExistsError):
        write_backup(tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == before


def test_abandoned_backup_leaves_nothing(tmp_path: Path) -> None:
    writer = BackupWriter(str(tmp_path / "b"), Header("red", "a:1", 4, 44, 0, SNAPSHOT))
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_restored_member_has_the_log_and_new_voters(tmp_path: Path) -> None:
    backup = write_backup(tmp_path / "b")
    restore(str(backup), str(tmp_path / "m"), "c:1", ("c:1", "d:1"), close_with)
    with open_archive(str(tmp_path / "m")) as archive:
        outline = archive.outline
        assert list(archive.check()) == []
        assert archive.snapshot_content() == CONTENT
        payloads = [each.payload for each in archive.payloads(outline.last)]
    assert payloads == [b"one", b"two", b"restored 44"]
    assert (outline.identity.name, outline.identity.cluster) == ("c:1", "red")
    assert (outline.founded, outline.snapshot.voters) == (("c:1", "d:1"),) * 2
    assert (outline.last, outline.position.committed) == (45, 45)
    assert outline.position.term == 4 + TERMS_SKIPPED


def test_restored_log_is_a_cluster_without_an_id_yet(tmp_path: Path) -> None:
    """Whoever is left of the old one must not be taken for a member."""
    founding = Entry(1, 1, founding_command("of-the-old-one"))
    nothing = Snapshot()
    writer = BackupWriter(str(tmp_path / "b"), Header("red", "a:1", 1, 2, 10**18, nothing))
    writer.add_entries([founding, Entry(2, 1, payload_command(b"one"))])
    writer.close()
    restore(str(tmp_path / "b"), str(tmp_path / "m"), "c:1", ("c:1",), close_with)
    store = Store(str(tmp_path / "m"), "c:1", "red")
    assert store.standing.cluster_id == ""
    assert [kind_of(entry.command) for entry in store.range(1, 3)] == [NOOP, PAYLOAD]
    store.close()


def test_members_restored_from_one_backup_hold_the_same_entries(tmp_path: Path) -> None:
    backup = str(write_backup(tmp_path / "b"))
    found = []
    for name in ("c:1", "d:1"):
        restore(backup, str(tmp_path / name), name, ("c:1", "d:1"), close_with)
        with open_archive(str(tmp_path / name)) as archive:
            found.append(list(archive.entries(41, archive.outline.last)))
    assert found[0] == found[1]
    assert len(found[0]) == 5


def test_log_without_a_snapshot_is_restored_too(tmp_path: Path) -> None:
    writer = BackupWriter(str(tmp_path / "b"), Header("red", "a:1", 2, 2, 0, Snapshot()))
    writer.add_entries([Entry(1, 1, noop_command()), Entry(2, 2, payload_command(b"x"))])
    writer.close()
    restore(str(tmp_path / "b"), str(tmp_path / "m"), "c:1", ("c:1",), close_with)
    with open_archive(str(tmp_path / "m")) as archive:
        assert list(archive.check()) == []
        assert [each.payload for each in archive.payloads(3)] == [b"x", b"restored 2"]


def test_directory_with_anything_in_it_is_not_restored_to(tmp_path: Path) -> None:
    backup = write_backup(tmp_path / "b")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "kept").write_text("")
    with pytest.raises(Broken, match="not empty"):
        restore(str(backup), str(tmp_path / "m"), "c:1", ("c:1",), close_with)
    assert [each.name for each in (tmp_path / "m").iterdir()] == ["kept"]


def test_restoring_a_damaged_backup_makes_no_directory(tmp_path: Path) -> None:
    backup = write_backup(tmp_path / "b")
    backup.write_bytes(backup.read_bytes()[:-1])
    with pytest.raises(Malformed):
        restore(str(backup), str(tmp_path / "m"), "c:1", ("c:1",), close_with)
    assert [each.name for each in tmp_path.iterdir()] == ["b"]
