"""The checkpoint's bytes: what was written is read, and nothing else is."""

import pytest

from agent.checkpoint import Checkpoint
from protocol.errors import CorruptLog
from tests.unit.agent.core.lives import Life


def test_dump_leaves_out_what_is_not_in_the_log() -> None:
    life = Life()
    life.run()
    assert life.state.retry_ns > 0
    assert life.checkpoint.load(life.checkpoint.dump(life.state)).retry_ns == 0
    assert life.state.retry_ns > 0


@pytest.mark.parametrize("content", [b"", b"\x02\x80", b"\x01nonsense", b"\x01\x81"])
def test_dump_of_another_kind_is_refused(content: bytes) -> None:
    with pytest.raises(CorruptLog):
        Checkpoint().load(content)
