"""The registrar: events and states as bytes and back; what cannot be read stops the node."""

import pytest

from master.codec import encode_batch
from master.core import versions
from master.core.events import AgentUnreachable, Batch, WeightSet
from master.core.reasons import Reason
from master.core.roles import SetWeight
from master.registrar import Registrar
from protocol.decision import Refused
from protocol.errors import CorruptLog, NewerLog
from rlog.versions import Slowest, nobody

WEIGHT = WeightSet("web", 500)


def test_registrar_reads_back_the_batch_it_wrote() -> None:
    registrar = Registrar()
    events = (WeightSet("analytics", 2000), WeightSet("web", 500))
    assert registrar.decode(registrar.encode(7, events)) == (7, events)


def test_registrar_reads_back_the_state_it_wrote() -> None:
    registrar = Registrar()
    state = registrar.empty()
    registrar.apply(state, WeightSet("analytics", 2000))
    assert registrar.load(registrar.dump(state)) == state


@pytest.mark.parametrize("content", [b"", b"\x01", b"\x01\xff", b"\x00\x80", b"\xff\x80"])
def test_registrar_refuses_a_snapshot_it_cannot_read(content: bytes) -> None:
    with pytest.raises(CorruptLog, match="snapshot"):
        Registrar().load(content)


def test_registrar_refuses_an_entry_it_cannot_read() -> None:
    with pytest.raises(CorruptLog, match="entry"):
        Registrar().decode(b"\x00" * 9)


# Later versions


def grow(patch: pytest.MonkeyPatch) -> None:
    """Let this be a program of the version after ours, in which weights are new."""
    patch.setattr(versions, "VERSION", 2)
    patch.setattr(versions, "SINCE", {WeightSet: lambda event: 2 if event.role else 1})


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    grow(monkeypatch)


def entry_and_snapshot() -> tuple[bytes, bytes]:
    """Return what a later program writes."""
    registrar = Registrar()
    state = registrar.empty()
    registrar.apply(state, WEIGHT)
    return registrar.encode(7, (WEIGHT,)), registrar.dump(state)


def test_registrar_reads_back_what_a_later_version_wrote(later: None) -> None:
    entry, snapshot = entry_and_snapshot()
    assert Registrar().decode(entry) == (7, (WEIGHT,))
    assert Registrar().load(snapshot).version == 2


def test_registrar_stops_at_what_a_later_version_wrote() -> None:
    with pytest.MonkeyPatch.context() as patch:
        grow(patch)
        entry, snapshot = entry_and_snapshot()
    with pytest.raises(NewerLog, match="an entry of the log is of version 2, and this"):
        Registrar().decode(entry)
    with pytest.raises(NewerLog, match="a snapshot of the log is of version 2"):
        Registrar().load(snapshot)


def test_later_version_writes_what_the_first_understands_as_that_would(later: None) -> None:
    registrar = Registrar()
    entry = registrar.encode(7, (AgentUnreachable("a1"),))
    assert entry == encode_batch(Batch(7, (AgentUnreachable("a1"),)))


@pytest.mark.parametrize(
    ("slowest", "of_log", "text"),
    [
        (Slowest("m2:7000", 2), 1, ""),
        (Slowest("m2:7000", 1), 1, "m2:7000 knows versions up to 1; upgrade m2:7000 first"),
        (Slowest("m2:7000", 0), 1, "start or remove m2:7000"),
        (Slowest("m2:7000", 0), 2, ""),
        (nobody(), 1, ""),
    ],
)
def test_later_version_decides_only_what_all_understand(
    later: None, slowest: Slowest, of_log: int, text: str
) -> None:
    registrar = Registrar(slowest=lambda: slowest)
    state = registrar.empty()
    state.version = of_log
    outcome = registrar.decide(state, SetWeight("web", 2000), 1)
    assert isinstance(outcome, Refused) == bool(text)
    if isinstance(outcome, Refused):
        assert outcome.reason is Reason.UPGRADE_UNFINISHED
        assert text in outcome.text
