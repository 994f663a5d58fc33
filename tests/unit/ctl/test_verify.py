"""`quorate log verify` on files whose headers alone are damaged."""

from pathlib import Path

import pytest

from master.ctl.log_files import verify
from master.ctl.target import CommandError
from rlog.store import Store


def test_verify_finds_a_header_that_leads_to_another_transaction(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "log"), "a:1", "red")
    for term in range(1, 4):
        store.set_term(term, "a:1")
        store.write_all()
    store.close()
    verify(str(tmp_path / "log"))
    path = tmp_path / "log" / "data.mdb"
    content = bytearray(path.read_bytes())
    for header in (0, 4096):
        content[header + 144] ^= 2
        path.write_bytes(content)
        with pytest.raises(CommandError, match="this copy must not serve"):
            verify(str(tmp_path / "log"))
        content[header + 144] ^= 2
