"""The scripts are the specification of the master: each must say what it says."""

from pathlib import Path

import pytest

from tests.scripts.blocks import FOLDER, parse, rerun, script_paths, write


@pytest.mark.parametrize("path", script_paths(), ids=lambda path: str(path.relative_to(FOLDER)))
def test_script_tells_what_it_expects(path: Path) -> None:
    text = path.read_text()
    assert write(rerun(parse(text))) == text
