"""What is read back from a log stops its reader when this version cannot know what it means."""

from collections.abc import Callable
from typing import Any

import pytest

import agent.codec
import master.codec
from protocol import schema
from protocol.errors import UnknownMessage

VALUES = schema.load("protocol/values.capnp")
EVENTS = schema.load("master/events.capnp")
CHECKPOINT = schema.load("agent/checkpoint.capnp")

Decode = Callable[[bytes], object]


@pytest.mark.parametrize(
    ("root", "decode"),
    [
        (EVENTS.Batch, master.codec.decode_batch),
        (CHECKPOINT.CheckpointBatch, agent.codec.decode_checkpoint_batch),
    ],
    ids=["master", "agent"],
)
def test_event_of_a_newer_version_stops_the_reader(root: Any, decode: Decode) -> None:
    builder = root.new_message()
    builder.init("events", 1)
    with pytest.raises(UnknownMessage):
        decode(builder.to_bytes())


@pytest.mark.parametrize("field", ["state", "reason"])
def test_member_of_a_newer_version_stops_the_masters(field: str) -> None:
    builder = EVENTS.Batch.new_message()
    status = builder.init("events", 1)[0].init("taskUpdated").init("status")
    status._set_by_field(VALUES.TaskStatus.schema.fields[field], 999)
    with pytest.raises(UnknownMessage):
        master.codec.decode_batch(builder.to_bytes())


def test_member_of_a_newer_version_stops_the_agent() -> None:
    builder = CHECKPOINT.CheckpointBatch.new_message()
    accepted = builder.init("events", 1)[0].init("killAccepted")
    accepted._set_by_field(CHECKPOINT.KillAccepted.schema.fields["reason"], 999)
    with pytest.raises(UnknownMessage):
        agent.codec.decode_checkpoint_batch(builder.to_bytes())
