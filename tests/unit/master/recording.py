"""What each version of the masters' log is: its schema, a log and a snapshot, as it wrote them.

`python -m tests.unit.master.recording` writes down the version of the code as it is. Do so when the
schema has grown, until the version is released; then raise `RELEASED` and never touch it again.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from master.codec import decode_batch
from master.core import versions
from master.core.machine import Machine
from master.core.snapshot import dump
from master.core.state import State
from protocol.reflection import Noun, reflect
from tests.unit.master.test_machine import restored_leader

RELEASED = 0  # the newest version that others may have in their logs
SCHEMA = "master/events.capnp"
DIRECTORY = Path(__file__).parent / "recorded"


def schema() -> dict[str, list[str]]:
    """Return all that a batch is made of: by struct or enum its members in wire order."""
    return made_of("Batch")


def made_of(struct: str) -> dict[str, list[str]]:
    """Return the same of one struct that a log holds."""
    nouns = reflect(("protocol/values.capnp", "rlog/spaces.capnp", SCHEMA))
    [found] = [noun for noun in nouns.values() if noun.name == struct]
    parts = _parts(found, nouns)
    return {f"{part.schema}:{part.name}": list(_members(part, nouns)) for part in parts}


def _parts(noun: Noun, nouns: dict[int, Noun]) -> Iterator[Noun]:
    yield noun
    for field in noun.fields:
        if field.shape.noun:
            yield from _parts(nouns[field.shape.noun], nouns)


def _members(noun: Noun, nouns: dict[int, Noun]) -> Iterator[str]:
    yield from noun.members
    for field in noun.fields:
        shape = field.shape
        kind = shape.plain or nouns[shape.noun].name
        yield f"{field.wire_name} {'list of ' if shape.is_list else ''}{kind}"


def fold(log: list[bytes]) -> State:
    """Return what this version makes of a log."""
    machine = Machine()
    state = machine.empty()
    for content in log:
        batch = decode_batch(content)
        state.now_ns = batch.stamp_ns
        for event in batch.events:
            machine.apply(state, event)
    return state


def recorded(version: int) -> dict[str, Any]:
    """Return what was written down of a version."""
    found: dict[str, Any] = json.loads((DIRECTORY / f"{version}.json").read_text())
    return found


def record() -> None:
    """Write down the present version: the snapshot is of the entry with the richest state."""
    log = restored_leader().log
    snapshots = [dump(fold(log[:count])) for count in range(len(log) + 1)]
    count = max(range(len(snapshots)), key=lambda place: len(snapshots[place]))
    content = {
        "schema": schema(),
        "log": [entry.hex() for entry in log],
        "snapshot": {"entries": count, "content": snapshots[count].hex()},
    }
    path = DIRECTORY / f"{versions.VERSION}.json"
    path.write_text(f"{json.dumps(content, indent=1)}\n")


if __name__ == "__main__":
    record()
