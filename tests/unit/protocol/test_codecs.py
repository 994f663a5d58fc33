"""Every struct of every schema survives its codec."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import schema
from protocol.codecs.agent import decode_agent_message, encode_agent_message
from protocol.codecs.framework import decode_framework_message
from protocol.codecs.values import (
    decode_task_description,
    decode_task_status,
    encode_task_description,
    encode_task_status,
)
from protocol.errors import BadFrame, Malformed, UnknownMessage
from protocol.messages.agent import StatusUpdates
from protocol.messages.values import TaskDescription, TaskReason, TaskState, TaskStatus
from protocol.reflection import Noun, snake
from protocol.resources import Resources
from tests.unit.protocol.strategies import ROOTS, STRUCTS, codec_of, messages, messages_of, root_of

VALUES = schema.load("protocol/values.capnp")


@pytest.mark.parametrize("noun", STRUCTS, ids=lambda noun: f"{noun.schema}:{noun.name}")
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_struct_survives_its_codec(noun: Noun, data: st.DataObject) -> None:
    message, codec = data.draw(messages(noun)), codec_of(noun)
    write, read = (getattr(codec, f"{verb}_{snake(noun.name)}") for verb in ("write", "read"))
    content = schema.encode_root(root_of(noun), write, message)
    assert schema.decode_root(root_of(noun), read, content) == message


@pytest.mark.parametrize("noun", ROOTS, ids=lambda noun: noun.name)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_root_survives_its_codec(noun: Noun, data: st.DataObject) -> None:
    message, codec = data.draw(messages(noun)), codec_of(noun)
    content = getattr(codec, f"encode_{snake(noun.name)}")(message)
    assert getattr(codec, f"decode_{snake(noun.name)}")(content) == message


@pytest.mark.parametrize(
    "noun", [n for n in STRUCTS if not n.is_sum], ids=lambda noun: f"{noun.schema}:{noun.name}"
)
def test_defaults_are_what_absent_fields_read_as(noun: Noun) -> None:
    read = getattr(codec_of(noun), f"read_{snake(noun.name)}")
    empty = root_of(noun).new_message().to_bytes()
    assert schema.decode_root(root_of(noun), read, empty) == getattr(messages_of(noun), noun.name)()


def test_message_of_several_segments_survives() -> None:
    updates = StatusUpdates(tuple(TaskStatus("f", f"t{n}", sequence=n) for n in range(500)))
    content = encode_agent_message(updates)
    assert len(schema.split_segments(content)) > 1
    assert decode_agent_message(content) == updates


def test_equal_resources_give_equal_bytes() -> None:
    one = TaskDescription(resources=Resources({"cpus": 1, "mem": 2}))
    other = TaskDescription(resources=Resources({"mem": 2, "cpus": 1}))
    assert encode_task_description(one) == encode_task_description(other)


def test_unknown_member_reads_as_unset_on_a_link() -> None:
    builder = VALUES.TaskStatus.new_message(taskId="t")
    builder._set_by_field(VALUES.TaskStatus.schema.fields["state"], 999)
    builder._set_by_field(VALUES.TaskStatus.schema.fields["reason"], 999)
    status = decode_task_status(builder.to_bytes())
    assert status == TaskStatus(task_id="t", state=TaskState.UNKNOWN, reason=TaskReason.NONE)


@pytest.mark.parametrize("noun", [n for n in ROOTS if n.is_sum], ids=lambda noun: noun.name)
def test_message_without_an_arm_is_unknown(noun: Noun) -> None:
    content = root_of(noun).new_message().to_bytes()
    with pytest.raises(UnknownMessage):
        getattr(codec_of(noun), f"decode_{snake(noun.name)}")(content)


@pytest.mark.parametrize("noun", [n for n in ROOTS if n.is_sum], ids=lambda noun: noun.name)
def test_arm_of_a_newer_schema_is_unknown(noun: Noun) -> None:
    with pytest.raises(UnknownMessage):
        getattr(codec_of(noun), f"decode_{snake(noun.name)}")(with_arm(999))


def with_arm(number: int) -> bytes:
    """Return a message whose root is a struct of one data word, a union's tag, and one pointer."""
    words = (3 << 32, 0x0001_0001 << 32, number, 0)  # header, pointer to the root, tag, pointer
    return b"".join(word.to_bytes(8, "little") for word in words)


def test_unknown_operation_in_an_accept_makes_the_message_unknown() -> None:
    framework = schema.load("protocol/framework.capnp")
    builder = framework.FrameworkMessage.new_message()
    builder.init("accept").init("operations", 2)
    with pytest.raises(UnknownMessage):
        decode_framework_message(builder.to_bytes())


def test_text_that_is_not_utf8_is_refused() -> None:
    content = encode_task_status(TaskStatus(message="abcdefgh"))
    with pytest.raises(BadFrame):
        decode_task_status(content.replace(b"abcdefgh", b"\xff" * 8))


def test_resource_named_twice_is_refused() -> None:
    builder = VALUES.TaskDescription.new_message()
    scalars = builder.init("resources").init("scalars", 2)
    scalars[0].name = scalars[1].name = "cpus"
    with pytest.raises(BadFrame):
        decode_task_description(builder.to_bytes())


def test_foreign_ranges_are_put_in_order() -> None:
    builder = VALUES.TaskDescription.new_message()
    ranges = builder.init("resources").init("ranges", 1)[0]
    ranges.name = "ports"
    parts = ranges.init("ranges", 2)
    parts[0].first = parts[0].last = 8
    parts[1].first, parts[1].last = 3, 7
    assert decode_task_description(builder.to_bytes()).resources.ranges == {"ports": ((3, 8),)}


@pytest.mark.parametrize(
    "status",
    [
        TaskStatus(signal=70000),
        TaskStatus(signal=-1),
        TaskStatus(launch=2**64),
        TaskStatus(message="\ud800"),
    ],
    ids=["too large", "negative", "over 64 bits", "lone surrogate"],
)
def test_value_that_does_not_fit_is_our_mistake(status: TaskStatus) -> None:
    with pytest.raises(ValueError, match=r"encode"):
        encode_task_status(status)


@pytest.mark.parametrize("element_words", [0, 1])
def test_list_of_more_than_the_message_holds_is_refused_unread(element_words: int) -> None:
    count = 8_000_000 if element_words == 0 else 10_000
    content = bytes(8 * count * element_words)
    claim = (1 | 7 << 32 | len(content) // 8 << 35).to_bytes(8, "little")  # a composite list …
    tag = (count << 2 | element_words << 32).to_bytes(8, "little")  # … of structs this short
    root = (0x0001_0001 << 32).to_bytes(8, "little")  # AgentMessage: one data word, one pointer
    launch_tasks = (0x0001_0000 << 32).to_bytes(8, "little")  # LaunchTasks: one pointer
    arm = (6).to_bytes(8, "little")
    body = root + arm + launch_tasks + claim + tag + content
    with pytest.raises(Malformed, match=r"limit|room"):
        decode_agent_message((len(body) // 8 << 32).to_bytes(8, "little") + body)
