"""The registrar: events and states as bytes and back; what cannot be read stops the node."""

import pytest

from master.core.events import WeightSet
from master.registrar import Registrar
from protocol.errors import CorruptLog


def test_registrar_reads_back_the_batch_it_wrote() -> None:
    registrar = Registrar()
    events = (WeightSet("analytics", 2000), WeightSet("web", 500))
    assert registrar.decode(registrar.encode(7, events)) == (7, events)


def test_registrar_reads_back_the_state_it_wrote() -> None:
    registrar = Registrar()
    state = registrar.empty()
    registrar.apply(state, WeightSet("analytics", 2000))
    assert registrar.load(registrar.dump(state)) == state


@pytest.mark.parametrize("content", [b"", b"\x01", b"\x01\xff", b"\x02\x80"])
def test_registrar_refuses_a_snapshot_it_cannot_read(content: bytes) -> None:
    with pytest.raises(CorruptLog, match="snapshot"):
        Registrar().load(content)


def test_registrar_refuses_an_entry_it_cannot_read() -> None:
    with pytest.raises(CorruptLog, match="entry"):
        Registrar().decode(b"\x00" * 9)
