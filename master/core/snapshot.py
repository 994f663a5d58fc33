"""Snapshots: the durable part of the state as bytes, and its digest."""

from dataclasses import replace

import msgspec

from master.core.state import Soft, State
from master.core.validity import weigh_description
from rlog.spaces.digest import digest_of

FORMAT = 1  # the first byte; fields with defaults may be added under the same number

_decoder = msgspec.msgpack.Decoder(State)


def dump(state: State) -> bytes:
    """Return the durable part of the state."""
    return bytes((FORMAT,)) + msgspec.msgpack.encode(replace(state, soft=Soft()))


def load(content: bytes) -> State:
    """Return the state that `dump` wrote.

    Raises: ValueError for a snapshot of another format.
    """
    if content[:1] != bytes((FORMAT,)):
        raise ValueError(f"snapshot of format {content[:1].hex() or 'nothing'}, not {FORMAT:02x}")
    state = _decoder.decode(memoryview(content)[1:])
    _count_tasks(state)
    return state


def _count_tasks(state: State) -> None:
    """Count anew what is a sum over tasks: an older snapshot has no such counts."""
    for framework in state.frameworks.values():
        framework.live = framework.description_bytes = 0
    for task in state.tasks.values():
        framework = state.frameworks[task.framework_id]
        framework.live += not task.is_ended
        framework.description_bytes += weigh_description(task.description)


def digest(state: State) -> str:
    """Return a name that two states share if and only if their durable parts are equal."""
    return digest_of(replace(state, soft=Soft()))
